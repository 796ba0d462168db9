"""Step of an import: write label, thumbnail, tags and barcode into the slide's record."""

from typing import Any

from lambda_support.observability import failures_counted, minutes, observed
from vsv.ingest.latency import scan_to_viewable
from vsv.ingest.runs import current_run
from vsv.ingest.steps import extract_run
from vsv.metrics import SCAN_TO_VIEWABLE_MINUTES
from vsv.runtime import current


@observed
def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Extract the metadata of the run in ``{"filename", "size", "runId"}``; return the event with ``imageId``."""
    services = current()
    with failures_counted():
        run = extract_run(services, current_run(services, event["filename"], event["runId"]))
    if (slide := services.slides.get(str(run.image_id))) is not None:
        minutes(SCAN_TO_VIEWABLE_MINUTES, scan_to_viewable(run, slide))
    return {**event, "imageId": run.image_id}
