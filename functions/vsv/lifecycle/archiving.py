"""Archiving of originals, and their restoration. The slide stays viewable meanwhile, at full resolution.

At every moment the original is whole in at least one place: in the data folder until the archive's copy is verified;
in the archive until the restored original is verified, and after that still. Each step finds from the files which
work is done, and so is idempotent after a crash at any point.
"""

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vsv.errors import (
    ConflictError,
    FileMissingError,
    NotYetError,
    SlideNotFoundError,
    UnavailableError,
    VersionConflictError,
)
from vsv.ingest.damage_notes import record_damage
from vsv.ingest.runs import UNDER_WAY
from vsv.ingest.stored_slides import is_sha256
from vsv.ingest.validation import checksum
from vsv.lifecycle import archive_ownership, archived_set
from vsv.lifecycle.archive_ownership import key_of
from vsv.pyramids.empty_tiles import is_outdated
from vsv.pyramids.renewal import render_again
from vsv.pyramids.self_contained import check_complete, complete
from vsv.records.models import JobRecord, SlideRecord, Status
from vsv.services import Services
from vsv.storage import atomic_write, nfs
from vsv.storage.archive_marker import NOTE, Archived, read_note, write_note
from vsv.storage.object_store import Stored
from vsv.storage.slide_files import SLIDE
from vsv.workflow.transitions import BY_ADMINS

log = logging.getLogger(__name__)

# Attempts of a record's change while concurrent changes are faster.
ATTEMPTS = 5
# When to check again for an original that is overdue.
LOOK_S = 900.0
Changes = dict[str, Any]


def archive_step(services: Services, job: JobRecord) -> Mapping[str, str]:
    """Complete a slide's pyramid, then move its original to the archive; return the original's size and SHA-256.

    Raises ConflictError where the original may not be archived, UnavailableError while the archive or the disk
    refuses.
    """
    image_id, folder = job.image_id, _find_folder(services, job.image_id)
    if nfs.exists_uncached(folder / SLIDE):
        before = _read_record(services, image_id)
        _check_may_be_archived(services, before)
        record = _update_record(services, job, lambda _: {"original": "ARCHIVING"})
        content = _read_content(services, record)
        archive_ownership.claim_for_archiving(services, before, content)
        _complete_pyramid(services, image_id)
        copy = _store_verified(services, record, content)
        archived_set.store(services, image_id, folder)
        check_complete(services.files.pyramid(image_id))
        write_note(folder, copy)
        (folder / SLIDE).unlink()
        atomic_write.flush(folder)
        services.slide_cache.forget(image_id)
    if (note := read_note(folder)) is None:
        raise SlideNotFoundError("no original is stored for this slide")
    archived_set.remove_originals(folder)
    _update_record(services, job, _archived_changes)
    log.info("the original of slide %s is archived: %d bytes", image_id, note.size)
    return {"bytes": str(note.size), "sha256": note.sha256}


def _find_folder(services: Services, image_id: str) -> Path:
    """Return the folder that holds a slide's files now: a deletion, possible at any time, changes the folder."""
    is_hidden = services.files.is_hidden(image_id)
    return services.files.deleted_folder(image_id) if is_hidden else services.files.folder(image_id)


def _check_may_be_archived(services: Services, record: SlideRecord) -> None:
    is_legal = record.status is Status.ARCHIVED or Status.ARCHIVED in BY_ADMINS[record.status]
    if services.files.is_hidden(record.image_id) or not is_legal:
        raise ConflictError(f"A slide with status {record.status} cannot be archived.")
    if services.files.in_place(record.image_id):
        raise ConflictError("This slide's original is in the scanner's folder and cannot be moved.")
    run = services.imports.get(record.filename)
    if run is not None and run.image_id == record.image_id and run.state in UNDER_WAY:
        raise ConflictError("This slide is still being imported: archive it when that is done.")


def _complete_pyramid(services: Services, image_id: str) -> None:
    services.slide_cache.forget(image_id)  # its pyramid may have been finished a moment ago
    slide, pyramid = services.slide_cache.slide(image_id, is_seen=False), services.files.pyramid(image_id)
    if len(slide.levels) == slide.grid.level_count and is_outdated(slide, pyramid):
        render_again(slide, pyramid, None, lambda _done, _total: None)
        services.slide_cache.forget(image_id)
        record_damage(services, image_id)
        slide = services.slide_cache.slide(image_id, is_seen=False)
    complete(slide, pyramid)


def _read_content(services: Services, record: SlideRecord) -> Stored:
    """Return the original's size and SHA-256; raise ConflictError where its size is not the imported file's."""
    path, known = services.files.slide(record.image_id), record.checksum or ""
    size = path.stat().st_size
    if size != record.file_size:
        raise ConflictError("The original has changed since it was imported: it was not moved.")
    return Stored(size, known.lower() if is_sha256(known) else checksum(path))


