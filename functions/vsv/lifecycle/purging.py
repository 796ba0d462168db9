"""Removing deleted slides for good: after a grace period, or because an Admin asked and named the slide again.

The grace period counts time in which the slide was seen waiting, at most a little more than a day from one look to
the next. So a clock that jumps ahead by years takes nobody's slide away; it costs a day of grace at most.
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from vsv.errors import ConflictError, SlideNotFoundError, VsvError
from vsv.lifecycle import archiving
from vsv.records.models import JobKind, JobRecord, SlideRecord, Status
from vsv.services import Services
from vsv.storage import atomic_write, nfs
from vsv.storage.slide_files import SlideFiles
from vsv.workflow import job_queue

log = logging.getLogger(__name__)

DAY_S = 86_400.0
# The looks are a day apart; what one of them may add to the time that was waited.
MOST_BETWEEN_LOOKS_S = 1.1 * DAY_S
WAITED = "waited.json"
GRACE_OVER = "the grace period"


def request_due(services: Services, now_s: float | None = None) -> list[JobRecord]:
    """Look at every deleted slide, and ask for the purge of those whose grace period is over."""
    moment, asked = time.time() if now_s is None else now_s, []
    for record in _deleted(services):
        if record.original == "PURGED" or record.published_as is not None:
            continue
        try:
            if waited_s(services.files, record, moment) >= services.settings.grace_days * DAY_S:
                detail = {"because": GRACE_OVER}
                asked.append(job_queue.request(services, record.image_id, JobKind.PURGE, GRACE_OVER, detail))
        except (VsvError, OSError) as error:  # one slide does not stop the others
            log.warning("slide %s is not purged now: %s", record.image_id, type(error).__name__)
    return asked


def _deleted(services: Services) -> Iterator[SlideRecord]:
    token = None
    while True:
        page = services.slides.by_status(Status.DELETED, 100, token)
        yield from page.items
        if (token := page.next_token) is None:
            return


def waited_s(files: SlideFiles, record: SlideRecord, now_s: float) -> float:
    """Count how long a deleted slide has been seen waiting, in seconds, and note this look at it.

    Deleted anew it waits anew. So does one whose files a kill has left in sight. A slide without
    files has nothing to wait for: it has waited long enough.
    """
    places = files.deleted_folder(record.image_id), files.folder(record.image_id)
    folder = next((place for place in places if nfs.exists_uncached(place)), None)
    if folder is None:
        return float("inf")
    since, waited, seen = _noted(folder)
    if since != record.deleted_at:
        waited, seen = 0.0, now_s
    waited += min(max(now_s - seen, 0.0), MOST_BETWEEN_LOOKS_S)
    note = {"deletedAt": record.deleted_at, "waitedSeconds": waited, "seen": now_s}
    atomic_write.write(folder / WAITED, json.dumps(note).encode())
    return waited


def _noted(folder: Path) -> tuple[object, float, float]:
    try:
        found = json.loads((folder / WAITED).read_bytes())
        return found["deletedAt"], float(found["waitedSeconds"]), float(found["seen"])
    except (OSError, ValueError, KeyError, TypeError):
        return "nothing is noted", 0.0, 0.0


def purge_step(services: Services, job: JobRecord) -> Mapping[str, str]:
    """Remove a deleted slide's files here and in the archive, and tell what was removed.

    The record, its history and the claim on the ImageID stay. Raises ConflictError for a slide that is not, or no
    longer, deleted.
    """
    record = services.slides.get(job.image_id)
    if record is None:
        raise SlideNotFoundError("Slide not found.")
    if record.status is not Status.DELETED:
        raise ConflictError("This slide is not deleted: its files were kept.")
    if record.published_as is not None:
        raise ConflictError("This slide is published: withdraw its copy first.")
    _undo_publishing(services, job.image_id)
    with suppress(SlideNotFoundError):  # a kill may have left them in sight; a record may have no files
        services.files.hide(job.image_id)
    removed = _removed(services, job.image_id)
    archiving.forget(services, job.image_id)
    if record.original != "PURGED":
        services.slides.update(job.image_id, {"original": "PURGED"}, by=job.by)
    log.info("slide %s was purged: %d files, %d bytes", job.image_id, len(removed), sum(removed.values()))
    return {"files": ", ".join(sorted(removed)), "bytes": str(sum(removed.values()))}


def _undo_publishing(services: Services, image_id: str) -> None:
    """Take a copy back that a killed job has begun: once the slide's files are gone, nothing tells of it."""
    from vsv.deidentification.steps import undo  # noqa: PLC0415  brings numpy, and most slides have no copy

    undo(services, image_id)


def _removed(services: Services, image_id: str) -> Mapping[str, int]:
    try:
        return services.files.purge(image_id)
    except SlideNotFoundError:
        return {}
