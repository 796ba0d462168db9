"""A job that somebody waits for at the command line: run here and now, until it is done, fails or must wait."""

import time
from collections.abc import Callable

from vsv.errors import UnavailableError
from vsv.lifecycle.job_runner import run
from vsv.records.models import JobRecord, JobState
from vsv.services import Services

from vsv_local.backup.restored_marker import HARMLESS, check_in_use

_POLL_SECONDS = 0.2
# How long a server that has just taken the job up is waited for.
_PATIENCE_SECONDS = 600.0


class JobFailedError(Exception):
    """A job's end that nobody wanted; its text says why."""


def finish(services: Services, job: JobRecord, say: Callable[[str], None]) -> JobRecord:
    """Run a job and give its record: DONE, or WAITING where it goes on by itself later.

    Raises JobFailedError, and ConflictError in a data folder that rests.
    """
    if job.kind not in HARMLESS:
        check_in_use(services.files.root)
    job = _run(services, job)
    if job.state is JobState.FAILED:
        raise JobFailedError(job.error or "it failed")
    if job.state is JobState.WAITING:
        say(_waiting(job))
    return job


def _run(services: Services, job: JobRecord) -> JobRecord:
    """Run a job, or wait for the process that has hold of its slide."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return run(services, job)
        except UnavailableError:
            if time.monotonic() > until:
                raise
            time.sleep(_POLL_SECONDS)


def _waiting(job: JobRecord) -> str:
    if job.expected_at:
        return f"It is expected by {job.expected_at[:16].replace('T', ' ')} UTC; a running server goes on with it."
    reason = f" ({job.error})" if job.error else ""
    return f"It is tried again{reason}: a running server does so by itself, or run vsv run-jobs."
