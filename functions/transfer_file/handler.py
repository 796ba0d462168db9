"""Step of an import: have DataSync bring the file from the scanner's share; asked again until it has."""

from functools import cache
from typing import Any

from lambda_support.observability import minutes, observed
from vsv.aws.datasync import DataSyncTask
from vsv.ingest.latency import transfer
from vsv.ingest.runs import current_run
from vsv.metrics import TRANSFER_MINUTES
from vsv.runtime import current
from vsv.settings import required

from transfer_file.following import Following, follow


@observed
def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Take ``{"filename", "runId", "transfer"}`` and give ``transfer`` one step further: see ``Following``."""
    services = current()
    run = current_run(services, event["filename"], event["runId"])
    # At every look, so that a single file that is stuck raises its alarm, not only those that arrive late.
    minutes(TRANSFER_MINUTES, transfer(run))
    task = _task(required(services.settings.transfer_task, "VSV_TRANSFER_TASK"))
    return follow(services.imports, task, run, Following.from_event(event.get("transfer", {}))).to_event()


@cache
def _task(arn: str) -> DataSyncTask:
    return DataSyncTask(arn)
