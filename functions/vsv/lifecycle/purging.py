"""Purging: permanent removal of deleted slides, after a grace period or on an Admin's confirmed request.

The grace period counts the time in which daily checks saw the slide deleted, at most a little more than a day between
two checks. So a clock that jumps ahead by years purges no slide; it shortens the grace period by a day at most.
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from vsv.errors import ConflictError, SlideNotFoundError, UnavailableError, VsvError
from vsv.lifecycle import archive_ownership, archiving
from vsv.records.models import JobKind, JobRecord, SlideRecord, Status
from vsv.services import Services
from vsv.storage import atomic_write, nfs
from vsv.storage.slide_files import DISK, SlideFiles
from vsv.storage.tombstones import Tombstone, read_tombstone, write_tombstone
from vsv.timestamps import now_utc
from vsv.workflow import job_queue

log = logging.getLogger(__name__)

DAY_S = 86_400.0
# The checks are a day apart; the most that a check may add to the counted time.
MOST_BETWEEN_LOOKS_S = 1.1 * DAY_S
WAITED = "waited.json"
GRACE_OVER = "the grace period"


def request_due(services: Services, now_s: float | None = None) -> list[JobRecord]:
    """Check every deleted slide and request the purge of those whose grace period is over; return the jobs."""
    moment, requested = time.time() if now_s is None else now_s, []
    for record in _deleted_slides(services):
        try:
            if record.original == "PURGED" or record.published_as is not None:
                _note_earlier_purge(services, record)
                continue
            if waited_s(services.files, record, moment) >= services.settings.grace_days * DAY_S:
                requested.append(_request(services, record.image_id))
        except (VsvError, OSError) as error:  # a failure for a slide does not stop the others
            log.warning("slide %s is not purged now: %s", record.image_id, type(error).__name__)
    return requested


def _request(services: Services, image_id: str) -> JobRecord:
    detail = {"because": GRACE_OVER}
    return job_queue.request_in_background(services, image_id, JobKind.PURGE, GRACE_OVER, detail)


def _deleted_slides(services: Services) -> Iterator[SlideRecord]:
    token = None
    while True:
        page = services.slides.by_status(Status.DELETED, 100, token)
        yield from page.items
        if (token := page.next_token) is None:
            return


def waited_s(files: SlideFiles, record: SlideRecord, now_s: float) -> float:
    """Return the counted seconds of a deleted slide's grace period, and record this check in the slide's folder.

    The count restarts when a slide is deleted again. A slide whose files a crash has left visible is counted as well.
    A slide without files has no grace period: infinity is returned.
    """
    folders = files.deleted_folder(record.image_id), files.folder(record.image_id)
    folder = next((path for path in folders if nfs.exists_uncached(path)), None)
    if folder is None:
        return float("inf")
    since, waited, seen = _read_count(folder)
    if since != record.deleted_at:
        waited, seen = 0.0, now_s
    waited += min(max(now_s - seen, 0.0), MOST_BETWEEN_LOOKS_S)
    note = {"deletedAt": record.deleted_at, "waitedSeconds": waited, "seen": now_s}
    atomic_write.write(folder / WAITED, json.dumps(note).encode())
    return waited


def _read_count(folder: Path) -> tuple[object, float, float]:
    try:
        note = json.loads((folder / WAITED).read_bytes())
        return note["deletedAt"], float(note["waitedSeconds"]), float(note["seen"])
    except (OSError, ValueError, KeyError, TypeError):
        return "nothing is noted", 0.0, 0.0


def purge_step(services: Services, job: JobRecord) -> Mapping[str, str]:
    """Remove a deleted slide's files from the data folder and the archive; return the removed files and bytes.

    The record, its history and the claim on the ImageID stay, and a tombstone, so that the same file is not imported
    by itself. Raises ConflictError for a slide that is not, or no longer, deleted, or is published, and where the
    archive's original may be another installation's: nothing is removed then.
    """
    record = services.slides.get(job.image_id)
    if record is None:
        raise SlideNotFoundError("Slide not found.")
    if record.status is not Status.DELETED:
        raise ConflictError("This slide is not deleted: its files were kept.")
    if record.published_as is not None:
        raise ConflictError("This slide is published: withdraw its copy first.")
    archive_ownership.claim_for_purging(services, record)
    _undo_publishing(services, job.image_id)
    _note_purged(services, record, job.by)
    with suppress(SlideNotFoundError):  # a crash may have left the files visible; a record may have no files
        services.files.hide(job.image_id)
    removed = _remove_files(services, job.image_id)
    archiving.forget(services, job.image_id)
    if record.original != "PURGED":
        services.slides.update(job.image_id, {"original": "PURGED"}, by=job.by)
    log.info("slide %s was purged: %d files, %d bytes", job.image_id, len(removed), sum(removed.values()))
    return {"files": ", ".join(sorted(removed)), "bytes": str(sum(removed.values()))}


def _note_purged(services: Services, record: SlideRecord, by: str) -> None:
    """Write the tombstone of a slide's content; after a grace period it names the person who deleted the slide."""
    if record.checksum is None or record.original == "PURGED":
        return  # purged already: only the job was killed before its end
    person = (record.modified_by or "") if by == GRACE_OVER else by
    try:
        write_tombstone(services.files.root, record.checksum, Tombstone(now_utc(), person))
    except OSError as error:
        raise UnavailableError(DISK) from error


def _note_earlier_purge(services: Services, record: SlideRecord) -> None:
    """Write the tombstone of a slide that an earlier version purged without one."""
    if record.original != "PURGED" or record.checksum is None:
        return
    root = services.files.root
    if read_tombstone(root, record.checksum) is None:
        write_tombstone(root, record.checksum, Tombstone(record.last_modified, record.modified_by or ""))


def _undo_publishing(services: Services, image_id: str) -> None:
    """Remove a copy that a killed job has begun: only the slide's files, soon removed, hold the copy's name."""
    from vsv.deidentification.unfinished import undo  # noqa: PLC0415  imports numpy, and most slides have no copy

    undo(services, image_id)


def _remove_files(services: Services, image_id: str) -> Mapping[str, int]:
    try:
        return services.files.purge(image_id)
    except SlideNotFoundError:
        return {}
