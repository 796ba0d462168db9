"""The one way that records say when."""

from datetime import UTC, datetime


def now_utc() -> str:
    """Give the present as ISO 8601 UTC with microseconds, such as ``2026-11-21T06:10:58.000042Z``.

    Always the same length, so that the order of the texts is the order in time.
    """
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
