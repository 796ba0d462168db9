"""Requests of lifecycle jobs, and their conditions and roles: publish, withdraw, archive, restore, purge.

Each request is a job: checked and queued here, run by ``job_runner``. Sending is requested by marking a slide SENT
(``workflow.transitions``).
"""

from vsv.deidentification.plan import check_is_one_file, is_ours, read_plan
from vsv.deidentification.pseudonyms import find_revealed, refusal
from vsv.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    InvalidNameError,
    NotFoundError,
    SlideNotFoundError,
)
from vsv.identifiers import is_image_id
from vsv.records.models import JobKind, JobRecord, JobState, SlideRecord, Status
from vsv.services import Services
from vsv.workflow import job_queue
from vsv.workflow.transitions import Decider, check_transition


def publish(services: Services, image_id: str, name: object, decider: Decider, policy: str = "") -> JobRecord:
    """Request a de-identified copy under a new name; ``policy`` is a policy file's text, empty for the default.

    Raises InvalidNameError, BadRequestError for a name that reveals an identifier, ConflictError where the slide is
    published under another name or its original is in the archive, and what ``check_transition`` raises.
    """
    record, published_as = _read_record(services, image_id, decider), _check_name(name)
    if published_as in {image_id, record.slide_id, record.case_id, record.barcode}:
        raise BadRequestError(
            "A published slide needs a new name, not one of its present IDs: choose another."
        )
    if revealed := find_revealed(published_as, record):
        raise BadRequestError(refusal(revealed))
    if record.published_as not in {None, published_as}:
        raise ConflictError("This slide is published under another name: withdraw that first.")
    _check_not_archived(record)
    check_is_one_file(record)
    if record.status is not Status.PUBLISHED:
        check_transition(record.status, Status.PUBLISHED, decider)
    detail = {"name": published_as} | ({"policy": policy} if policy else {})
    return job_queue.request(services, image_id, JobKind.PUBLISH, decider.name, detail)


def withdraw(services: Services, image_id: str, decider: Decider) -> JobRecord:
    """Request the withdrawal of a published copy, also of a begun one; raise ConflictError without a copy."""
    record, plan = _read_record(services, image_id, decider), read_plan(services.files, image_id)
    begun_name = plan.name if plan is not None and is_ours(services.files, plan) else None
    name = record.published_as or begun_name
    if name is None:
        raise ConflictError("This slide is not published.")
    return job_queue.request(services, image_id, JobKind.WITHDRAW, decider.name, {"name": name})


def archive(services: Services, image_id: str, decider: Decider) -> JobRecord:
    """Request the move of the original to the archive; the slide stays viewable."""
    record = _read_record(services, image_id, decider)
    if services.files.in_place(image_id):
        raise ConflictError("This slide's original is in the scanner's folder and cannot be moved.")
    if record.original != "ARCHIVED":
        check_transition(record.status, Status.ARCHIVED, decider)
    return job_queue.request(services, image_id, JobKind.ARCHIVE, decider.name)


def restore(services: Services, image_id: str, decider: Decider) -> JobRecord:
    """Request the restoration of an archived original; the job's record says when the original is expected."""
    record = _read_record(services, image_id, decider)
    if record.original not in {"ARCHIVED", "RESTORING"}:
        raise ConflictError("This slide's original is not archived.")
    return job_queue.request(services, image_id, JobKind.RESTORE, decider.name)


def purge(services: Services, image_id: str, confirmed: object, decider: Decider) -> JobRecord:
    """Request the removal of a deleted slide's files now; ``confirmed`` is its ImageID, given a second time."""
    record = _read_record(services, image_id, decider)
    if confirmed != image_id:
        raise BadRequestError("To purge a slide, repeat its ImageID: the one given does not match.")
    if record.status is not Status.DELETED:
        raise ConflictError("Only a deleted slide can be purged.")
    if record.published_as is not None:
        raise ConflictError("This slide is published: withdraw its copy first.")
    return job_queue.request(services, image_id, JobKind.PURGE, decider.name, {"because": "it was asked for"})


def dismiss(services: Services, image_id: str, kind: JobKind, decider: Decider) -> JobRecord:
    """Take a failed job off the list of failed jobs; the job's record stays, with who dismissed it. Idempotent.

    Only Admins may dismiss what only Admins may request. Raises ConflictError for a job that has not failed, or was
    requested again in the meantime.
    """
    if kind is not JobKind.SEND and not decider.is_admin:
        raise ForbiddenError("Only Admins may do this.")
    job = services.jobs.get(image_id, kind)
    if job is None:
        raise NotFoundError("There is no such job of this slide.")
    if job.state is JobState.DISMISSED:
        return job
    if job.state is not JobState.FAILED:
        raise ConflictError("Only a failed job can be dismissed: this one has not failed.")
    return services.jobs.advance(job, {"state": JobState.DISMISSED, "dismissed_by": decider.name})


def _check_name(name: object) -> str:
    if not isinstance(name, str) or not is_image_id(name):
        raise InvalidNameError(
            "The name of a published slide is 1 to 64 letters, digits, dots, dashes or underscores."
        )
    return name


def _read_record(services: Services, image_id: str, decider: Decider) -> SlideRecord:
    if not decider.is_admin:
        raise ForbiddenError("Only Admins may do this.")
    record = services.slides.get(image_id)
    if record is None:
        raise SlideNotFoundError("Slide not found.")
    return record


def _check_not_archived(record: SlideRecord) -> None:
    if record.original is not None:
        raise ConflictError("This slide's original is archived: unarchive it first.")
