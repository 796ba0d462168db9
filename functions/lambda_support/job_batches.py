"""Run the jobs that are due while there is time, and count their results, for the two functions that run jobs.

Both functions are triggered by the jobs table's stream as soon as a job is requested, and by a schedule for jobs that
wait. An event is only a trigger: the due jobs are read from the table. So a lost event costs minutes, no event can
block those behind it, and a repeated event does no harm.
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
    """Run due jobs while ``needs_ms`` are left before each; return the reply that a stream's event source expects.

    Raises UnavailableError where the records cannot be read.
    """
    for job in runs(services, tuple(kinds), lambda: context.get_remaining_time_in_millis() > needs_ms):
        _count(job)
    return {"batchItemFailures": []}


def report_longest_wait(services: Services) -> None:
    """Report the longest time that any due job, of any kind, has waited; raises UnavailableError.

    Only one function may report this metric: if two did, the alarm for missing data would not notice that one
    stopped.
    """
    minutes(JOB_WAIT_MINUTES, longest_wait(due(services, JobKind)))


def longest_wait(jobs: Iterable[JobRecord]) -> float:
    """Return the longest time in minutes that one of these jobs has waited since its request or expected time."""
    now = datetime.fromisoformat(now_utc())
    waits = (now - datetime.fromisoformat(job.expected_at or job.requested_at) for job in jobs)
    return max((wait.total_seconds() / 60 for wait in waits), default=0.0)


def _count(job: JobRecord) -> None:
    """Count a finished job by its kind and result."""
    if job.state is JobState.FAILED:
        count_kind(JOB_FAILED, job.kind)
    elif job.state is JobState.DONE:
        count_kind(JOB_DONE, job.kind)
        if job.kind is JobKind.PURGE:
            _count_purged(job.result or {})


def _count_purged(result: Mapping[str, str]) -> None:
    """Count the files and bytes that a purge has removed; its result lists the names, separated by commas."""
    files = result.get("files", "")
    count(FILES_PURGED, files.count(",") + 1 if files else 0)
    count_bytes(BYTES_PURGED, int(result.get("bytes", "0")))
