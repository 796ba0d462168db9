"""Archive policy: slides that nobody has opened for long are idle, and their originals may be archived.

A clock may be wrong. A time in the future counts as opened now; and between two checks at most half of the required
idle time counts, so that a clock that jumps ahead by years archives no slide that was opened recently.
"""

import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from vsv.errors import VsvError
from vsv.records.models import JobKind, JobRecord, SlideRecord, Status
from vsv.services import Services
from vsv.workflow import job_queue

log = logging.getLogger(__name__)

# A NEW slide is still to be reviewed. The originals of ARCHIVED and DELETED slides have been moved already.
MAY_GO = (Status.GOOD, Status.BAD, Status.SENT, Status.PUBLISHED)
DAY_S = 86_400.0
LOOKED = "looked_for_idle"
BY = "idle"


def request_idle(services: Services, now: datetime | None = None) -> list[JobRecord]:
    """Request the archiving of all idle slides, unless the archive is in the data folder itself; return the jobs."""
    requested: list[JobRecord] = []
    settings = services.settings
    if not settings.archive or Path(settings.archive).is_relative_to(services.files.root):
        return requested  # archiving would free no space
    for record in idle(services, settings.archive_after_days, now or datetime.now(UTC)):
        try:
            requested.append(job_queue.request_in_background(services, record.image_id, JobKind.ARCHIVE, BY))
        except VsvError as error:  # a failure for a slide does not stop the others
            log.warning("slide %s is not archived now: %s", record.image_id, error)
    return requested


def idle(services: Services, days: float, now: datetime, *, noted: bool = True) -> Iterator[SlideRecord]:
    """Yield the slides not opened for so many days; ``noted``: record the time of this check for the next check."""
    now_s = _limit_clock(services, days, now.timestamp(), noted=noted)
    for record in _candidates(services):
        if now_s - _opened_s(services, record, now_s) >= days * DAY_S:
            yield record


def _limit_clock(services: Services, days: float, now_s: float, *, noted: bool) -> float:
    """Return the time that counts as now, in seconds since the epoch: at most ``days / 2`` after the last check."""
    path = services.files.root / LOOKED
    last_s = path.stat().st_mtime if path.exists() else now_s
    counted_s = now_s if now_s < last_s else min(now_s, last_s + days * DAY_S / 2)
    if noted:
        path.touch()
        os.utime(path, (counted_s, counted_s))
    return counted_s


def _candidates(services: Services) -> Iterator[SlideRecord]:
    for status in MAY_GO:
        token = None
        while True:
            page = services.slides.by_status(status, 100, token)
            for record in page.items:
                if record.original is None and _is_stored_here(services, record.image_id):
                    yield record
            if (token := page.next_token) is None:
                break


def _is_stored_here(services: Services, image_id: str) -> bool:
    return services.files.slide(image_id).exists() and not services.files.in_place(image_id)


def _opened_s(services: Services, record: SlideRecord, now_s: float) -> float:
    """Return when a slide was last opened, else last changed, in seconds since the epoch; now for a future time."""
    changed_s = _parse_seconds(record.last_modified, now_s)
    opened_s = services.files.last_opened(record.image_id)
    if max(changed_s, opened_s or 0.0) > now_s:
        return now_s
    return changed_s if opened_s is None else opened_s


def _parse_seconds(text: str, now_s: float) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return now_s
