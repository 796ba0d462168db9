"""The one way that records say when."""

from datetime import UTC, datetime, timedelta


def now_utc() -> str:
    """Give the present as ISO 8601 UTC with microseconds, such as ``2026-11-21T06:10:58.000042Z``.

    Always the same length, so that the order of the texts is the order in time.
    """
    return later(timedelta())


def later(by: timedelta) -> str:
    """Give the moment that is so much later than the present, written alike."""
    return (datetime.now(UTC) + by).isoformat(timespec="microseconds").replace("+00:00", "Z")
