"""What may be asked for in a slide's life, when, and by whom: publish, withdraw, archive, restore, purge.

Each is a job: asked for here, done by ``job_runs``. Sending is asked for by marking a slide SENT (``review``).
"""

from vsv.deidentification.plan import is_ours, read_plan
from vsv.deidentification.pseudonyms import refusal, told_by_name
from vsv.errors import BadRequestError, ConflictError, ForbiddenError, InvalidNameError, SlideNotFoundError
from vsv.identifiers import is_image_id
from vsv.records.models import JobKind, JobRecord, SlideRecord, Status
from vsv.services import Services
from vsv.workflow import job_queue
from vsv.workflow.transitions import Decider, check_transition


def publish(services: Services, image_id: str, name: object, who: Decider, policy: str = "") -> JobRecord:
    """Ask for a copy without patient data under a new name; ``policy`` is a policy file's text, empty for the usual.

    Raises InvalidNameError, ConflictError where the slide is published under another name, and what
    ``check_transition`` raises.
    """
    record, published_as = _record(services, image_id, who), _checked_name(name)
    if published_as in {image_id, record.slide_id, record.case_id, record.barcode}:
        raise BadRequestError(
            "A published slide needs a new name, not one of its present IDs: choose another."
        )
    if told := told_by_name(published_as, record):
        raise BadRequestError(refusal(told))
    if record.published_as not in {None, published_as}:
        raise ConflictError("This slide is published under another name: withdraw that first.")
    _check_here(record)
    if record.status is not Status.PUBLISHED:
        check_transition(record.status, Status.PUBLISHED, who)
    detail = {"name": published_as} | ({"policy": policy} if policy else {})
    return job_queue.request(services, image_id, JobKind.PUBLISH, who.name, detail)


def withdraw(services: Services, image_id: str, who: Decider) -> JobRecord:
    """Ask for a published copy to be taken back, also one that was begun only; raises ConflictError for none."""
    record, plan = _record(services, image_id, who), read_plan(services.files, image_id)
    begun = plan.name if plan is not None and is_ours(services.files, plan) else None
    name = record.published_as or begun
    if name is None:
        raise ConflictError("This slide is not published.")
    return job_queue.request(services, image_id, JobKind.WITHDRAW, who.name, {"name": name})


def archive(services: Services, image_id: str, who: Decider) -> JobRecord:
    """Ask for the original to be moved to the archive; the slide stays viewable."""
    record = _record(services, image_id, who)
    if services.files.in_place(image_id):
        raise ConflictError("This slide's original is in the scanner's folder and cannot be moved.")
    if record.original != "ARCHIVED":
        check_transition(record.status, Status.ARCHIVED, who)
    return job_queue.request(services, image_id, JobKind.ARCHIVE, who.name)


def restore(services: Services, image_id: str, who: Decider) -> JobRecord:
    """Ask for an archived original to be brought back; the job says when it is expected."""
    record = _record(services, image_id, who)
    if record.original not in {"ARCHIVED", "RESTORING"}:
        raise ConflictError("This slide's original is not archived.")
    return job_queue.request(services, image_id, JobKind.RESTORE, who.name)


def purge(services: Services, image_id: str, confirmed: object, who: Decider) -> JobRecord:
    """Ask for a deleted slide's files to be removed now; ``confirmed`` is its ImageID, written a second time."""
    record = _record(services, image_id, who)
    if confirmed != image_id:
        raise BadRequestError("To purge a slide, repeat its ImageID: the one given does not match.")
    if record.status is not Status.DELETED:
        raise ConflictError("Only a deleted slide can be purged.")
    if record.published_as is not None:
        raise ConflictError("This slide is published: withdraw its copy first.")
    return job_queue.request(services, image_id, JobKind.PURGE, who.name, {"because": "it was asked for"})


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not is_image_id(name):
        raise InvalidNameError(
            "The name of a published slide is 1 to 64 letters, digits, dots, dashes or underscores."
        )
    return name


def _record(services: Services, image_id: str, who: Decider) -> SlideRecord:
    if not who.is_admin:
        raise ForbiddenError("Only Admins may do this.")
    record = services.slides.get(image_id)
    if record is None:
        raise SlideNotFoundError("Slide not found.")
    return record


def _check_here(record: SlideRecord) -> None:
    if record.original is not None:
        raise ConflictError("This slide's original is archived: unarchive it first.")
