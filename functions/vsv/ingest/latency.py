"""Time that people wait for a slide, in minutes, as reported by the metrics."""

from datetime import UTC, datetime, timedelta

from vsv.records.models import ImportRecord, SlideRecord

# A slide scanned longer than this before its file was announced comes from an archive: nobody waited for that slide.
OLDEST_SCAN = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def transfer(run: ImportRecord, now: datetime | None = None) -> float:
    """Return the minutes from the file's announcement to now, just before the file's inspection."""
    return ((now or datetime.now(UTC)) - datetime.fromisoformat(run.started_at)) / MINUTE


def scan_to_viewable(run: ImportRecord, slide: SlideRecord, now: datetime | None = None) -> float:
    """Return the minutes from the scan to now, when the slide's record is stored and the slide is viewable.

    The scan's time counts only where its time zone is known and the scan was within a day before the announcement;
    otherwise the announcement itself counts.
    """
    started = datetime.fromisoformat(run.started_at)
    scanned = _scan_time(slide)
    if scanned is None or not timedelta(0) <= started - scanned <= OLDEST_SCAN:
        scanned = started
    return ((now or datetime.now(UTC)) - scanned) / MINUTE


def _scan_time(slide: SlideRecord) -> datetime | None:
    """Return when a slide was scanned; None where that or its time zone is unknown."""
    try:
        scanned = datetime.fromisoformat(slide.scan_date or "")
    except ValueError:
        return None
    return scanned if scanned.tzinfo is not None else None
