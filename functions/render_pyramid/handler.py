"""Step of an import: render the levels that the slide lacks into one pyramid file; then the slide is ready."""

from functools import cache
from typing import Any

from lambda_support.observability import count, failures_counted, observed
from vsv.errors import VersionConflictError
from vsv.ingest.progress import NotedProgress
from vsv.ingest.runs import current_run, is_object
from vsv.ingest.steps import render_run, render_stored
from vsv.metrics import IMPORTS_READY
from vsv.runtime import current
from vsv.services import Services

from render_pyramid.marking import mark_imported, s3_client

_client = cache(s3_client)


@observed
def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Render the run in ``{"filename", "size", "runId", "imageId"}``; return the event.

    ``source``, where the event has it, names the object to mark as imported. Raises VersionConflictError for a run
    that was replaced, after rendering the slide that this run has stored.
    """
    services = current()
    try:
        _render(services, event)
    except VersionConflictError:
        if (image_id := event.get("imageId")) is not None:
            render_stored(services, image_id, lambda _done, _total: None)
        raise
    count(IMPORTS_READY)
    if is_object(event.get("source")):
        mark_imported(_client(), event["source"])
    return event


def _render(services: Services, event: dict[str, Any]) -> None:
    run = current_run(services, event["filename"], event["runId"])
    with failures_counted():
        render_run(services, run, NotedProgress(services, run))
