"""Registry of the step of each kind of job, and of the changes to a record when a job is given up.

A step takes the services and the job, does all work that is left, and returns the job's result. A step is idempotent:
after a crash at any point it can be run again. The error that a step raises decides about the job: UnavailableError a
retry, NotYetError a later check, any other VsvError the job's end.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from vsv.errors import UnavailableError, VsvError
from vsv.records.models import JobKind, JobRecord, JobState
from vsv.services import Services
from vsv.storage.slide_lock import locked

log = logging.getLogger(__name__)

_FAILED = (JobState.FAILED, JobState.DISMISSED)

Step = Callable[[Services, JobRecord], Mapping[str, str]]


def step(kind: JobKind) -> Step:
    """Return the step of a kind of job.

    Each ``step_…`` function imports its own step: a Lambda function's package holds the steps of the kinds that its
    folder names.
    """
    return _STEPS[kind]()


def step_publish() -> Step:
    """Return the step that makes a published copy."""
    from vsv.deidentification.publishing import publish_step  # noqa: PLC0415

    return publish_step


def step_withdraw() -> Step:
    """Return the step that withdraws a published copy."""
    from vsv.deidentification.publishing import withdraw_step  # noqa: PLC0415

    return withdraw_step


def step_archive() -> Step:
    """Return the step that moves an original to the archive."""
    from vsv.lifecycle.archiving import archive_step  # noqa: PLC0415

    return archive_step


def step_restore() -> Step:
    """Return the step that brings an archived original back."""
    from vsv.lifecycle.archiving import restore_step  # noqa: PLC0415

    return restore_step


def step_purge() -> Step:
    """Return the step that removes a deleted slide's files."""
    from vsv.lifecycle.purging import purge_step  # noqa: PLC0415

    return purge_step


def step_send() -> Step:
    """Return the step that sends metadata to the registries."""
    from vsv.delivery.sending import send_step  # noqa: PLC0415

    return send_step


def step_render() -> Step:
    """Return the step that renders a slide's levels again."""
    from vsv.lifecycle.pyramid_checks import render_step  # noqa: PLC0415

    return render_step


_STEPS: Mapping[JobKind, Callable[[], Step]] = {
    JobKind.PUBLISH: step_publish,
    JobKind.WITHDRAW: step_withdraw,
    JobKind.ARCHIVE: step_archive,
    JobKind.RESTORE: step_restore,
    JobKind.PURGE: step_purge,
    JobKind.SEND: step_send,
    JobKind.RENDER: step_render,
}

# An attribute of the slide's record: its value while a job is under way, and its value once the job was given up.
_GIVEN_UP: Mapping[JobKind, tuple[str, str, str | None]] = {
    JobKind.ARCHIVE: ("original", "ARCHIVING", None),
    JobKind.RESTORE: ("original", "RESTORING", "ARCHIVED"),
    JobKind.SEND: ("delivery", "WAITING", "FAILED"),
}


def give_up(services: Services, job: JobRecord) -> None:
    """Reset the slide's record, which says that the job is under way, after the job has failed.

    What a failed publication has left is taken back; where that cannot be done now, the daily check does it.
    """
    if job.kind is JobKind.PUBLISH:
        _retract(services, job)
    record = services.slides.get(job.image_id)
    if record is None or job.kind not in _GIVEN_UP:
        return
    attribute, under_way, instead = _GIVEN_UP[job.kind]
    if getattr(record, attribute) == under_way:
        changes: dict[str, Any] = {attribute: instead}
        services.slides.update(job.image_id, changes, by=job.by)


def _retract(services: Services, job: JobRecord) -> None:
    # Packed with step_publish, in functions that run this kind of job.
    from vsv.deidentification.unfinished import retract  # noqa: PLC0415

    try:
        retract(services, job.image_id)
    except VsvError as error:
        log.warning("%s: its copy is not taken back yet: %s", job.job_id, error)


def retract_failed(services: Services) -> None:
    """Take back what failed publications have left, where that could not be done when they failed."""
    for job in _failed_jobs(services):
        if job.kind is JobKind.PUBLISH:
            with suppress(UnavailableError), locked(services.files, job.image_id):
                _retract_unless_requested(services, job)


def _failed_jobs(services: Services) -> Iterator[JobRecord]:
    for state in _FAILED:
        token = None
        while True:
            page = services.jobs.by_state(state, 100, token)
            yield from page.items
            if (token := page.next_token) is None:
                break


def _retract_unless_requested(services: Services, job: JobRecord) -> None:
    stored = services.jobs.get(job.image_id, job.kind)
    if stored is not None and stored.state in _FAILED:
        _retract(services, job)
