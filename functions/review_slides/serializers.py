"""Records as the schema's types."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from vsv.records.models import ImportRecord, JobRecord, JobState, SlideRecord, Status
from vsv.records.stores import Page
from vsv.runtime import current

T = TypeVar("T")
Fields = dict[str, Any]

# As in the schema, and null where there is no value: a client need not tell missing from none. What else is stored
# stays here: tags can be long and name the patient, a source is a path, a run is the system's own affair.
_SLIDE_FIELDS = frozenset(SlideRecord.wire_names().values()) - {"Tags", "Checksum"}
# What ties a slide to a study or to another slide: for who may see patient data.
_PRIVATE = dict.fromkeys(("PublishedAs", "Predecessor"))
_IMPORT_FIELDS = ("Filename", "Size", "State", "Progress", "ImageID", "Error", "StartedAt", "UpdatedAt")
_JOB_FIELDS = (
    "ImageID", "Kind", "State", "RequestedBy", "RequestedAt", "UpdatedAt", "ExpectedAt", "Attempts", "Error"
)  # fmt: skip


def slide(record: SlideRecord, *, sees_patients: bool = False) -> Fields:
    """Give a slide as everybody may have it, or as who may see patient data does."""
    item = record.to_item()
    fields = {name: item.get(name) for name in _SLIDE_FIELDS}
    # An AWSDateTime must have an offset.
    dates = {"ScanDate": aws_date_time(record.scan_date), "GoesAt": _goes_at(record)}
    return fields | dates | ({} if sees_patients else _PRIVATE)


def _goes_at(record: SlideRecord) -> str | None:
    if record.status is not Status.DELETED or record.deleted_at is None or record.original == "PURGED":
        return None
    grace = timedelta(days=current().settings.grace_days)
    return (datetime.fromisoformat(record.deleted_at) + grace).isoformat().replace("+00:00", "Z")


def imported(record: ImportRecord) -> Fields:
    """Give an import."""
    item = record.to_item()
    return {name: item.get(name) for name in _IMPORT_FIELDS}


def job(record: JobRecord) -> Fields:
    """Give a job; what came of it as text, such as ``files: 5; bytes: 1048576``."""
    item = record.to_item()
    # Before its end, a step keeps there what it needs to go on.
    found = record.result if record.state is JobState.DONE else None
    result = "; ".join(f"{name}: {value}" for name, value in (found or {}).items())
    fields = {name: item.get(name) for name in _JOB_FIELDS}
    return fields | {"Name": (record.detail or {}).get("name"), "Result": result or None}


def connection(page: Page[T], one: Callable[[T], Fields]) -> Fields:
    """Give a page as a connection."""
    return {"items": [one(record) for record in page.items], "nextToken": page.next_token}


def aws_date_time(text: str | None) -> str | None:
    """Give a time with an offset; the scanner's wall clock, which has none, as if it were UTC."""
    if text is None or text.endswith("Z") or text[-6:-5] in {"+", "-"}:
        return text
    return f"{text}Z"
