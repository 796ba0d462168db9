"""Publishing a slide and withdrawing it. Both can be killed anywhere and run again.

A copy is made out of sight and searched; then its name is claimed, the copy put out, and put in its place among the
slides; then the original's record says so. Withdrawing goes the other way: out of sight first.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from vsv.deidentification.plan import (
    Plan,
    check_free,
    is_ours,
    new_plan,
    note_path,
    policy_text,
    read_plan,
    stage_folder,
    write_plan,
)
from vsv.deidentification.policy import read_policy
from vsv.deidentification.pseudonyms import refusal, told_by_name
from vsv.deidentification.staging import DESCRIPTION, PARTS, clear, make
from vsv.errors import (
    BadRequestError,
    ConflictError,
    SlideNotFoundError,
    UnavailableError,
    VersionConflictError,
    VsvError,
)
from vsv.identifiers import checked_image_id
from vsv.ingest.validation import checksum
from vsv.records.models import JobRecord, SlideRecord, Status
from vsv.services import Services
from vsv.storage import atomic_write
from vsv.storage.numeric_ids import assign_number
from vsv.storage.slide_files import DISK, SLIDE
from vsv.workflow.transitions import BY_ADMINS

_ATTEMPTS = 5


def publish_step(services: Services, job: JobRecord) -> Mapping[str, str]:
    """Publish a slide under the name that the job has, and give the copy's name and checksum.

    Raises AlreadyExistsError for a name that is, or was, another slide's; ConflictError where the original is in the
    archive, or the slide is deleted or published under another name; LeakError where the copy would tell something;
    UnsupportedError for slides that cannot be published; UnavailableError where it may go better later.
    """
    detail = job.detail or {}
    with _disk():
        record = _still_publishable(services, job.image_id, checked_image_id(detail.get("name")))
        plan = _planned(services, record, checked_image_id(detail["name"]), detail.get("policy"))
        if not is_ours(services.files, plan):
            plan = _claimed(services, record, plan)
        _put_out(services, record.image_id, plan)
        _put_in_place(services, record.image_id, plan)
        _record(services, plan, job)
        clear(stage_folder(services.files, record.image_id))
    return {"name": plan.name, "sha256": plan.sha256}


def withdraw_step(services: Services, job: JobRecord) -> Mapping[str, str]:
    """Take a slide's published copy back, and give its name; withdrawn already is done.

    Raises UnavailableError where it cannot be removed now: then it is out of readers' sight at least.
    """
    with _disk():
        record = _known(services, job.image_id)
        plan = read_plan(services.files, job.image_id)
        name = record.published_as or (plan.name if plan is not None else None)
        if name is None:
            return {}
        if record.published_as is not None or (plan is not None and is_ours(services.files, plan)):
            _take_back(services, name, plan if record.published_as is None else None)
        _record_withdrawn(services, job)
        _forget_plan(services, job.image_id)
    return {"name": name}


def undo(services: Services, image_id: str) -> None:
    """Take back what a killed run has put out, where no record tells of it: nobody could withdraw it.

    Raises UnavailableError where it cannot be removed now.
    """
    with _disk():
        record, plan = _known(services, image_id), read_plan(services.files, image_id)
        if record.published_as is not None:
            return
        if plan is not None and is_ours(services.files, plan):
            _take_back(services, plan.name, plan)
        _forget_plan(services, image_id)


def _forget_plan(services: Services, image_id: str) -> None:
    clear(stage_folder(services.files, image_id))
    with suppress(FileNotFoundError):
        note_path(services.files, image_id).unlink()


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(DISK) from error


def _known(services: Services, image_id: str) -> SlideRecord:
    record = services.slides.get(image_id)
    if record is None:
        raise SlideNotFoundError("Slide not found.")
    return record


def _still_publishable(services: Services, image_id: str, name: str) -> SlideRecord:
    try:
        return _publishable(services, image_id, name)
    except ConflictError:
        undo(services, image_id)
        raise


def _publishable(services: Services, image_id: str, name: str) -> SlideRecord:
    record = _known(services, image_id)
    if record.status is Status.DELETED:
        raise ConflictError("This slide is deleted: undelete it before publishing it.")
    if record.published_as not in {None, name}:
        raise ConflictError("This slide is published under another name: withdraw that first.")
    if record.original is not None:
        raise ConflictError("This slide's original is archived: unarchive it first.")
    if record.published_as is None and not _may_be(record.status):
        raise ConflictError(f"A slide with status {record.status} cannot be published.")
    if told := told_by_name(name, record):
        raise BadRequestError(refusal(told))
    return record


def _planned(services: Services, record: SlideRecord, name: str, asked: str | None) -> Plan:
    """Give the plan that is noted, or note a new one; one that led to nothing and is not asked for now is undone."""
    policy, plan = policy_text(services, asked), read_plan(services.files, record.image_id)
    read_policy(policy)
    if plan is not None and (plan.name, plan.policy) == (name, policy):
        return plan
    if record.published_as is not None or (plan and plan.name == name and is_ours(services.files, plan)):
        raise ConflictError(f"{name} was started with another policy: withdraw it, and choose another name.")
    check_free(services, name)
    if plan is not None and is_ours(services.files, plan):
        _take_back(services, plan.name, plan)
    return write_plan(services.files, record.image_id, new_plan(name, policy))


def _claimed(services: Services, record: SlideRecord, plan: Plan) -> Plan:
    """Make the copy, and claim its name for it."""
    check_free(services, plan.name)
    try:
        plan = write_plan(services.files, record.image_id, make(services, record, plan))
        services.files.claim(plan.name, plan.claim)
    except VsvError:
        clear(stage_folder(services.files, record.image_id))  # nothing but a claim makes it worth its room
        raise
    return plan


def _put_out(services: Services, image_id: str, plan: Plan) -> None:
    """Put the copy and its report where published slides go; what is there already is done."""
    for part, suffix in ((DESCRIPTION, "json"), (SLIDE, "svs")):
        path = _part(services, image_id, plan, part)
        digest = plan.sha256 if part == SLIDE else checksum(path)
        services.published.put(path, f"{plan.name}.{suffix}", digest)


def _part(services: Services, image_id: str, plan: Plan, part: str) -> Path:
    """Find a part of the published slide: where it was made, or where a killed run has put it already."""
    places = stage_folder(services.files, image_id) / part, services.files.folder(plan.name) / part
    for path in places:
        if path.exists():
            return path
    raise ConflictError(
        "The files of the published copy are gone: withdraw it, and publish it under a new name."
    )


def _put_in_place(services: Services, image_id: str, plan: Plan) -> None:
    folder = services.files.folder(plan.name)
    for part in PARTS:
        path = _part(services, image_id, plan, part)
        if path.parent != folder:
            path.rename(folder / part)
            atomic_write.flush(folder)
    assign_number(services.files, plan.name)
    services.slide_cache.forget(plan.name)


def _record(services: Services, plan: Plan, job: JobRecord) -> None:
    """Let the original's record say that it is published; takes the copy back where that was deleted meanwhile."""
    for _ in range(_ATTEMPTS):
        record = _known(services, job.image_id)
        if record.published_as == plan.name:
            return
        if not _may_be(record.status):
            undo(services, job.image_id)
            raise ConflictError(
                f"The status became {record.status} during publishing: the copy was withdrawn."
            )
        changes = {"status": Status.PUBLISHED, "status_before": str(record.status), "published_as": plan.name}
        with suppress(VersionConflictError):
            services.slides.update(job.image_id, changes, by=job.by, expected_version=record.version)
            return
    raise UnavailableError("Others keep changing this slide: trying again.")


