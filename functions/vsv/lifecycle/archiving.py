"""Moving originals to the archive and back. The slide stays viewable all the while, at full resolution.

At every moment the original is whole in at least one place: here until the archive has it, verified; there until it
is back here, verified; and there still after that. What has been done is seen from the files, so each step can be
killed anywhere and run again.
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
from vsv.ingest.runs import UNDER_WAY
from vsv.ingest.stored_slides import is_sha256
from vsv.ingest.validation import checksum
from vsv.pyramids.self_contained import check_complete, complete
from vsv.records.models import JobRecord, SlideRecord, Status
from vsv.services import Services
from vsv.storage import atomic_write, nfs
from vsv.storage.archive_marker import NOTE, Archived, read_note, write_note
from vsv.storage.object_store import Stored
from vsv.storage.slide_files import SLIDE
from vsv.workflow.transitions import BY_ADMINS

log = logging.getLogger(__name__)

# How often a change of a record is tried again when others are faster.
ATTEMPTS = 5
# When to look again for what should have come already.
LOOK_S = 900.0
Changes = dict[str, Any]


def key_of(image_id: str) -> str:
    """Give the key of a slide's original in the archive; an ImageID is never given twice."""
    return f"{image_id}/{SLIDE}"


def archive_step(services: Services, job: JobRecord) -> Mapping[str, str]:
    """Move a slide's original to the archive, the pyramid having been made complete; give its size and SHA-256.

    Raises ConflictError where the original must not go, UnavailableError while the archive or the disk refuses.
    """
    image_id, folder = job.image_id, _folder(services, job.image_id)
    if nfs.exists_uncached(folder / SLIDE):
        _check_may_go(services, _record(services, image_id))
        record = _recorded(services, job, lambda _: {"original": "ARCHIVING"})
        _complete(services, image_id)
        copy = _put(services, record)
        check_complete(services.files.pyramid(image_id))
        write_note(folder, copy)
        (folder / SLIDE).unlink()
        atomic_write.flush(folder)
        services.slide_cache.forget(image_id)
    if (note := read_note(folder)) is None:
        raise SlideNotFoundError("no original is stored for this slide")
    _recorded(services, job, _as_archived)
    log.info("the original of slide %s is archived: %d bytes", image_id, note.size)
    return {"bytes": str(note.size), "sha256": note.sha256}


def _folder(services: Services, image_id: str) -> Path:
    """Give where a slide's files are: somebody may delete it at any time."""
    is_hidden = services.files.is_hidden(image_id)
    return services.files.deleted_folder(image_id) if is_hidden else services.files.folder(image_id)


def _check_may_go(services: Services, record: SlideRecord) -> None:
    may_go = record.status is Status.ARCHIVED or Status.ARCHIVED in BY_ADMINS[record.status]
    if services.files.is_hidden(record.image_id) or not may_go:
        raise ConflictError(f"A slide with status {record.status} cannot be archived.")
    if services.files.in_place(record.image_id):
        raise ConflictError("This slide's original is in the scanner's folder and cannot be moved.")
    run = services.imports.get(record.filename)
    if run is not None and run.image_id == record.image_id and run.state in UNDER_WAY:
        raise ConflictError("This slide is still being imported: archive it when that is done.")


def _complete(services: Services, image_id: str) -> None:
    services.slide_cache.forget(image_id)  # its pyramid may have been finished a moment ago
    complete(services.slide_cache.slide(image_id, is_seen=False), services.files.pyramid(image_id))


def _put(services: Services, record: SlideRecord) -> Archived:
    """Store the original in the archive, and give the note of it once the archive tells that it has it."""
    path, key = services.files.slide(record.image_id), key_of(record.image_id)
    found = path.stat()
    if found.st_size != record.file_size:
        raise ConflictError("The original has changed since it was imported: it was not moved.")
    known = record.checksum or ""
    sha256 = known.lower() if is_sha256(known) else checksum(path)
    services.archive.put(path, key, sha256)
    if services.archive.find(key) != Stored(found.st_size, sha256):
        raise UnavailableError("the archived copy does not match the original: it is stored again")
    return Archived(found.st_size, sha256, key, found.st_mtime_ns)


