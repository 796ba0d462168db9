"""Working on jobs.

A job's step may be killed anywhere and is then run again; while it runs, its slide is locked. Each attempt is counted
before it begins, so that one that ends the process does not do so for ever.
"""

import logging
import random
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
# The pauses between attempts: 10 s, doubled up to an hour, which makes some three hours in all.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 10.0, 3600.0
# What is expected to take long may be there earlier: somebody looks as often.
LOOK = timedelta(minutes=15)
_INTERNAL = "it failed for a reason that is in the server's log"
_DIED = "it ran out of time or memory each time: request it again to continue"


def run_due(services: Services, kinds: Iterable[JobKind], go_on: Callable[[], bool]) -> list[JobRecord]:
    """Run the jobs that are due, as long as ``go_on`` says so, and give what became of each."""
    return list(runs(services, kinds, go_on))


def runs(services: Services, kinds: Iterable[JobKind], go_on: Callable[[], bool]) -> Iterator[JobRecord]:
    """Do so one after the other: what became of a job is known even if the next one ends the process."""
    for job in due(services, kinds):
        if not go_on():
            return
        try:
            if _stored(services, job).attempts == job.attempts:  # else somebody has tried since it was listed
                yield run(services, job)
        except VersionConflictError:
            continue  # asked for anew meanwhile
        except UnavailableError as error:
            log.info("%s waits: %s", job.job_id, error)


def run(services: Services, job: JobRecord) -> JobRecord:
    """Take a job one step on and give its record.

    Raises UnavailableError where its slide is being worked on, VersionConflictError where it was asked for anew.
    """
    if job.kind not in OF_FILES:
        return _begun(services, job)
    with locked(services.files, job.image_id):
        return _begun(services, job)


def _begun(services: Services, job: JobRecord) -> JobRecord:
    stored = _stored(services, job)
    if stored.state is not JobState.WAITING:
        return stored
    if stored.attempts >= ATTEMPTS:
        return _ended(services, stored, {"state": JobState.FAILED, "error": stored.error or _DIED})
    attempts = stored.attempts + 1
    counted = services.jobs.advance(stored, {"attempts": attempts, "next_at": later(_pause(attempts))})
    return _ended(services, counted, _outcome(services, counted))


def _stored(services: Services, job: JobRecord) -> JobRecord:
    stored = services.jobs.get(job.image_id, job.kind)
    if stored is None or stored.run_id != job.run_id:
        raise VersionConflictError("This was requested again in the meantime.")
    return stored


def _pause(attempts: int) -> timedelta:
    longest = min(FIRST_PAUSE_S * 2 ** (attempts - 1), LONGEST_PAUSE_S)
    return timedelta(seconds=random.uniform(longest / 2, longest))  # noqa: S311  not all at the same time


def _outcome(services: Services, job: JobRecord) -> dict[str, Any]:
    """Run a job's step and give what it changes of the job."""
    try:
        result = job_registry.step(job.kind)(services, job)
    except NotYetError as error:
        then = later(timedelta(seconds=error.seconds))
        return {"attempts": 0, "next_at": min(then, later(LOOK)), "expected_at": then, "error": None}
    except UnavailableError as error:
        return _again(job, str(error))
    except VsvError as error:
        return {"state": JobState.FAILED, "error": str(error)}
    except OSError:
        log.warning("%s", job.job_id, exc_info=True)
        return _again(job, DISK)
    except Exception:
        log.exception("%s failed", job.job_id)
        return _again(job, _INTERNAL)
    return {"state": JobState.DONE, "result": result or None, "error": None, "expected_at": None}


def _again(job: JobRecord, reason: str) -> dict[str, Any]:
    failed = {"state": JobState.FAILED} if job.attempts >= ATTEMPTS else {}
    return {"error": reason, **failed}


def _ended(services: Services, job: JobRecord, changes: Mapping[str, Any]) -> JobRecord:
    state = changes.get("state", JobState.WAITING)
    if state is JobState.FAILED:
        _stored(services, job)  # raises: the record then speaks of the new request
        log.warning("%s failed: %s", job.job_id, changes["error"])
        job_registry.give_up(services, job)
    ended = {} if state is JobState.WAITING else {"next_at": now_utc()}
    return services.jobs.advance(job, {**ended, **changes})
