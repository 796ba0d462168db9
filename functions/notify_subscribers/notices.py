"""Turn records of DynamoDB's streams into the mutations that notify subscribers.

The tables are distinguished by their keys; a change of a job is a row that appears in the review table for a moment.
Every record that is no valid change of a slide, an import or a job is skipped: a record that failed would be sent
again and again, and block the changes behind it. Source: "DynamoDB Streams record" (``StreamRecord``,
``AttributeValue``), Amazon DynamoDB API reference.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vsv.identifiers import is_image_id, is_slide_filename
from vsv.records.models import JOB_CHANGES, ImportState, job_of

# Subscribers get only the fields that the mutation selects: all but LabelURL, PublishedAs and Predecessor, which
# not every subscriber may see, and GoesAt, which only a list needs.
REPORT_SLIDE = """mutation ($ImageID: String!) {
  reportSlideUpdate(ImageID: $ImageID) {
    CaseID ImageID SlideID ScanDate TimeZone AppMag MPP height width Status Filename FileSize Barcode BarcodeFormat
    TileSize Compression ScannerID Reviewer Note Version lastModified ModifiedBy
    Original StatusBefore DeletedAt Delivery IDNotConfirmed SameFileAs SameIDAs
    IDCandidates { Text Source SlideID CaseID } Damage { level tiles }
  }
}"""
REPORT_IMPORT = """mutation ($input: ImportProgressInput!) {
  reportImportProgress(input: $input) { Filename Size State Progress ImageID Error StartedAt UpdatedAt }
}"""
REPORT_JOB = """mutation ($ImageID: String!, $kind: String!) {
  reportJobUpdate(ImageID: $ImageID, kind: $kind) {
    ImageID Kind State Name RequestedBy RequestedAt UpdatedAt ExpectedAt Attempts Error Result DismissedBy
  }
}"""
# The fields of ImportProgressInput with their types in DynamoDB; sources, checksums and runs are never sent.
IMPORT_FIELDS = {
    "Filename": "S",
    "Size": "N",
    "State": "S",
    "Progress": "N",
    "ImageID": "S",
    "Error": "S",
    "StartedAt": "S",
    "UpdatedAt": "S",
}


@dataclass(frozen=True, slots=True)
class Notice:
    """One mutation to send; ``sequence_number`` is that of the change in its stream."""

    sequence_number: str
    mutation: str
    variables: Mapping[str, Any]


def notices(event: Mapping[str, Any]) -> list[Notice]:
    """Return the notices of a batch: the last change of each key, without records that were removed again."""
    latest: dict[tuple[str, str], Notice | None] = {}
    for record in _dicts(event.get("Records")):
        change = _dict(record.get("dynamodb"))
        if (key := _key(change)) and not (key[0] == "JobID" and record.get("eventName") == "REMOVE"):
            latest.pop(key, None)  # notices keep the order of the last changes
            latest[key] = _notice(record.get("eventName"), key, change)
    return [notice for notice in latest.values() if notice]


def _key(change: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the name and value of a record's key where it is that of a slide, an import or a change of a job."""
    keys = _dict(change.get("Keys"))
    if keys.keys() == {"Set", "Place"} and _dict(keys["Set"]).get("S") == JOB_CHANGES:
        keys = {"JobID": keys["Place"]}
    if len(keys) != 1:
        return None
    ((name, typed),) = keys.items()
    value, is_valid = _dict(typed).get("S"), _KEYS.get(name)
    return (name, value) if is_valid and isinstance(value, str) and is_valid(value) else None


def _is_job_id(text: str) -> bool:
    """Return whether a text is a job's key."""
    job = job_of(text)
    return job is not None and is_image_id(job[1])


_KEYS = {"ImageID": is_image_id, "Filename": is_slide_filename, "JobID": _is_job_id}


def _notice(event_name: object, key: tuple[str, str], change: Mapping[str, Any]) -> Notice | None:
    number, (name, value) = change.get("SequenceNumber"), key
    if event_name not in ("INSERT", "MODIFY") or not isinstance(number, str):
        return None
    if name == "ImageID":
        return Notice(number, REPORT_SLIDE, {"ImageID": value})
    if name == "JobID" and (job := job_of(value)) is not None:
        return Notice(number, REPORT_JOB, {"ImageID": job[1], "kind": str(job[0])})
    fields = _import_fields(_dict(change.get("NewImage")))
    is_import = fields.get("Filename") == value and fields.get("State") in list(ImportState)
    return Notice(number, REPORT_IMPORT, {"input": fields}) if is_import else None


def _import_fields(image: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an import that subscribers may see; a field of another type is left out."""
    typed = {name: _dict(image.get(name)).get(kind) for name, kind in IMPORT_FIELDS.items()}
    texts = {name: text for name, text in typed.items() if isinstance(text, str)}
    plain = {name: _number(text) if IMPORT_FIELDS[name] == "N" else text for name, text in texts.items()}
    return {name: value for name, value in plain.items() if value is not None}


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _dicts(values: object) -> Iterable[Mapping[str, Any]]:
    return map(_dict, values) if isinstance(values, list) else ()
