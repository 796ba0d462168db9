"""The review index: rows by which slides are searched and counted, and by which their history is read.

A row has a ``set`` and a ``place`` in the set; places are ordered by UTF-8 bytes. Every store writes the rows in the
transaction that writes the record, so that searches, counts and history always agree with the record.

====================  ============================  =========================================
set                   place                         row's content
====================  ============================  =========================================
``terms GOOD``        folded text, tab, ImageID     one for SlideID, CaseID and Filename each
``dates GOOD``        scan date, tab, ImageID
``doubles GOOD``      scan date, tab, ImageID       only of slides that are marked as duplicates
``checksum {SHA}``    the ImageID                   only of slides that are not deleted
``statuses``          the status                    how many slides
``cases``             the CaseID                    how many slides that are not deleted
``changes {ImageID}`` version, time, number         one changed field
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

# Sorts before every character of a folded text, so that (text, ImageID) sorts as the joined text does.
SEPARATOR = "\t"
# Sorts after every character that a text can hold.
LAST = "\U0010ffff"
# The scan date of slides without one: sorts before every date.
UNDATED = "0"
# Together with the ImageID, a term of this size still fits a pagination token and a DynamoDB key.
MAX_TERM_BYTES = 300
MAX_HISTORY_CHARS = 4000

_SEARCHED = ("SlideID", "CaseID", "Filename")
_SET_BY_STORE = frozenset({"Version", "lastModified", "ModifiedBy"})


@dataclass(frozen=True)
class Writes:
    """The index rows to put and to delete and the counts to add for one change of a record."""

    put: Mapping[Row, Item] = field(default_factory=dict)
    delete: frozenset[Row] = frozenset()
    add: Mapping[Row, int] = field(default_factory=dict)


def writes(old: Item | None, new: Item | None) -> Writes:
    """Return the index writes for a change of a slide's item; None is no item, before or after."""
    before, after = set(_entries(old)), set(_entries(new))
    # Checksums are put with each change: records that earlier versions wrote have no such rows.
    put: dict[Row, Item] = {row: {} for row in (after - before) | set(checksums(new))}
    if new is not None:
        put |= _history(old, new)
    added = Counter(_tallies(new))
    added.subtract(_tallies(old))
    return Writes(put, frozenset(before - after), {row: n for row, n in added.items() if n})


def fold(text: str) -> str:
    """Return the search form of a text: without case, compatibility forms, control characters and extra spaces."""
    plain = unicodedata.normalize("NFKC", text[:MAX_TERM_BYTES]).casefold()
    plain = "".join(" " if unicodedata.category(c).startswith("C") else c for c in plain)
    folded = " ".join(plain.split())[:MAX_TERM_BYTES]
    while len(json.dumps(folded, ensure_ascii=False).encode()) > MAX_TERM_BYTES:
        folded = folded[:-1]
    return folded


def terms(item: Item) -> frozenset[str]:
    """Return the folded texts by which a slide can be found."""
    return frozenset(filter(None, (fold(item.get(name) or "") for name in _SEARCHED)))


def scan_moment(item: Item) -> str:
    """Return a slide's scan date in sortable form; ``UNDATED`` where the date is unknown."""
    return moment(item.get("ScanDate")) or UNDATED


def moment(text: object) -> str | None:
    """Return an ISO 8601 time as UTC with whole seconds, always of one length; None for anything else.

    A time without an offset is the scanner's wall clock and is treated as UTC.
    """
    if not isinstance(text, str):
        return None
    try:
        parsed = datetime.fromisoformat(text)
        utc = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return utc.isoformat(timespec="seconds").replace("+00:00", "Z")


def place(*parts: str) -> str:
    """Return the place that consists of these parts."""
    return SEPARATOR.join(parts)


def changes_set(image_id: str) -> str:
    """Return the name of the set of a slide's changes."""
    return f"changes {image_id}"


def checksum_set(checksum: str) -> str:
    """Return the name of the set of the slides with these bytes."""
    return f"checksum {checksum}"


def _entries(item: Item | None) -> Iterator[Row]:
    if item is not None:
        status, image_id = item["Status"], item["ImageID"]
        for term in terms(item):
            yield f"terms {status}", place(term, image_id)
        yield f"dates {status}", place(scan_moment(item), image_id)
        if "SameFileAs" in item or "SameIDAs" in item:
            yield f"doubles {status}", place(scan_moment(item), image_id)
        yield from checksums(item)


def checksums(item: Item | None) -> Iterator[Row]:
    """Yield the row by which a slide is found by its bytes; none for a deleted slide."""
    if item is not None and "Checksum" in item and item["Status"] != Status.DELETED:
        yield checksum_set(item["Checksum"]), item["ImageID"]


def _tallies(item: Item | None) -> Iterator[Row]:
    if item is not None:
        yield "statuses", item["Status"]
        if "CaseID" in item and item["Status"] != Status.DELETED:
            yield "cases", item["CaseID"]


def _history(old: Item | None, new: Item) -> dict[Row, Item]:
    """Return the history rows of a change: one per changed field; for a new slide only that of its status."""
    changed = sorted(
        name for name in {*(old or ()), *new} - _SET_BY_STORE if (old or {}).get(name) != new.get(name)
    )
    fields = changed if old is not None else ["Status"]
    at, version = new["lastModified"], new.get("Version", 1)
    set_name = changes_set(new["ImageID"])
    return {
        (set_name, f"{version:010d} {at} {number:02d}"): _change_item(name, old or {}, new, version)
        for number, name in enumerate(fields)
    }


def _change_item(name: str, old: Item, new: Item, version: int) -> Item:
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
    return json.dumps(value, ensure_ascii=False, default=str)[:MAX_HISTORY_CHARS]
