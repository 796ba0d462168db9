"""Run a job that a person waits for at the command line, until it is done, fails or must wait."""

import time
from collections.abc import Callable

from vsv.errors import UnavailableError
from vsv.lifecycle.job_runner import run
from vsv.records.models import JobRecord, JobState
from vsv.services import Services

from vsv_local.backup.restored_marker import ALLOWED_JOBS, check_in_use

_POLL_SECONDS = 0.2
# The longest wait for a server that has just started the job.
_PATIENCE_SECONDS = 600.0


class JobFailedError(Exception):
    """A job that failed; its text says why."""


def finish(services: Services, job: JobRecord, say: Callable[[str], None]) -> JobRecord:
    """Run a job and return its record: DONE, or WAITING where it resumes by itself later.

    Raises JobFailedError, and ConflictError in a paused data folder.
    """
    if job.kind not in ALLOWED_JOBS:
        check_in_use(services.files.root)
    job = _run(services, job)
    if job.state is JobState.FAILED:
        raise JobFailedError(job.error or "it failed")
    if job.state is JobState.WAITING:
        say(_waiting_message(job))
    return job


def _run(services: Services, job: JobRecord) -> JobRecord:
    """Run a job, or wait for the process that holds its slide's lock."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return run(services, job)
        except UnavailableError:
            if time.monotonic() > until:
                raise
            time.sleep(_POLL_SECONDS)


def _waiting_message(job: JobRecord) -> str:
    if job.expected_at:
        return f"It is expected by {job.expected_at[:16].replace('T', ' ')} UTC; a running server goes on with it."
    reason = f" ({job.error})" if job.error else ""
    return f"It is tried again{reason}: a running server does so by itself, or run vsv run-jobs."
