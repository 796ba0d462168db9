"""Dates, times and time zones of a scan, in the forms in which scanners write them.

Sources: Aperio, "Digital Slides and Third-Party Data Interchange" (``12/29/09``, ``GMT-05:00``); ISO 8601 (Leica's
SCN400); slides seen in archives (12-hour clocks, fractions of seconds, German dates).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time

# Day and month of dates with slashes are in American order, of dates with dots in European order.
_DAYS = (
    re.compile(r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4}|\d{2})(?=[T\s]|\Z)", re.ASCII),
    re.compile(r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4}|\d{2})(?=[T\s]|\Z)", re.ASCII),
    re.compile(
        r"(?P<year>\d{4})(?P<dash>[-/.])(?P<month>\d{1,2})(?P=dash)(?P<day>\d{1,2})(?=[T\s]|\Z)", re.ASCII
    ),
    re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?=[T\s]|\Z)", re.ASCII),
)
_TIME = re.compile(
    r"[T ]?\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?(?:\s*([AaPp])\.?[Mm]\.?(?![A-Za-z]))?", re.ASCII
)
_ZONE = re.compile(
    r"\s*(?:Z|(?:GMT|UTC)?\s*([+-])(\d{1,2})(?::?(\d{2}))?|GMT|UTC)\Z", re.ASCII | re.IGNORECASE
)
# The easternmost clocks are Kiribati's, UTC+14:00; the westernmost those of ships in UTC-12:00.
_EASTERNMOST_MIN, _WESTERNMOST_MIN = 14 * 60, -12 * 60
LOCAL = "local"


@dataclass(frozen=True, slots=True)
class ScanTime:
    """The time of a scan in ISO 8601, and its time zone: "local" where the slide names none."""

    text: str
    zone: str


def scan_time(tags: Mapping[str, str]) -> ScanTime | None:
    """Return the scan's date and time in whole seconds, None where the slide has no readable date.

    ``Date`` may hold the time and the zone as well, ``Time`` the zone. An impossible zone counts as none.
    """
    day, rest = _read_day(tags.get("Date", "").strip())
    if day is None:
        return None
    texts = (rest, tags.get("Time", "").strip())
    clock, after = next((found for text in texts if (found := _read_time(text))), (time(), ""))
    zone = next(_zones(after, tags.get("Time Zone", "")), None)
    moment = datetime.combine(day, clock).isoformat()
    return ScanTime(moment, LOCAL) if zone is None else ScanTime(moment + zone, zone)


def _read_day(text: str) -> tuple[date | None, str]:
    """Return the date that a text begins with, and the text after it."""
    for form in _DAYS:
        if match := form.match(text):
            try:
                return date(_full_year(match["year"]), int(match["month"]), int(match["day"])), text[
                    match.end() :
                ]
            except ValueError:
                continue
    return None, ""


def _full_year(digits: str) -> int:
    """Return a year; two digits count as POSIX counts them, from 1969 to 2068."""
    year = int(digits)
    return year if len(digits) == 4 else year + (1900 if year >= 69 else 2000)


def _read_time(text: str) -> tuple[time, str] | None:
    """Return the time that a text begins with, and the text after it; None for other texts. Fractions are dropped."""
    match = _TIME.match(text)
    if match is None:
        return None
    hour, half = int(match[1]), (match[4] or "").lower()
    if half and hour <= 12:
        hour = hour % 12 + (12 if half == "p" else 0)
    try:
        return time(hour, int(match[2]), int(match[3] or 0)), text[match.end() :]
    except ValueError:
        return None


def _zones(*texts: str) -> Iterator[str]:
    """Yield the offset of each text that is a time zone, such as ``-05:00``."""
    for text in texts:
        match = _ZONE.match(text.strip())
        if match is not None:
            minutes = int(match[2] or 0) * 60 + int(match[3] or 0)
            signed = -minutes if match[1] == "-" else minutes
            if int(match[3] or 0) < 60 and _WESTERNMOST_MIN <= signed <= _EASTERNMOST_MIN:
                yield f"{'-' if signed < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"