def _store_verified(services: Services, record: SlideRecord, content: Stored) -> Archived:
    """Store the original in the archive and verify the stored size and checksum; return the note of the original.

    Raises ConflictError where the original is not what was imported, UnavailableError where the archive differs.
    """
    path, key = services.files.slide(record.image_id), key_of(record.image_id)
    services.archive.put(path, key, content.sha256)
    if services.archive.find(key) != content:
        raise UnavailableError("the archived copy does not match the original: it is stored again")
    archive_ownership.claim(services, record.image_id)
    return Archived(content.size, content.sha256, key, path.stat().st_mtime_ns)


def _archived_changes(record: SlideRecord) -> Changes:
    """Return the changes to an archived slide's record; a published slide keeps the status it was published from."""
    if record.status in {Status.ARCHIVED, Status.DELETED}:
        return {"original": "ARCHIVED"}
    before = {} if record.status is Status.PUBLISHED else {"status_before": str(record.status)}
    return {"original": "ARCHIVED", "status": Status.ARCHIVED, **before}


def restore_step(services: Services, job: JobRecord) -> Mapping[str, str]:
    """Restore a slide's original from the archive, whose copy stays; return the original's size.

    Raises NotYetError while the archive thaws the original, ConflictError where the original may not be restored,
    FileMissingError where the archive does not have the original, UnavailableError while the archive or the disk
    refuses.
    """
    image_id, folder = job.image_id, _find_folder(services, job.image_id)
    original = folder / SLIDE
    if not nfs.exists_uncached(original):
        if services.files.is_hidden(image_id):
            raise ConflictError("This slide is deleted: undelete it first.")
        record = _update_record(services, job, lambda _: {"original": "RESTORING"})
        _fetch_original(services, job, record)
    if (note := read_note(folder)) is not None:
        original.chmod(0o444)
        os.utime(original, ns=(note.modified, note.modified))
        (folder / NOTE).unlink()
        atomic_write.flush(folder)
    services.files.note_opened(image_id)  # else the slide would still be idle, and archived again at once
    _update_record(services, job, _restored_changes)
    log.info("the original of slide %s is back", image_id)
    return {"bytes": str(original.stat().st_size)}


def _fetch_original(services: Services, job: JobRecord, record: SlideRecord) -> None:
    note, key = read_note(services.files.folder(record.image_id)), key_of(record.image_id)
    archive_ownership.is_ours(services, record.image_id)
    stored = services.archive.find(key)
    if stored is None:
        raise FileMissingError("The archive does not hold this slide's original.")
    known = note.sha256 if note is not None else (record.checksum or "").lower()
    if stored.size != record.file_size or (is_sha256(known) and stored.sha256 != known):
        raise ConflictError("The archive holds a different file in place of this slide's original.")
    archive_ownership.claim(services, record.image_id)
    try:
        archived_set.fetch(services, record.image_id, services.files.folder(record.image_id))
        services.archive.fetch(key, services.files.slide(record.image_id))
    except NotYetError as error:
        raise NotYetError(str(error), _remaining_s(job, error.seconds)) from error


def _remaining_s(job: JobRecord, whole_s: float) -> float:
    """Return the remaining seconds of a restoration: a retry keeps the time that was first expected."""
    if job.expected_at is None:
        return whole_s
    remaining_s = (datetime.fromisoformat(job.expected_at) - datetime.now(UTC)).total_seconds()
    return min(whole_s, max(remaining_s, LOOK_S))


def _restored_changes(record: SlideRecord) -> Changes:
    if record.status is not Status.ARCHIVED:
        return {"original": None}
    if record.published_as is not None:
        return {"original": None, "status": Status.PUBLISHED}
    before = Status(record.status_before) if record.status_before else Status.GOOD
    return {"original": None, "status": before, "status_before": None}


def forget(services: Services, image_id: str) -> None:
    """Remove a purged slide's original from the archive, if an archive is configured and holds this installation's.

    The mark goes last: a removal that was killed is known as this installation's when it is run again.
    """
    if services.settings.archive and archive_ownership.is_ours(services, image_id):
        services.archive.remove(key_of(image_id))
        archived_set.forget(services, image_id)
        services.archive.release(key_of(image_id))


def _read_record(services: Services, image_id: str) -> SlideRecord:
    record = services.slides.get(image_id)
    if record is None:
        raise SlideNotFoundError("Slide not found.")
    return record


def _update_record(
    services: Services, job: JobRecord, changes_to: Callable[[SlideRecord], Changes]
) -> SlideRecord:
    """Update the slide's record with the changes that differ, and return the record; without any, write nothing."""
    for _ in range(ATTEMPTS):
        record = _read_record(services, job.image_id)
        changes = changes_to(record)
        different = {name: value for name, value in changes.items() if getattr(record, name) != value}
        if not different:
            return record
        with suppress(VersionConflictError):
            return services.slides.update(job.image_id, different, by=job.by, expected_version=record.version)
    raise UnavailableError("others keep changing this slide")
