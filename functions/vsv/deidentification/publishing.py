"""Publishing of a de-identified slide, and its withdrawal. Both are idempotent: a crash at any point is safe.

A copy is made hidden from readers and scanned for PHI; then its name is claimed, the copy is stored among the
published files and moved to its folder among the slides; then the original's record is updated. Withdrawal runs in
the reverse order: the copy is hidden first.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from vsv.deidentification.plan import (
    Plan,
    check_free,
    check_is_one_file,
    is_ours,
    new_plan,
    policy_text,
    read_plan,
    stage_folder,
    write_plan,
)
from vsv.deidentification.policy import read_policy
from vsv.deidentification.pseudonyms import find_revealed, refusal
from vsv.deidentification.staging import DESCRIPTION, PARTS, clear, make
from vsv.deidentification.unfinished import note_begun, remove_copy, remove_plan, retract, undo
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
from vsv.slides.damage import NOTES
from vsv.storage import atomic_write
from vsv.storage.numeric_ids import assign_number
from vsv.storage.slide_files import DISK, SLIDE
from vsv.workflow.transitions import BY_ADMINS

_ATTEMPTS = 5


def publish_step(services: Services, job: JobRecord) -> Mapping[str, str]:
    """Publish a slide under the job's name; return the copy's name and checksum.

    Raises AlreadyExistsError for a name that is, or was, another slide's; ConflictError where the original is in the
    archive, or the slide is deleted or published under another name; BadRequestError where the name would reveal an
    identifier; LeakError where the copy would hold PHI; UnsupportedError for slides that cannot be published;
    UnavailableError where a retry may succeed.
    """
    detail = job.detail or {}
    with _disk_errors():
        record = _read_or_undo(services, job.image_id, checked_image_id(detail.get("name")))
        plan = _make_plan(services, record, checked_image_id(detail["name"]), detail.get("policy"))
        if not is_ours(services.files, plan):
            plan = _make_and_claim(services, record, plan)
        _bring_out(services, plan, job)
        clear(stage_folder(services.files, record.image_id))
    return {"name": plan.name, "sha256": plan.sha256}


def _bring_out(services: Services, plan: Plan, job: JobRecord) -> None:
    """Store the copy, put it among the slides and record it; where that fails for good, take it back again."""
    try:
        _store_published(services, job.image_id, plan)
        if _read_record(services, job.image_id).published_as != plan.name:
            note_begun(services, job.image_id, plan.name)
        _put_in_place(services, job.image_id, plan)
        _record(services, plan, job)
    except UnavailableError:
        raise  # the next attempt continues; job_registry takes back what the last one has left
    except VsvError:
        retract(services, job.image_id)
        raise


def withdraw_step(services: Services, job: JobRecord) -> Mapping[str, str]:
    """Withdraw a slide's published copy; return the copy's name, or an empty result if no copy is left.

    Raises UnavailableError where the copy cannot be removed now: it is then at least hidden from readers.
    """
    with _disk_errors():
        record = _read_record(services, job.image_id)
        plan = read_plan(services.files, job.image_id)
        name = record.published_as or (plan.name if plan is not None else None)
        if name is None:
            return {}
        if record.published_as is not None:
            _remove_published(services, name)
        elif plan is not None and is_ours(services.files, plan):
            remove_copy(services, job.image_id, plan)
        _record_withdrawn(services, job)
        remove_plan(services, job.image_id)
    return {"name": name}


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(DISK) from error


def _read_record(services: Services, image_id: str) -> SlideRecord:
    record = services.slides.get(image_id)
    if record is None:
        raise SlideNotFoundError("Slide not found.")
    return record


def _read_or_undo(services: Services, image_id: str, name: str) -> SlideRecord:
    try:
        return _read_publishable(services, image_id, name)
    except ConflictError:
        undo(services, image_id)
        raise


def _read_publishable(services: Services, image_id: str, name: str) -> SlideRecord:
    record = _read_record(services, image_id)
    if record.status is Status.DELETED:
        raise ConflictError("This slide is deleted: undelete it before publishing it.")
    if record.published_as not in {None, name}:
        raise ConflictError("This slide is published under another name: withdraw that first.")
    if record.original is not None:
        raise ConflictError("This slide's original is archived: unarchive it first.")
    check_is_one_file(record)
    if record.published_as is None and not _may_be_published(record.status):
        raise ConflictError(f"A slide with status {record.status} cannot be published.")
    if revealed := find_revealed(name, record):
        raise BadRequestError(refusal(revealed))
    return record


def _make_plan(services: Services, record: SlideRecord, name: str, requested_policy: str | None) -> Plan:
    """Return the stored plan of this name and policy, or store a new plan; undo an unfinished plan that differs."""
    policy, plan = policy_text(services, requested_policy), read_plan(services.files, record.image_id)
    read_policy(policy)
    if plan is not None and (plan.name, plan.policy) == (name, policy):
        return plan
    if record.published_as is not None or (plan and plan.name == name and is_ours(services.files, plan)):
        raise ConflictError(f"{name} was started with another policy: withdraw it, and choose another name.")
    check_free(services, name)
    if plan is not None and is_ours(services.files, plan):
        remove_copy(services, record.image_id, plan)
        note_begun(services, record.image_id, None)
    return write_plan(services.files, record.image_id, new_plan(name, policy))


def _make_and_claim(services: Services, record: SlideRecord, plan: Plan) -> Plan:
    """Make the copy and claim its name; return the plan with the copy's checksum."""
    check_free(services, plan.name)
    try:
        plan = write_plan(services.files, record.image_id, make(services, record, plan))
        services.files.claim(plan.name, plan.claim)
    except VsvError:
        clear(stage_folder(services.files, record.image_id))  # a copy without a claim only takes disk space
        raise
    return plan


