"""Changes that people may make to a slide: which status may follow which, and the role that each requires.

PUBLISHED and ARCHIVED are set and left by jobs that ``lifecycle.requests`` requests, never by hand. SENT, where a
registry is configured, is set once that registry has acknowledged the slide.

====================  =====================  =======================
from                  Technicians            Admins as well
====================  =====================  =======================
NEW                   GOOD BAD               ARCHIVED DELETED
GOOD                  NEW BAD SENT           PUBLISHED ARCHIVED DELETED
BAD                   NEW GOOD               ARCHIVED DELETED
SENT                  GOOD BAD               PUBLISHED ARCHIVED DELETED
PUBLISHED             (nobody)               GOOD SENT ARCHIVED
ARCHIVED              (nobody)               GOOD DELETED
DELETED               (nobody)               NEW
====================  =====================  =======================

A published slide is withdrawn before it is deleted; a deleted slide that is brought back is NEW: reviewed again.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from vsv.errors import (
    ConflictError,
    ForbiddenError,
    IllegalTransitionError,
    SlideNotFoundError,
    VersionConflictError,
)
from vsv.records.models import JobKind, JobState, SlideRecord, Status
from vsv.services import Services
from vsv.storage.slide_lock import locked
from vsv.timestamps import now_utc
from vsv.workflow import duplicates, job_queue

NEW, GOOD, BAD, SENT = Status.NEW, Status.GOOD, Status.BAD, Status.SENT
PUBLISHED, ARCHIVED, DELETED = Status.PUBLISHED, Status.ARCHIVED, Status.DELETED

BY_TECHNICIANS: Mapping[Status, tuple[Status, ...]] = {
    NEW: (GOOD, BAD),
    GOOD: (NEW, BAD, SENT),
    BAD: (NEW, GOOD),
    SENT: (GOOD, BAD),
    PUBLISHED: (),
    ARCHIVED: (),
    DELETED: (),
}
BY_ADMINS: Mapping[Status, tuple[Status, ...]] = {
    NEW: (ARCHIVED, DELETED),
    GOOD: (PUBLISHED, ARCHIVED, DELETED),
    BAD: (ARCHIVED, DELETED),
    SENT: (PUBLISHED, ARCHIVED, DELETED),
    PUBLISHED: (GOOD, SENT, ARCHIVED),
    ARCHIVED: (GOOD, DELETED),
    DELETED: (NEW,),
}
_BY_JOBS = {
    PUBLISHED: "Use Publish or Withdraw instead: publishing needs a name for the copy.",
    ARCHIVED: "Use Archive or Unarchive instead: moving the original takes time.",
}
# Why a slide of this status is not sent, and what comes first.
_NOT_SENT = {
    PUBLISHED: "This slide is published: withdraw its published copy before sending it.",
    ARCHIVED: "This slide's original is archived: unarchive it before sending it.",
    DELETED: "This slide is deleted: undelete it and mark it GOOD before sending it.",
}
# Attempts of a change, decided again on the current record each time, while concurrent changes are faster.
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Decider:
    """Person who changes a slide: the name for the slide's history, and whether that person is an Admin."""

    name: str
    is_admin: bool


def change(
    services: Services,
    image_id: str,
    changes: Mapping[str, Any],
    decider: Decider,
    expected_version: int | None = None,
) -> SlideRecord:
    """Change a slide's attributes (None removes) and return its record; without a difference nothing is written.

    Raises SlideNotFoundError, IllegalTransitionError, ForbiddenError, and VersionConflictError where the record is
    no longer at ``expected_version``.
    """
    wanted = {**changes, "status": changes["status"] or NEW} if "status" in changes else {**changes}
    for _ in range(ATTEMPTS):
        stored = _read_record(services, image_id, expected_version)
        settled = {**wanted, **_confirmation(stored, wanted)}
        different = {name: value for name, value in settled.items() if getattr(stored, name) != value}
        if not different:
            # A change that was killed may have left the files visible, and the marks of duplicates as they were.
            _hide_if_deleted(services, stored)
            return (
                duplicates.settle(services, stored).get(image_id, stored) if "slide_id" in wanted else stored
            )
        status = different.get("status", stored.status)
        _check_may_be_sent(stored, status, decider)
        check_transition(stored.status, status, decider)
        _check_by_hand(stored, status)
        with suppress(VersionConflictError):
            record = _write(services, stored, different, decider)
            return _settled(services, stored, record)
    raise VersionConflictError("Others keep changing this slide: reload it, then try again.")


def _settled(services: Services, before: SlideRecord, after: SlideRecord) -> SlideRecord:
    """Bring the marks of duplicates up to date where the change can make or end one; return the slide's record."""
    is_hidden_or_back = (before.status is DELETED) != (after.status is DELETED)
    if before.slide_id == after.slide_id and not is_hidden_or_back:
        return after
    return duplicates.settle(services, before, after).get(after.image_id, after)


