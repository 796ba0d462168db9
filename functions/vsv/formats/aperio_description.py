"""Aperio's image descriptions: the scanner's metadata of a scan.

A description is a first line naming the library, a line of geometry, then ``key = value`` pairs between bars.
Source: Aperio, "Digital Slides and Third-Party Data Interchange", and slides seen in archives.
"""

import re
from dataclasses import dataclass
from datetime import datetime

MAX_TAGS, MAX_KEY, MAX_VALUE = 200, 100, 2000
_DATE_FORMATS = ("%m/%d/%y", "%m/%d/%Y", "%Y-%m-%d")
_ZONE = re.compile(r"(?:GMT|UTC)?\s*([+-])(\d{2}):?(\d{2})\Z")


@dataclass(frozen=True, slots=True)
class ScanTime:
    """The time of a scan in ISO 8601, and its time zone: "local" where the slide names none."""

    text: str
    zone: str


def is_aperio(description: str) -> bool:
    """Return whether the description of a file's first page makes the file an Aperio slide, as OpenSlide decides."""
    return description.startswith("Aperio")


def parse_tags(description: str) -> dict[str, str]:
    """Return the ``key = value`` pairs of a description; the last of repeated keys counts, as in OpenSlide.

    The lines of library and geometry are stored under "Description". Unprintable characters other than line feeds are
    dropped.
    """
    head, *pairs = description.replace("\r\n", "\n").split("|")
    tags = {}
    for pair in pairs[:MAX_TAGS]:
        key, equals, value = pair.partition("=")
        if equals and key.strip():
            tags[_clean(key, MAX_KEY)] = _clean(value, MAX_VALUE)
    return {**tags, "Description": _clean(head, MAX_VALUE)} if head.strip() else tags


def _clean(text: str, limit: int) -> str:
    printable = "".join(c for c in text if c.isprintable() or c == "\n")
    return printable.strip()[:limit]


def scan_time(tags: dict[str, str]) -> ScanTime | None:
    """Return the scan's date and time, None where the slide has no readable date."""
    day = _parse(tags.get("Date", ""), _DATE_FORMATS)
    if day is None:
        return None
    time = _parse(tags.get("Time", ""), ("%H:%M:%S", "%H:%M")) or day.replace(hour=0, minute=0)
    moment = day.replace(hour=time.hour, minute=time.minute, second=time.second).isoformat()
    zone = _ZONE.match(tags.get("Time Zone", ""))
    if zone is None:
        return ScanTime(moment, "local")
    offset = f"{zone[1]}{zone[2]}:{zone[3]}"
    return ScanTime(moment + offset, offset)


def _parse(text: str, formats: tuple[str, ...]) -> datetime | None:
    for fmt in formats:
        try:
            return datetime.strptime(text.strip(), fmt)
        except ValueError:
            continue
    return None


def positive_number(text: str | None) -> float | None:
    """Return the positive, finite number that a text spells, None for any other text."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 1e-9 < value < 1e9 else None  # stores accept no extreme values