def _store_published(services: Services, image_id: str, plan: Plan) -> None:
    """Store the copy and its description among the published files; idempotent."""
    for part, suffix in ((DESCRIPTION, "json"), (SLIDE, "svs")):
        path = _find_part(services, image_id, plan, part)
        digest = plan.sha256 if part == SLIDE else checksum(path)
        services.published.put(path, f"{plan.name}.{suffix}", digest)


def _find_part(services: Services, image_id: str, plan: Plan, part: str) -> Path:
    """Return the path of a part of the published slide: in the stage folder, or where a killed run has moved it."""
    paths = stage_folder(services.files, image_id) / part, services.files.folder(plan.name) / part
    for path in paths:
        if path.exists():
            return path
    raise ConflictError(
        "The files of the published copy are gone: withdraw it, and publish it under a new name."
    )


def _put_in_place(services: Services, image_id: str, plan: Plan) -> None:
    folder = services.files.folder(plan.name)
    if (notes := stage_folder(services.files, image_id) / NOTES).exists():
        notes.rename(folder / NOTES)
    for part in PARTS:
        path = _find_part(services, image_id, plan, part)
        if path.parent != folder:
            path.rename(folder / part)
            atomic_write.flush(folder)
    assign_number(services.files, plan.name)
    services.slide_cache.forget(plan.name)


def _record(services: Services, plan: Plan, job: JobRecord) -> None:
    """Record in the original's record that it is published; remove the copy if the slide was deleted meanwhile.

    Raises ConflictError for a status that may not become PUBLISHED, UnavailableError for a retry.
    """
    for _ in range(_ATTEMPTS):
        record = _read_record(services, job.image_id)
        if record.published_as == plan.name:
            return
        if not _may_be_published(record.status):
            undo(services, job.image_id)
            raise ConflictError(
                f"The status became {record.status} during publishing: the copy was withdrawn."
            )
        changes: dict[str, str | None] = {"status": Status.PUBLISHED, "status_before": str(record.status)}
        changes |= {"published_as": plan.name, "publishing_as": None}
        with suppress(VersionConflictError):
            services.slides.update(job.image_id, changes, by=job.by, expected_version=record.version)
            return
    raise UnavailableError("Others keep changing this slide: trying again.")


def _may_be_published(status: Status) -> bool:
    return status is Status.PUBLISHED or Status.PUBLISHED in BY_ADMINS[status]


def _remove_published(services: Services, name: str) -> None:
    """Hide a published slide, remove its published files, then its own files; the claim on its name stays."""
    with suppress(SlideNotFoundError):
        services.files.hide(name)
    services.slide_cache.forget(name)
    for suffix in ("svs", "json"):
        services.published.remove(f"{name}.{suffix}")
    with suppress(SlideNotFoundError):
        services.files.purge(name)


def _record_withdrawn(services: Services, job: JobRecord) -> None:
    for _ in range(_ATTEMPTS):
        record = _read_record(services, job.image_id)
        if record.published_as is None and record.publishing_as is None:
            return
        changes: dict[str, str | None] = {"published_as": None, "publishing_as": None}
        before = record.status_before
        if record.status is Status.PUBLISHED:
            changes |= {"status": before or Status.GOOD, "status_before": None}
        elif before == Status.PUBLISHED:  # archived since
            changes["status_before"] = Status.GOOD
        with suppress(VersionConflictError):
            services.slides.update(job.image_id, changes, by=job.by, expected_version=record.version)
            return
    raise UnavailableError("Others keep changing this slide: trying again.")
