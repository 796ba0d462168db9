"""Step of an import: label, thumbnail, tags and barcode become the slide's record."""

from typing import Any

from vsv.import_steps import extract_run
from vsv.installation import current
from vsv.runs import current_run


def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Take ``{"filename", "size", "runId"}`` and give it with ``imageId``."""
    here = current()
    run = extract_run(here, current_run(here, event["filename"], event["runId"]))
    return {**event, "imageId": run.image_id}
