"""What a slide's record leaves in the review index: how it is found, counted and remembered.

The index is rows with a ``set`` and a ``place`` in it, ordered by UTF-8 bytes. Every store writes them in the
transaction that writes the record, so that no search, count or history ever tells another story than the record.

====================  ============================  =========================================
set                   place                         row
====================  ============================  =========================================
``terms GOOD``        folded text, tab, ImageID     one for SlideID, CaseID and Filename each
``dates GOOD``        scan date, tab, ImageID
``statuses``          the status                    how many slides
``cases``             the CaseID                    how many slides that are not deleted
``changes {ImageID}`` version, time, number         what was changed
====================  ============================  =========================================
"""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from vsv.records.items import Item
from vsv.records.models import Status

Row = tuple[str, str]  # set and place

# Below every character that a folded text can hold, so that (text, ImageID) orders as the joined text does.
SEPARATOR = "\t"
# Above every character that a text can hold.
LAST = "\U0010ffff"
# The scan date of slides that have none: before every date.
UNDATED = "0"
# With the ImageID beside it this still fits a paging token and a DynamoDB key.
MAX_TERM_BYTES = 300
MAX_TOLD_CHARS = 4000

_SEARCHED = ("SlideID", "CaseID", "Filename")
_SET_BY_STORE = frozenset({"Version", "lastModified", "ModifiedBy"})


@dataclass(frozen=True)
class Writes:
    """What one change of a record does to the index."""

    put: Mapping[Row, Item] = field(default_factory=dict)
    delete: frozenset[Row] = frozenset()
    add: Mapping[Row, int] = field(default_factory=dict)


def writes(old: Item | None, new: Item | None) -> Writes:
    """Give what has to be written when a slide's item changes; None is no item, before or after."""
    before, after = set(_entries(old)), set(_entries(new))
    put: dict[Row, Item] = {row: {} for row in after - before}
    if new is not None:
        put |= _history(old, new)
    added = Counter(_tallies(new))
    added.subtract(_tallies(old))
    return Writes(put, frozenset(before - after), {row: n for row, n in added.items() if n})


def fold(text: str) -> str:
    """Give a text as it is searched: without case, compatibility forms, control characters and extra spaces."""
    plain = unicodedata.normalize("NFKC", text[:MAX_TERM_BYTES]).casefold()
    plain = "".join(" " if unicodedata.category(c).startswith("C") else c for c in plain)
    folded = " ".join(plain.split())[:MAX_TERM_BYTES]
    while len(json.dumps(folded, ensure_ascii=False).encode()) > MAX_TERM_BYTES:
        folded = folded[:-1]
    return folded


def terms(item: Item) -> frozenset[str]:
    """Give the texts that a slide can be found by, folded."""
    return frozenset(filter(None, (fold(item.get(name) or "") for name in _SEARCHED)))


def scan_moment(item: Item) -> str:
    """Give when a slide was scanned, as it is ordered; ``UNDATED`` where that is not known."""
    return moment(item.get("ScanDate")) or UNDATED


def moment(text: object) -> str | None:
    """Give an ISO 8601 time as UTC with whole seconds, always of one length; None for anything else.

    A time without an offset is the scanner's wall clock and is taken as if it were UTC.
    """
    if not isinstance(text, str):
        return None
    try:
        read = datetime.fromisoformat(text)
        known = read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return known.isoformat(timespec="seconds").replace("+00:00", "Z")


def place(*parts: str) -> str:
    """Give the place that these parts make."""
    return SEPARATOR.join(parts)


def changes_set(image_id: str) -> str:
    """Name the set of a slide's changes."""
    return f"changes {image_id}"


def _entries(item: Item | None) -> Iterator[Row]:
    if item is not None:
        status, image_id = item["Status"], item["ImageID"]
        for term in terms(item):
            yield f"terms {status}", place(term, image_id)
        yield f"dates {status}", place(scan_moment(item), image_id)


def _tallies(item: Item | None) -> Iterator[Row]:
    if item is not None:
        yield "statuses", item["Status"]
        if "CaseID" in item and item["Status"] != Status.DELETED:
            yield "cases", item["CaseID"]


def _history(old: Item | None, new: Item) -> dict[Row, Item]:
    """Give what a change leaves in the slide's history; of a new slide only that it is there now."""
    names = sorted(
        name for name in {*(old or ()), *new} - _SET_BY_STORE if (old or {}).get(name) != new.get(name)
    )
    told = names if old is not None else ["Status"]
    at, version = new["lastModified"], new.get("Version", 1)
    rows = changes_set(new["ImageID"])
    return {
        (rows, f"{version:010d} {at} {number:02d}"): _told(name, old or {}, new, version)
        for number, name in enumerate(told)
    }


def _told(name: str, old: Item, new: Item, version: int) -> Item:
    item = {
        "ImageID": new["ImageID"],
        "at": new["lastModified"],
        "by": new.get("ModifiedBy") or "import",
        "field": name,
        "from": _as_text(old.get(name)),
        "to": _as_text(new.get(name)),
        "Version": version,
    }
    return {key: value for key, value in item.items() if value is not None}


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)[:MAX_TOLD_CHARS]
