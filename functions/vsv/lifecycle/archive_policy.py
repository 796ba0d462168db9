"""Slides that nobody has opened for long, whose originals may go to the archive.

A clock may be wrong. What seems to lie in the future counts as opened now; and from one look to the next no more than
half the time counts that a slide must have been idle, so that a clock which jumps ahead by years takes no slide away
that was opened lately.
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

# NEW is work that is still to be done. ARCHIVED and DELETED are elsewhere already.
MAY_GO = (Status.GOOD, Status.BAD, Status.SENT, Status.PUBLISHED)
DAY_S = 86_400.0
LOOKED = "looked_for_idle"
BY = "idle"


def request_idle(services: Services, now: datetime | None = None) -> list[JobRecord]:
    """Ask for the archiving of all slides that are idle, where the archive is not in the data folder itself."""
    asked: list[JobRecord] = []
    settings = services.settings
    if not settings.archive or Path(settings.archive).is_relative_to(services.files.root):
        return asked  # nothing would be gained
    for record in idle(services, settings.archive_after_days, now or datetime.now(UTC)):
        try:
            asked.append(job_queue.request(services, record.image_id, JobKind.ARCHIVE, BY))
        except VsvError as error:  # one slide does not stop the others
            log.warning("slide %s is not archived now: %s", record.image_id, error)
    return asked


def idle(services: Services, days: float, now: datetime, *, noted: bool = True) -> Iterator[SlideRecord]:
    """Give the slides that were not opened for so many days; ``noted``: this look counts for the next one."""
    now_s = _counted_s(services, days, now.timestamp(), noted=noted)
    for record in _candidates(services):
        if now_s - _opened_s(services, record, now_s) >= days * DAY_S:
            yield record


def _counted_s(services: Services, days: float, now_s: float, *, noted: bool) -> float:
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
                if record.original is None and _is_ours(services, record.image_id):
                    yield record
            if (token := page.next_token) is None:
                break


def _is_ours(services: Services, image_id: str) -> bool:
    return services.files.slide(image_id).exists() and not services.files.in_place(image_id)


def _opened_s(services: Services, record: SlideRecord, now_s: float) -> float:
    """Give when a slide was last opened, or else changed, in seconds since the epoch; now for what is yet to come."""
    changed_s = _seconds(record.last_modified, now_s)
    opened_s = services.files.last_opened(record.image_id)
    if max(changed_s, opened_s or 0.0) > now_s:
        return now_s
    return changed_s if opened_s is None else opened_s


def _seconds(text: str, now_s: float) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return now_s
