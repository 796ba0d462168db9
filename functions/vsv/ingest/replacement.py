"""Replacement of a slide's content where its file changed, at the same size, before its import was ready.

The first content was a half-written file, which nobody has any more: the run begins again, and its slide keeps its
ImageID. Content is never replaced that a scanner was told is stored, as its file may be gone; that a person changed
the record of; or that a person opened, as browsers keep tiles for a year.
"""

from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from vsv.errors import VersionConflictError
from vsv.records.models import ImportRecord, ImportState, SlideRecord, Status
from vsv.services import Services
from vsv.slides.damage import NOTES
from vsv.storage.archive_marker import read_note
from vsv.storage.originals import store_original
from vsv.storage.slide_files import ASSOCIATED, Claim
from vsv.storage.slide_lock import locked
from vsv.workflow import duplicates

BY = "import"
BY_ITSELF = frozenset({BY, duplicates.AUTHOR})
# What a record keeps when its slide is replaced.
_KEPT = ("image_id", "version", "last_modified", "modified_by")
_SET_BY_PEOPLE = (
    "slide_id",
    "case_id",
    "id_not_confirmed",
    "id_candidates",
    "status",
    "reviewer",
    "note",
    "deleted_at",
)


def superseded(run: ImportRecord | None) -> dict[str, Any]:
    """Return the attributes by which a new run of a changed file replaces what its unfinished run has stored."""
    if run is None or run.state is ImportState.READY or run.confirmed:
        return {}
    if run.image_id is None:
        return pending(run)
    return {"superseded_id": run.image_id, "superseded_checksum": run.checksum}


def pending(run: ImportRecord) -> dict[str, Any]:
    """Return the attributes of a replacement that a run has not made yet, for the run that follows."""
    if run.image_id is not None or run.superseded_id is None:
        return {}
    return {"superseded_id": run.superseded_id, "superseded_checksum": run.superseded_checksum}


def confirm(services: Services, run: ImportRecord | None, image_id: str | None) -> bool:
    """Record that a slide is about to be confirmed to its scanner; return False where its content is being replaced.

    ``run`` is the latest of the filename. From then on the stored content may be the only copy.
    """
    if run is None or run.state is ImportState.READY:
        return True
    if run.superseded_id == image_id and not _is_replaced(services, run):
        return False
    if run.image_id == image_id and not run.confirmed:
        try:
            services.imports.advance(run.filename, run.run_id, {"confirmed": True})
        except VersionConflictError:
            return False
    return True


def _is_replaced(services: Services, run: ImportRecord) -> bool:
    """Return whether the slide that a run supersedes has the run's content by now, in its record, too."""
    record = services.slides.get(str(run.superseded_id))
    return run.image_id == run.superseded_id and record is not None and record.checksum == run.checksum


def take_over(services: Services, run: ImportRecord, path: Path) -> str | None:
    """Put a run's file in the place of the content that it supersedes; return the ImageID, None where it may not.

    Can be run again after a crash at any point: the claim is rewritten last.
    """
    image_id = run.superseded_id
    if path.is_dir():  # a set of files: the changed set gets an ImageID of its own
        return None
    if image_id is None or run.checksum is None or not _may_be_replaced(services, run, image_id):
        return None
    with locked(services.files, image_id):
        pyramid = services.files.pyramid(image_id)
        for derived in (pyramid, pyramid.with_name(NOTES), *_pictures(services, image_id)):
            derived.unlink(missing_ok=True)
        store_original(path, services.files.slide(image_id))
        services.files.claim_again(image_id, Claim(run.filename, run.size, run.checksum))
    services.slide_cache.forget(image_id)
    return image_id


def _pictures(services: Services, image_id: str) -> tuple[Path, ...]:
    return tuple(services.files.associated(image_id, name) for name in ASSOCIATED)


def _may_be_replaced(services: Services, run: ImportRecord, image_id: str) -> bool:
    """Return whether an ImageID's content is what the run supersedes, or already the run's own after a crash."""
    files, record = services.files, services.slides.get(image_id)
    checksums = (run.superseded_checksum, run.checksum)
    if not files.folder(image_id).is_dir() or read_note(files.folder(image_id)) is not None:
        return False
    if files.last_opened(image_id) is not None:
        return False
    if all(files.is_claimed_by_another(image_id, checksum) for checksum in checksums):
        return False
    return record is None or (_is_as_imported(services, record) and record.checksum in checksums)


def _is_as_imported(services: Services, record: SlideRecord) -> bool:
    """Return whether no person has changed a record; the marks of duplicates do not count."""
    if record.status is not Status.NEW or record.modified_by not in BY_ITSELF:
        return False
    if record.modified_by == BY:
        return True
    return all(change.by in BY_ITSELF for change in services.slides.history(record.image_id, 100).items)


def refresh(services: Services, run: ImportRecord, record: SlideRecord) -> None:
    """Replace the record of superseded content; where a person has changed it meanwhile, keep what people set."""
    while (stored := services.slides.get(record.image_id)) is not None:
        if run.superseded_checksum is None or stored.checksum != run.superseded_checksum:
            return
        kept = _KEPT if _is_as_imported(services, stored) else (*_KEPT, *_SET_BY_PEOPLE)
        changes = {f.name: getattr(record, f.name) for f in fields(record) if f.name not in kept}
        by = stored.modified_by or BY
        with suppress(VersionConflictError):
            services.slides.update(record.image_id, changes, by=by, expected_version=stored.version)
            return
