"""The jobs that are due, for the functions that run them: run while there is time, and counted.

Both functions are woken by the jobs table's stream as soon as a job is asked for, and by the clock for what waits.
An event only wakes: what is due is read from the table. So an event that is lost costs minutes, none can hold up
those behind it, and one that comes twice does no harm.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from vsv.lifecycle.job_runner import runs
from vsv.metrics import BYTES_PURGED, FILES_PURGED, JOB_DONE, JOB_FAILED, JOB_WAIT_MINUTES
from vsv.records.models import JobKind, JobRecord, JobState
from vsv.services import Services
from vsv.timestamps import now_utc
from vsv.workflow.job_queue import due

from lambda_support.observability import count, count_bytes, count_kind, minutes


def run_due_jobs(services: Services, kinds: Iterable[JobKind], context: Any, needs_ms: int) -> dict[str, Any]:
    """Run what is due as long as ``needs_ms`` are left before each; give what a stream's event source asks for.

    Raises UnavailableError where the records cannot be read.
    """
    for job in runs(services, tuple(kinds), lambda: context.get_remaining_time_in_millis() > needs_ms):
        _count(job)
    return {"batchItemFailures": []}


def tell_longest_wait(services: Services) -> None:
    """Tell how long the job that waits longest has waited, of whatever kind; raises UnavailableError.

    For one function alone: the silence of two that tell the same would not be heard.
    """
    minutes(JOB_WAIT_MINUTES, longest_wait(due(services, JobKind)))


def longest_wait(jobs: Iterable[JobRecord]) -> float:
    """Give the longest time in minutes that one of these has waited since it was asked for, or was expected."""
    now = datetime.fromisoformat(now_utc())
    waits = (now - datetime.fromisoformat(job.expected_at or job.requested_at) for job in jobs)
    return max((wait.total_seconds() / 60 for wait in waits), default=0.0)


def _count(job: JobRecord) -> None:
    if job.state is JobState.FAILED:
        count_kind(JOB_FAILED, job.kind)
    elif job.state is JobState.DONE:
        count_kind(JOB_DONE, job.kind)
        if job.kind is JobKind.PURGE:
            _count_purged(job.result or {})


def _count_purged(result: Mapping[str, str]) -> None:
    """Count what a purge has removed, as it tells: names with commas between them, and their bytes."""
    files = result.get("files", "")
    count(FILES_PURGED, files.count(",") + 1 if files else 0)
    count_bytes(BYTES_PURGED, int(result.get("bytes", "0")))
