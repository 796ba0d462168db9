"""Convert records to the schema's types."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from vsv.records.models import ImportRecord, JobRecord, JobState, SlideRecord, Status
from vsv.records.stores import Page
from vsv.runtime import current

T = TypeVar("T")
Fields = dict[str, Any]

# As in the schema, and null where there is no value: a client need not distinguish missing from null. Other stored
# fields are not sent: tags can be long and name the patient, a source is a path, a run is internal, and so is a
# publication that is not completed.
_SLIDE_FIELDS = frozenset(SlideRecord.wire_names().values()) - {"Tags", "Checksum", "PublishingAs"}
# Fields that link a slide to a study or to another slide: only for callers who may see patient data.
_PRIVATE = dict.fromkeys(("PublishedAs", "Predecessor"))
_IMPORT_FIELDS = ("Filename", "Size", "State", "Progress", "ImageID", "Error", "StartedAt", "UpdatedAt")
_JOB_FIELDS = (
    "ImageID", "Kind", "State", "RequestedBy", "RequestedAt", "UpdatedAt", "ExpectedAt", "Attempts", "Error",
    "DismissedBy",
)  # fmt: skip


def slide(record: SlideRecord, *, sees_patients: bool = False) -> Fields:
    """Return a slide's fields; the private ones only for a caller who may see patient data."""
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
    """Return an import's fields."""
    item = record.to_item()
    return {name: item.get(name) for name in _IMPORT_FIELDS}


def job(record: JobRecord) -> Fields:
    """Return a job's fields; its result as text, such as ``files: 5; bytes: 1048576``."""
    item = record.to_item()
    # Before the job is done, ``result`` holds what a step needs to resume.
    outcome = record.result if record.state is JobState.DONE else None
    result = "; ".join(f"{name}: {value}" for name, value in (outcome or {}).items())
    fields = {name: item.get(name) for name in _JOB_FIELDS}
    return fields | {"Name": (record.detail or {}).get("name"), "Result": result or None}


def connection(page: Page[T], serialize: Callable[[T], Fields]) -> Fields:
    """Return a page as a connection."""
    return {"items": [serialize(record) for record in page.items], "nextToken": page.next_token}


def aws_date_time(text: str | None) -> str | None:
    """Return a time with an offset; a scanner's wall clock, which has none, counts as UTC."""
    if text is None or text.endswith("Z") or text[-6:-5] in {"+", "-"}:
        return text
    return f"{text}Z"
