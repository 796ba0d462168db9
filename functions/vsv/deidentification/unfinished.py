"""Publications that were begun and not completed: taking back what they have left outside their stage folder.

While a copy may be seen that no record calls published, the original's record names it as ``publishing_as``. What
drops images from the edge's cache reads the changes of records, and so learns of a copy that is taken back.
"""

from contextlib import suppress
from pathlib import Path

from vsv.deidentification.plan import Plan, is_ours, note_path, read_plan, stage_folder
from vsv.deidentification.staging import DESCRIPTION, PARTS, clear
from vsv.errors import SlideNotFoundError, UnavailableError, VersionConflictError
from vsv.ingest.validation import checksum
from vsv.services import Services
from vsv.storage import atomic_write
from vsv.storage.slide_files import DISK, SLIDE

_ATTEMPTS = 5


def undo(services: Services, image_id: str) -> None:
    """Remove a copy that a killed run has published and no record mentions: such a copy could never be withdrawn.

    Raises UnavailableError where the copy cannot be removed now.
    """
    try:
        plan = _read_begun(services, image_id)
        if plan is not None:
            remove_copy(services, image_id, plan)
            note_begun(services, image_id, None)
        if not _is_published(services, image_id):
            remove_plan(services, image_id)
    except OSError as error:
        raise UnavailableError(DISK) from error


def retract(services: Services, image_id: str) -> None:
    """Take a begun publication back into its stage folder, out of the slides and of the published files.

    Its name stays claimed, so that the publication can be requested again. Idempotent: each step can be killed.
    Raises UnavailableError where the files cannot be moved or removed now.
    """
    try:
        plan = _read_begun(services, image_id)
        if plan is None:
            return
        _move_back(services, image_id, plan)
        _discard_published(services, image_id, plan)
        note_begun(services, image_id, None)
    except OSError as error:
        raise UnavailableError(DISK) from error


def _read_begun(services: Services, image_id: str) -> Plan | None:
    """Return the plan of a publication that claimed its name and that the record does not call published."""
    if _is_published(services, image_id):
        return None
    plan = read_plan(services.files, image_id)
    return plan if plan is not None and is_ours(services.files, plan) else None


def _is_published(services: Services, image_id: str) -> bool:
    record = services.slides.get(image_id)
    if record is None:
        raise SlideNotFoundError("Slide not found.")
    return record.published_as is not None


def note_begun(services: Services, image_id: str, name: str | None) -> None:
    """Record the name under which a copy is about to be seen, None once it no longer is."""
    for _ in range(_ATTEMPTS):
        record = services.slides.get(image_id)
        if record is None or record.publishing_as == name:
            return
        changes = {"publishing_as": name}
        with suppress(VersionConflictError):
            by = record.modified_by or "vsv"
            services.slides.update(image_id, changes, by=by, expected_version=record.version)
            return
    raise UnavailableError("Others keep changing this slide: trying again.")


def _move_back(services: Services, image_id: str, plan: Plan) -> None:
    folder, stage = services.files.folder(plan.name), stage_folder(services.files, image_id)
    if not folder.exists():
        return
    stage.mkdir(parents=True, exist_ok=True)
    for part in sorted(PARTS, key=lambda part: part != SLIDE):  # a slide is seen while its own file is there
        with suppress(FileNotFoundError):
            (folder / part).rename(stage / part)
    atomic_write.flush(folder)
    atomic_write.flush(stage)
    services.slide_cache.forget(plan.name)


def _discard_published(services: Services, image_id: str, plan: Plan) -> None:
    """Remove this publication's files from the published ones; another content under its name stays."""
    services.published.discard(f"{plan.name}.svs", plan.sha256)
    for path in _places(services, image_id, plan):
        if path.exists():
            services.published.discard(f"{plan.name}.json", checksum(path))
            return


def _places(services: Services, image_id: str, plan: Plan) -> tuple[Path, ...]:
    """Return where a copy's description is, or was moved to by a killed run."""
    files = services.files
    folders = stage_folder(files, image_id), files.folder(plan.name), files.deleted_folder(plan.name)
    return tuple(folder / DESCRIPTION for folder in folders)


def remove_copy(services: Services, image_id: str, plan: Plan) -> None:
    """Hide a begun copy, remove its published files, then its own files; the claim on its name stays."""
    with suppress(SlideNotFoundError):
        services.files.hide(plan.name)
    services.slide_cache.forget(plan.name)
    _discard_published(services, image_id, plan)
    with suppress(SlideNotFoundError):
        services.files.purge(plan.name)


def remove_plan(services: Services, image_id: str) -> None:
    """Remove the stage folder of a slide's publication, then its plan."""
    clear(stage_folder(services.files, image_id))
    with suppress(FileNotFoundError):
        note_path(services.files, image_id).unlink()
