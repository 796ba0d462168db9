"""Convert records to the schema's types."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from vsv.ingest.id_pattern import parse_ids
from vsv.ingest.not_imported import NotImported
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
    listed = {"IDCandidates": _candidates(record), "Damage": _damage(record)}
    return fields | dates | listed | ({} if sees_patients else _PRIVATE)


def _candidates(record: SlideRecord) -> list[Fields] | None:
    """Return the texts that may name a slide, those that fit the pattern first; None where there are no several."""
    if record.id_candidates is None:
        return None
    candidates = [
        {"Text": text, "Source": source} | ids_of(text) for text, source in record.id_candidates.items()
    ]
    names = ("Text", "Source", "SlideID", "CaseID")
    shown = [{name: candidate[name] for name in names} for candidate in candidates]
    return sorted(shown, key=lambda candidate: (candidate["CaseID"] is None, candidate["Text"]))


def ids_of(text: str) -> Fields:
    """Return what a text names by the installation's pattern; no case where it does not fit."""
    ids = parse_ids(text, current().settings.id_pattern)
    return {
        "SlideID": ids.slide,
        "CaseID": ids.case if ids.confirmed else None,
        "Block": ids.block,
        "Stain": ids.stain,
    }


def _damage(record: SlideRecord) -> list[dict[str, int]] | None:
    if record.damage is None:
        return None
    counts = sorted(((int(level), int(tiles)) for level, tiles in record.damage.items()), reverse=True)
    return [{"level": level, "tiles": tiles} for level, tiles in counts]


def _goes_at(record: SlideRecord) -> str | None:
    if record.status is not Status.DELETED or record.deleted_at is None or record.original == "PURGED":
        return None
    grace = timedelta(days=current().settings.grace_days)
    return (datetime.fromisoformat(record.deleted_at) + grace).isoformat().replace("+00:00", "Z")


def imported(record: ImportRecord) -> Fields:
    """Return an import's fields."""
    item = record.to_item()
    return {name: item.get(name) for name in _IMPORT_FIELDS}


def not_imported(found: NotImported) -> Fields:
    """Return the fields of what is not imported for one reason."""
    return {"reason": found.reason, "count": found.count, "names": list(found.names)}


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
