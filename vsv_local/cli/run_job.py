"""Runs a job in the foreground for the command line, until it is done, fails or must wait."""

import time
from collections.abc import Callable

from vsv.errors import UnavailableError
from vsv.lifecycle.job_runner import run
from vsv.records.models import JobRecord, JobState
from vsv.services import Services

from vsv_local.backup.restored_marker import ALLOWED_JOBS, check_in_use

_POLL_SECONDS = 0.2
# How long to wait for a server that has just started the same job.
_PATIENCE_SECONDS = 600.0


class JobFailedError(Exception):
    """Raised where a job failed; the text is the reason."""


def finish(services: Services, job: JobRecord, say: Callable[[str], None]) -> JobRecord:
    """Run a job and return its record: DONE, or WAITING where it continues by itself later.

    Raises JobFailedError, and ConflictError in a data folder that is paused.
    """
    if job.kind not in ALLOWED_JOBS:
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
        return (
            f"It is expected by {job.expected_at[:16].replace('T', ' ')} UTC; a running server completes it."
        )
    reason = f" ({job.error})" if job.error else ""
    return f"It will be tried again{reason}: by a running server, or by vsv run-jobs."
