"""Step of an import: check that the transferred file is complete and a readable slide."""

from typing import Any

from lambda_support.observability import failures_counted, minutes, observed
from vsv.ingest.latency import transfer
from vsv.ingest.runs import current_run
from vsv.ingest.steps import inspect_run
from vsv.metrics import TRANSFER_MINUTES
from vsv.runtime import current


@observed
def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Check the file of ``{"filename", "size", "runId"}``; return the event.

    ``transfer``, where the event has it, says in ``done`` whether DataSync has brought the file. Raises the domain's
    errors for the state machine.
    """
    services = current()
    run = current_run(services, event["filename"], event["runId"])
    waited = transfer(run)
    with failures_counted():
        inspect_run(services, run, arrived=event.get("transfer", {}).get("done", True))
    minutes(TRANSFER_MINUTES, waited)  # only for files that are complete
    return event
