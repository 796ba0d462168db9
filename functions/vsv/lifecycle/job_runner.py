"""Runner of jobs.

A job's step may be killed at any point and is then retried; while a step runs, its slide is locked, for work on files
or for sending. Each attempt is counted before it begins, so that a step that crashes the process is not retried for
ever.
"""

import logging
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from vsv.errors import NotYetError, UnavailableError, VersionConflictError, VsvError
from vsv.lifecycle import job_registry
from vsv.records.models import JobKind, JobRecord, JobState
from vsv.services import Services
from vsv.storage.slide_files import DISK
from vsv.storage.slide_lock import locked
from vsv.timestamps import later, now_utc
from vsv.workflow.job_queue import OF_FILES, due

log = logging.getLogger(__name__)

ATTEMPTS = 12
# Exponential back-off between attempts: 10 s, doubled up to an hour, some three hours in total.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 10.0, 3600.0
# A result that is expected to take long may be there earlier: a check is made as often.
LOOK = timedelta(minutes=15)
_INTERNAL = "it failed for a reason that is in the server's log"
_DIED = "it ran out of time or memory each time: request it again to continue"


def run_due(services: Services, kinds: Iterable[JobKind], go_on: Callable[[], bool]) -> list[JobRecord]:
    """Run the jobs that are due while ``go_on`` returns true; return the record of each job after its run."""
    return list(runs(services, kinds, go_on))


def runs(services: Services, kinds: Iterable[JobKind], go_on: Callable[[], bool]) -> Iterator[JobRecord]:
    """Run due jobs one after the other, and yield each job's record at once, before the next job can crash.

    People's jobs are run first. After each background job those that people have requested meanwhile are next: a
    daily check may have requested hundreds.
    """
    wanted, listed = frozenset(kinds), set[str]()
    pending = deque(_list_due(services, wanted, listed))
    while pending and go_on():
        job = pending.popleft()
        if (done := _run_if_unchanged(services, job)) is not None:
            yield done
        if job.is_background:
            newer = (other for other in _list_due(services, wanted, listed) if not other.is_background)
            pending.extendleft(reversed(list(newer)))


def _list_due(services: Services, kinds: frozenset[JobKind], listed: set[str]) -> list[JobRecord]:
    """Return the due jobs whose requests are not ``listed`` yet, and list them; people's jobs come first."""
    jobs = [job for job in due(services, kinds) if job.run_id not in listed]
    listed.update(job.run_id for job in jobs)
    return sorted(jobs, key=lambda job: bool(job.is_background))


def _run_if_unchanged(services: Services, job: JobRecord) -> JobRecord | None:
    """Run a job unless it was tried or requested again since it was listed, or another process works on its slide."""
    try:
        if _read_job(services, job).attempts == job.attempts:
            return run(services, job)
    except VersionConflictError:
        pass  # requested again meanwhile
    except UnavailableError as error:
        log.info("%s waits: %s", job.job_id, error)
    return None


def run(services: Services, job: JobRecord) -> JobRecord:
    """Run an attempt of a job's step and return the job's record.

    Raises UnavailableError where another process holds the slide's lock, VersionConflictError where the job was
    requested again.
    """
    lock = (
        locked(services.files, job.image_id) if job.kind in OF_FILES else services.jobs.sending(job.image_id)
    )
    with lock:
        return _run_attempt(services, job)


def _run_attempt(services: Services, job: JobRecord) -> JobRecord:
    stored = _read_job(services, job)
    if stored.state is not JobState.WAITING:
        return stored
    if stored.attempts >= ATTEMPTS:
        return _store_outcome(services, stored, {"state": JobState.FAILED, "error": stored.error or _DIED})
    attempts = stored.attempts + 1
    counted = services.jobs.advance(stored, {"attempts": attempts, "next_at": later(_back_off(attempts))})
    return _store_outcome(services, counted, _run_step(services, counted))


def _read_job(services: Services, job: JobRecord) -> JobRecord:
    stored = services.jobs.get(job.image_id, job.kind)
    if stored is None or stored.run_id != job.run_id:
        raise VersionConflictError("This was requested again in the meantime.")
    return stored


def _back_off(attempts: int) -> timedelta:
    longest = min(FIRST_PAUSE_S * 2 ** (attempts - 1), LONGEST_PAUSE_S)
    return timedelta(seconds=random.uniform(longest / 2, longest))  # noqa: S311  jitter: not all at the same time


def _run_step(services: Services, job: JobRecord) -> dict[str, Any]:
    """Run a job's step and return the changes to the job's record."""
    try:
        result = job_registry.step(job.kind)(services, job)
    except NotYetError as error:
        then = later(timedelta(seconds=error.seconds))
        return {"attempts": 0, "next_at": min(then, later(LOOK)), "expected_at": then, "error": None}
    except UnavailableError as error:
        return _retry_or_fail(job, str(error))
    except VsvError as error:
        return {"state": JobState.FAILED, "error": str(error)}
    except OSError:
        log.warning("%s", job.job_id, exc_info=True)
        return _retry_or_fail(job, DISK)
    except Exception:
        log.exception("%s failed", job.job_id)
        return _retry_or_fail(job, _INTERNAL)
    return {"state": JobState.DONE, "result": result or None, "error": None, "expected_at": None}


def _retry_or_fail(job: JobRecord, reason: str) -> dict[str, Any]:
    failed = {"state": JobState.FAILED} if job.attempts >= ATTEMPTS else {}
    return {"error": reason, **failed}


def _store_outcome(services: Services, job: JobRecord, changes: Mapping[str, Any]) -> JobRecord:
    state = changes.get("state", JobState.WAITING)
    if state is JobState.FAILED:
        _read_job(
            services, job
        )  # raises where requested again: the slide's record is then about the new request
        log.warning("%s failed: %s", job.job_id, changes["error"])
        job_registry.give_up(services, job)
    ended = {} if state is JobState.WAITING else {"next_at": now_utc()}
    return services.jobs.advance(job, {**ended, **changes})
