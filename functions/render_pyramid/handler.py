"""Step of an import: the levels that the slide lacks, into one pyramid file; then it is ready."""

from typing import Any

from observed import count, failures_counted, observed
from vsv.import_steps import render_run
from vsv.installation import current
from vsv.metric_names import IMPORTS_READY
from vsv.progress import NotedProgress
from vsv.runs import current_run


@observed
def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Take and give ``{"filename", "size", "runId", "imageId"}``."""
    here = current()
    run = current_run(here, event["filename"], event["runId"])
    with failures_counted():
        render_run(here, run, NotedProgress(here, run))
    count(IMPORTS_READY)
    return event
