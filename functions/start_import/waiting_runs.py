"""Read the runs that wait for their execution from records of the imports table's stream.

Every other record is skipped: a record that failed would be sent again and again, and block the records behind it.
Source: "DynamoDB Streams record" (``StreamRecord``, ``AttributeValue``), Amazon DynamoDB API reference.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vsv.identifiers import is_image_id, is_slide_filename
from vsv.ingest.runs import MAX_FILE_SIZE
from vsv.records.models import ImportRecord, ImportState


@dataclass(frozen=True, slots=True)
class WaitingRun:
    """A run to start; ``sequence_number`` is that of its record in the stream."""

    sequence_number: str
    run: ImportRecord


def waiting_runs(event: Mapping[str, Any]) -> list[WaitingRun]:
    """Return the runs of a batch that wait for their execution, once each, in the order of their last records."""
    latest: dict[str, WaitingRun] = {}
    records = event.get("Records")
    for record in records if isinstance(records, list) else ():
        waiting = _waiting(_dict(record))
        if waiting is not None:
            latest.pop(waiting.run.run_id, None)
            latest[waiting.run.run_id] = waiting
    return list(latest.values())


def _waiting(record: Mapping[str, Any]) -> WaitingRun | None:
    change = _dict(record.get("dynamodb"))
    new, old = _dict(change.get("NewImage")), _dict(change.get("OldImage"))
    number = change.get("SequenceNumber")
    if record.get("eventName") not in ("INSERT", "MODIFY") or not isinstance(number, str):
        return None
    if _text(new, "State") != ImportState.TRANSFERRING or _is_worked_on(old, new):
        return None
    run = _run(new)
    return None if run is None else WaitingRun(number, run)


def _is_worked_on(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Return whether a step of the run made this change, so that its execution exists.

    A touch changes only the time.
    """
    changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    return bool(old) and bool(changed - {"UpdatedAt"}) and not changed & {"RunID", "State"}


def _run(image: Mapping[str, Any]) -> ImportRecord | None:
    filename, run_id = _text(image, "Filename"), _text(image, "RunID")
    size = _dict(image.get("Size")).get("N")
    if filename is None or not is_slide_filename(filename) or run_id is None or not is_image_id(run_id):
        return None
    if not isinstance(size, str) or not size.isdecimal() or len(size) > 15 or int(size) > MAX_FILE_SIZE:
        return None
    return ImportRecord(
        filename=filename,
        size=int(size),
        state=ImportState.TRANSFERRING,
        run_id=run_id,
        source=_text(image, "Source"),
        started_at=_text(image, "StartedAt") or "",
        updated_at=_text(image, "UpdatedAt") or "",
    )


def _text(image: Mapping[str, Any], name: str) -> str | None:
    text = _dict(image.get(name)).get("S")
    return text if isinstance(text, str) else None


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
