"""Timestamps as all records store them."""

from datetime import UTC, datetime, timedelta


def now_utc() -> str:
    """Return the present time as ISO 8601 UTC with microseconds, such as ``2026-11-21T06:10:58.000042Z``.

    The text always has the same length, so that the order of texts is the order in time.
    """
    return later(timedelta())


def later(by: timedelta) -> str:
    """Return the time ``by`` later than the present, in the format of ``now_utc``."""
    return (datetime.now(UTC) + by).isoformat(timespec="microseconds").replace("+00:00", "Z")
