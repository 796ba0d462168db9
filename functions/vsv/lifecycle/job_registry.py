"""Which step each kind of job has, and what is undone where one is given up.

A step takes the installation and the job, does all that is left to do, and gives what came of it. It can be killed
anywhere and run again. What it raises says what becomes of the job: UnavailableError another attempt, NotYetError a
look later, any other of ours its end.
"""

from collections.abc import Callable, Mapping
from typing import Any

from vsv.records.models import JobKind, JobRecord
from vsv.services import Services

Step = Callable[[Services, JobRecord], Mapping[str, str]]


def step(kind: JobKind) -> Step:
    """Give a kind's step; only what is needed is imported."""
    return _STEPS[kind]()


def _publish() -> Step:
    from vsv.deidentification.steps import publish_step  # noqa: PLC0415

    return publish_step


def _withdraw() -> Step:
    from vsv.deidentification.steps import withdraw_step  # noqa: PLC0415

    return withdraw_step


def _archive() -> Step:
    from vsv.lifecycle.archiving import archive_step  # noqa: PLC0415

    return archive_step


def _restore() -> Step:
    from vsv.lifecycle.archiving import restore_step  # noqa: PLC0415

    return restore_step


def _purge() -> Step:
    from vsv.lifecycle.purging import purge_step  # noqa: PLC0415

    return purge_step


def _send() -> Step:
    from vsv.delivery.sending import send_step  # noqa: PLC0415

    return send_step


_STEPS: Mapping[JobKind, Callable[[], Step]] = {
    JobKind.PUBLISH: _publish,
    JobKind.WITHDRAW: _withdraw,
    JobKind.ARCHIVE: _archive,
    JobKind.RESTORE: _restore,
    JobKind.PURGE: _purge,
    JobKind.SEND: _send,
}

# What a record says while a job is under way, and what it says instead once that was given up.
_GIVEN_UP: Mapping[JobKind, tuple[str, str, str | None]] = {
    JobKind.ARCHIVE: ("original", "ARCHIVING", None),
    JobKind.RESTORE: ("original", "RESTORING", "ARCHIVED"),
    JobKind.SEND: ("delivery", "WAITING", "FAILED"),
}


def give_up(services: Services, job: JobRecord) -> None:
    """Let the slide's record say that nothing is under way any more."""
    record = services.slides.get(job.image_id)
    if record is None or job.kind not in _GIVEN_UP:
        return
    attribute, under_way, instead = _GIVEN_UP[job.kind]
    if getattr(record, attribute) == under_way:
        changes: dict[str, Any] = {attribute: instead}
        services.slides.update(job.image_id, changes, by=job.by)
