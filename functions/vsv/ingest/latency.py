"""How long people wait for a slide, in minutes; what the metrics say of it."""

from datetime import UTC, datetime, timedelta

from vsv.records.models import ImportRecord, SlideRecord

# A slide scanned longer than this before its file was announced comes from an archive: nobody waited for it.
OLDEST_SCAN = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def transfer(run: ImportRecord, now: datetime | None = None) -> float:
    """Give the minutes from the file's announcement to now, when it is about to be inspected."""
    return ((now or datetime.now(UTC)) - datetime.fromisoformat(run.started_at)) / MINUTE


def scan_to_viewable(run: ImportRecord, slide: SlideRecord, now: datetime | None = None) -> float:
    """Give the minutes from the scan to now, when the slide's record is stored and it can be looked at.

    The scan's time counts only where its zone is known and it lies within a day before the announcement;
    otherwise the announcement itself counts.
    """
    started = datetime.fromisoformat(run.started_at)
    scanned = _scan_time(slide)
    if scanned is None or not timedelta(0) <= started - scanned <= OLDEST_SCAN:
        scanned = started
    return ((now or datetime.now(UTC)) - scanned) / MINUTE


def _scan_time(slide: SlideRecord) -> datetime | None:
    """Give when a slide was scanned; None where nobody knows in which zone."""
    try:
        found = datetime.fromisoformat(slide.scan_date or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
