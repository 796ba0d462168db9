"""Records as the schema's types."""

from collections.abc import Callable
from typing import Any, TypeVar

from vsv.records import ImportRecord, SlideRecord
from vsv.stores import Page

T = TypeVar("T")
Fields = dict[str, Any]

# As in the schema, and null where there is no value: a client need not tell missing from none. What else is stored
# stays here: tags can be long and name the patient, a source is a path, a run is the system's own affair.
_SLIDE_FIELDS = frozenset(SlideRecord.wire_names().values()) - {"Tags", "Checksum"}
_IMPORT_FIELDS = ("Filename", "Size", "State", "Progress", "ImageID", "Error", "StartedAt", "UpdatedAt")


def slide(record: SlideRecord) -> Fields:
    """Give a slide; its scan date as AWSDateTime, which must have an offset."""
    item = record.to_item()
    fields = {name: item.get(name) for name in _SLIDE_FIELDS}
    return fields | {"ScanDate": aws_date_time(record.scan_date)}


def imported(record: ImportRecord) -> Fields:
    """Give an import."""
    item = record.to_item()
    return {name: item.get(name) for name in _IMPORT_FIELDS}


def connection(page: Page[T], one: Callable[[T], Fields]) -> Fields:
    """Give a page as a connection."""
    return {"items": [one(record) for record in page.items], "nextToken": page.next_token}


def aws_date_time(text: str | None) -> str | None:
    """Give a time with an offset; the scanner's wall clock, which has none, as if it were UTC."""
    if text is None or text.endswith("Z") or text[-6:-5] in {"+", "-"}:
        return text
    return f"{text}Z"