def _as_archived(record: SlideRecord) -> Changes:
    """Tell what an archived slide's record says; a published one returns to what it was published from later."""
    if record.status in {Status.ARCHIVED, Status.DELETED}:
        return {"original": "ARCHIVED"}
    before = {} if record.status is Status.PUBLISHED else {"status_before": str(record.status)}
    return {"original": "ARCHIVED", "status": Status.ARCHIVED, **before}


def restore_step(services: Services, job: JobRecord) -> Mapping[str, str]:
    """Bring a slide's original back; the archive's copy stays. Give its size.

    Raises NotYetError while the archive thaws it, ConflictError where it must not come back, FileMissingError where
    the archive does not have it, UnavailableError while the archive or the disk refuses.
    """
    image_id, folder = job.image_id, _folder(services, job.image_id)
    original = folder / SLIDE
    if not nfs.exists_uncached(original):
        if services.files.is_hidden(image_id):
            raise ConflictError("This slide is deleted: undelete it first.")
        record = _recorded(services, job, lambda _: {"original": "RESTORING"})
        _fetch(services, job, record)
    if (note := read_note(folder)) is not None:
        original.chmod(0o444)
        os.utime(original, ns=(note.modified, note.modified))
        (folder / NOTE).unlink()
        atomic_write.flush(folder)
    services.files.note_opened(image_id)  # else it would be idle still, and archived again at once
    _recorded(services, job, _as_restored)
    log.info("the original of slide %s is back", image_id)
    return {"bytes": str(original.stat().st_size)}


def _fetch(services: Services, job: JobRecord, record: SlideRecord) -> None:
    note, key = read_note(services.files.folder(record.image_id)), key_of(record.image_id)
    found = services.archive.find(key)
    if found is None:
        raise FileMissingError("The archive does not hold this slide's original.")
    known = note.sha256 if note is not None else (record.checksum or "").lower()
    if found.size != record.file_size or (is_sha256(known) and found.sha256 != known):
        raise ConflictError("The archive holds a different file in place of this slide's original.")
    try:
        services.archive.fetch(key, services.files.slide(record.image_id))
    except NotYetError as error:
        raise NotYetError(str(error), _left_s(job, error.seconds)) from error


def _left_s(job: JobRecord, whole_s: float) -> float:
    """Give how long it takes from now: what is looked at again is expected when it was expected before."""
    if job.expected_at is None:
        return whole_s
    left_s = (datetime.fromisoformat(job.expected_at) - datetime.now(UTC)).total_seconds()
    return min(whole_s, max(left_s, LOOK_S))


def _as_restored(record: SlideRecord) -> Changes:
    if record.status is not Status.ARCHIVED:
        return {"original": None}
    if record.published_as is not None:
        return {"original": None, "status": Status.PUBLISHED}
    before = Status(record.status_before) if record.status_before else Status.GOOD
    return {"original": None, "status": before, "status_before": None}


def forget(services: Services, image_id: str) -> None:
    """Remove a slide's original from the archive, where there is one, for a slide that is purged."""
    if services.settings.archive:
        services.archive.remove(key_of(image_id))


def _record(services: Services, image_id: str) -> SlideRecord:
    record = services.slides.get(image_id)
    if record is None:
        raise SlideNotFoundError("Slide not found.")
    return record


def _recorded(services: Services, job: JobRecord, wanted: Callable[[SlideRecord], Changes]) -> SlideRecord:
    """Let the slide's record say what is so; nothing is written where it says so already."""
    for _ in range(ATTEMPTS):
        record = _record(services, job.image_id)
        different = {name: value for name, value in wanted(record).items() if getattr(record, name) != value}
        if not different:
            return record
        with suppress(VersionConflictError):
            return services.slides.update(job.image_id, different, by=job.by, expected_version=record.version)
    raise UnavailableError("others keep changing this slide")