def _may_be(status: Status) -> bool:
    return status is Status.PUBLISHED or Status.PUBLISHED in BY_ADMINS[status]


def _take_back(services: Services, name: str, plan: Plan | None) -> None:
    """Hide a published slide, remove its copy outside, then its files; the claim on its name stays.

    ``plan``: it was begun only, and what lies outside under its name goes where it is what was begun.
    """
    with suppress(SlideNotFoundError):
        services.files.hide(name)
    services.slide_cache.forget(name)
    outside = services.published.find(f"{name}.svs")
    if plan is None or outside is None or outside.sha256 == plan.sha256:
        for suffix in ("svs", "json"):
            services.published.remove(f"{name}.{suffix}")
    with suppress(SlideNotFoundError):
        services.files.purge(name)


def _record_withdrawn(services: Services, job: JobRecord) -> None:
    for _ in range(_ATTEMPTS):
        record = _known(services, job.image_id)
        if record.published_as is None:
            return
        changes: dict[str, str | None] = {"published_as": None}
        before = record.status_before
        if record.status is Status.PUBLISHED:
            changes |= {"status": before or Status.GOOD, "status_before": None}
        elif before == Status.PUBLISHED:  # archived since
            changes["status_before"] = Status.GOOD
        with suppress(VersionConflictError):
            services.slides.update(job.image_id, changes, by=job.by, expected_version=record.version)
            return
    raise UnavailableError("Others keep changing this slide: trying again.")
