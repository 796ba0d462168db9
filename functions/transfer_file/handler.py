"""Step of an import: have DataSync bring the file from the scanner's share; the state machine repeats the step."""

from functools import cache
from typing import Any

from lambda_support.observability import minutes, observed
from vsv.aws.datasync import DataSyncTask
from vsv.ingest.latency import transfer
from vsv.ingest.runs import current_run
from vsv.metrics import TRANSFER_MINUTES
from vsv.runtime import current
from vsv.settings import required

from transfer_file.transfer_progress import TransferProgress, follow


@observed
def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Take the transfer in ``{"filename", "runId", "transfer"}`` one step further; return ``transfer``.

    ``TransferProgress`` describes the content of ``transfer``.
    """
    services = current()
    run = current_run(services, event["filename"], event["runId"])
    # At every poll, so that a single file that is stuck raises its alarm, not only files that arrive late.
    minutes(TRANSFER_MINUTES, transfer(run))
    task = _task(required(services.settings.transfer_task, "VSV_TRANSFER_TASK"))
    return follow(
        services.imports, task, run, TransferProgress.from_event(event.get("transfer", {}))
    ).to_event()


@cache
def _task(arn: str) -> DataSyncTask:
    return DataSyncTask(arn)