def _confirmation(stored: SlideRecord, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return whether the IDs are confirmed by a change of the case: a person has said whose slide it is.

    Undoing the choice of a candidate makes the slide its own case again, and the candidates are open as before.
    """
    if wanted.get("case_id") is None:
        return {}
    is_undone = stored.id_candidates is not None and wanted["case_id"] == stored.image_id
    return {"id_not_confirmed": True if is_undone else None}


def check_transition(old: Status, new: Status, decider: Decider) -> None:
    """Raise IllegalTransitionError or ForbiddenError unless the decider may change a status from old to new."""
    if new == old or new in BY_TECHNICIANS[old] or (decider.is_admin and new in BY_ADMINS[old]):
        return
    if new in BY_ADMINS[old]:
        raise ForbiddenError(f"Only Admins may change the status from {old} to {new}.")
    if new is SENT and GOOD in BY_TECHNICIANS[old]:
        raise IllegalTransitionError(f"Mark the slide {GOOD} before sending it.")
    allowed = BY_TECHNICIANS[old] + (BY_ADMINS[old] if decider.is_admin else ())
    may = ", ".join(allowed) if allowed else "none, except for Admins"
    raise IllegalTransitionError(f"The status cannot change from {old} to {new}. Allowed: {may}.")


def _check_may_be_sent(stored: SlideRecord, status: Status, decider: Decider) -> None:
    """Raise IllegalTransitionError that names what an Admin has to do before the slide can be sent."""
    if status is SENT and decider.is_admin and stored.status in _NOT_SENT:
        raise IllegalTransitionError(_NOT_SENT[stored.status])


def _check_by_hand(stored: SlideRecord, status: Status) -> None:
    """Raise IllegalTransitionError for a status that only jobs set, ConflictError for deleting a published slide."""
    by_job = _BY_JOBS.get(status) or _BY_JOBS.get(stored.status)
    if by_job and status not in {stored.status, DELETED}:
        raise IllegalTransitionError(by_job)
    if status is DELETED and stored.published_as is not None:
        raise ConflictError("This slide is published: withdraw its copy before deleting it.")


def _read_record(services: Services, image_id: str, expected_version: int | None) -> SlideRecord:
    stored = services.slides.get(image_id)
    if stored is None:
        raise SlideNotFoundError("Slide not found.")
    if expected_version not in (None, stored.version):
        raise VersionConflictError(
            f"{stored.modified_by or 'Somebody'} changed this slide in the meantime (now at version"
            f" {stored.version}, not {expected_version}): reload it, then try again."
        )
    return stored


def _write(
    services: Services, stored: SlideRecord, different: Mapping[str, Any], decider: Decider
) -> SlideRecord:
    """Write the changes to the record at the version read; hide or bring back files as the status demands."""
    status, changes = different.get("status", stored.status), dict(different)
    if status is SENT and stored.status is not SENT and services.settings.sending:
        return _request_sending(services, stored, changes, decider)
    if stored.status is DELETED and status is not DELETED:
        return _bring_back(services, stored, changes | {"deleted_at": None}, decider)
    if status is DELETED and stored.status is not DELETED:
        changes["deleted_at"] = now_utc()
    if status is not stored.status and stored.delivery == "WAITING":
        changes["delivery"] = None  # the slide was marked for sending, and no longer is
    # Always on the version that was checked: a transition that is legal now may not be in a moment.
    record = services.slides.update(
        stored.image_id, changes, by=decider.name, expected_version=stored.version
    )
    _hide_if_deleted(services, record)
    return record


def _request_sending(
    services: Services, stored: SlideRecord, different: Mapping[str, Any], decider: Decider
) -> SlideRecord:
    """Mark a slide for delivery and request the job; the status follows the registry's acknowledgement.

    Idempotent: a second call completes what a crash interrupted.
    """
    changes = {name: value for name, value in different.items() if name != "status"}
    if stored.delivery != "WAITING":
        changes["delivery"] = "WAITING"
    record = stored
    if changes:
        record = services.slides.update(
            stored.image_id, changes, by=decider.name, expected_version=stored.version
        )
    # The document sent is fixed with the first attempt: another version of the record is another delivery.
    version = {"version": str(record.version)}
    job_queue.request(services, stored.image_id, JobKind.SEND, decider.name, version, instead=True)
    return record


def _hide_if_deleted(services: Services, record: SlideRecord) -> None:
    if record.status is not DELETED:
        return
    with suppress(SlideNotFoundError):  # a record without files has nothing to hide
        services.files.hide(record.image_id)
        current = services.slides.get(record.image_id)
        if current is not None and current.status is not DELETED:  # brought back before it was hidden
            services.files.unhide(record.image_id)


def _bring_back(
    services: Services, stored: SlideRecord, changes: Mapping[str, Any], decider: Decider
) -> SlideRecord:
    """Bring a deleted slide's files back, then its record; a purge that starts meanwhile finds both or neither.

    Raises UnavailableError where another process holds the slide's lock, SlideNotFoundError where the files were
    purged, ConflictError where a purge waits.
    """
    image_id = stored.image_id
    with locked(services.files, image_id):
        if services.files.stored_size(image_id) is None:
            raise SlideNotFoundError("This slide's files were permanently deleted: it cannot be undeleted.")
        purge = services.jobs.get(image_id, JobKind.PURGE)
        if purge is not None and purge.state is JobState.WAITING:
            raise ConflictError("This slide is being purged: it cannot be undeleted.")
        services.files.unhide(image_id)
        record = services.slides.update(image_id, changes, by=decider.name, expected_version=stored.version)
        services.files.unhide(image_id)  # a concurrent deletion may have hidden the files only now
    return record
