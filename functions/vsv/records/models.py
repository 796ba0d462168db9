"""What is stored about slides and imports, with the field names of the wire.

A record's Python attribute and its stored field are tied together here and nowhere else: stores, GraphQL and
``vsv list --json`` all use ``to_item`` and ``from_item``.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self


class Status(StrEnum):
    """Where a slide stands in review."""

    NEW = "NEW"
    GOOD = "GOOD"
    BAD = "BAD"
    SENT = "SENT"
    PUBLISHED = "PUBLISHED"
    ARCHIVED = "ARCHIVED"
    DELETED = "DELETED"


class ImportState(StrEnum):
    """Where a file stands on its way in."""

    TRANSFERRING = "TRANSFERRING"
    IMPORTING = "IMPORTING"
    READY = "READY"
    FAILED = "FAILED"


def _wire(name: str, default: Any = dataclasses.MISSING) -> Any:
    return field(metadata={"wire": name}, default=default)


class JobKind(StrEnum):
    """What is done to a slide that takes long, or may have to wait."""

    PUBLISH = "PUBLISH"
    WITHDRAW = "WITHDRAW"
    ARCHIVE = "ARCHIVE"
    RESTORE = "RESTORE"
    PURGE = "PURGE"
    SEND = "SEND"


class JobState(StrEnum):
    """Where a job stands. FAILED is the end until a person asks again."""

    WAITING = "WAITING"
    DONE = "DONE"
    FAILED = "FAILED"


class _Record:
    """Turns a frozen dataclass of wire fields into a plain item and back."""

    @classmethod
    def wire_names(cls) -> dict[str, str]:
        """Map each attribute name to its stored field name."""
        return {f.name: f.metadata["wire"] for f in dataclasses.fields(cls)}  # type: ignore[arg-type]

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Build the record from a stored item; fields that are not ours are passed over."""
        return cls(**{attr: item[name] for attr, name in cls.wire_names().items() if name in item})

    def to_item(self) -> dict[str, Any]:
        """Give the stored item: wire names, fields without a value left out."""
        pairs = ((name, getattr(self, attr)) for attr, name in self.wire_names().items())
        return {name: str(v) if isinstance(v, StrEnum) else v for name, v in pairs if v is not None}


@dataclass(frozen=True, kw_only=True)
class SlideRecord(_Record):
    """One imported slide.

    ``scan_date`` is ISO 8601; ``time_zone`` is its offset as the scanner wrote it, or "local" where the slide
    names none (then ``scan_date`` has no offset: it is the scanner's wall clock). ``mpp`` is µm per pixel at full
    resolution. ``barcode`` is None when none could be read; slide and case ID are then the ImageID.
    ``last_modified`` is UTC. ``version`` counts up with every change: the optimistic lock.
    ``original`` tells where the original is: None here, else ARCHIVING, ARCHIVED, RESTORING or PURGED.
    ``status_before`` is what an archived or published slide returns to, ``published_as`` the name of its published
    copy while that is out, ``predecessor`` the deleted slide that this one was scanned again for.
    ``delivery`` is WAITING, DELIVERED or FAILED once a slide was marked to be sent.
    """

    image_id: str = _wire("ImageID")
    slide_id: str | None = _wire("SlideID", None)
    case_id: str | None = _wire("CaseID", None)
    filename: str = _wire("Filename")
    status: Status = _wire("Status", Status.NEW)
    scan_date: str | None = _wire("ScanDate", None)
    time_zone: str | None = _wire("TimeZone", None)
    app_mag: str | None = _wire("AppMag", None)
    mpp: float | None = _wire("MPP", None)
    width: int = _wire("width")
    height: int = _wire("height")
    file_size: int = _wire("FileSize")
    checksum: str | None = _wire("Checksum", None)
    barcode: str | None = _wire("Barcode", None)
    barcode_format: str | None = _wire("BarcodeFormat", None)
    tile_size: int | None = _wire("TileSize", None)
    compression: str | None = _wire("Compression", None)
    scanner_id: str | None = _wire("ScannerID", None)
    tags: Mapping[str, str] | None = _wire("Tags", None)
    reviewer: str | None = _wire("Reviewer", None)
    note: str | None = _wire("Note", None)
    original: str | None = _wire("Original", None)
    status_before: str | None = _wire("StatusBefore", None)
    published_as: str | None = _wire("PublishedAs", None)
    predecessor: str | None = _wire("Predecessor", None)
    deleted_at: str | None = _wire("DeletedAt", None)
    delivery: str | None = _wire("Delivery", None)
    last_modified: str = _wire("lastModified")
    modified_by: str | None = _wire("ModifiedBy", None)
    version: int = _wire("Version", 1)

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", Status(self.status))


@dataclass(frozen=True, kw_only=True)
class ImportRecord(_Record):
    """One file's way in: the latest one under this filename.

    ``run_id`` names one attempt at one file version; a step that finds another run's ID in the store stops.
    Times are ISO 8601 UTC. ``source`` is the folder that the file comes from and ``source_modified`` the
    file's modification time there, in nanoseconds since the epoch, where the transfer can see them.
    On AWS ``source`` is the drop-in bucket's object, None for the scanner's folder behind DataSync.
    ``expected`` is the checksum that the scanner named: no other content will do.
    ``progress`` is 0 to 1 within the state, None where it is not known.
    ``consecutive_crashes`` counts how often in a row the process ended while it worked on this run.
    """

    filename: str = _wire("Filename")
    size: int = _wire("Size")
    state: ImportState = _wire("State")
    run_id: str = _wire("RunID")
    image_id: str | None = _wire("ImageID", None)
    error: str | None = _wire("Error", None)
    progress: float | None = _wire("Progress", None)
    checksum: str | None = _wire("Checksum", None)
    expected: str | None = _wire("Expected", None)
    source: str | None = _wire("Source", None)
    source_modified: int | None = _wire("SourceModified", None)
    consecutive_crashes: int = _wire("Deaths", 0)
    started_at: str = _wire("StartedAt")
    updated_at: str = _wire("UpdatedAt")

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", ImportState(self.state))


@dataclass(frozen=True, kw_only=True)
class JobRecord(_Record):
    """The latest job of one kind for one slide.

    ``run_id`` names one request; who finds another one stored stops. ``next_at`` is when it is due (or when it
    ended), ``expected_at`` when it should be done, where that is known; times are ISO 8601 UTC. ``attempts`` counts
    how often it was begun without getting on. ``detail`` is what was asked for, ``result`` what came of it.
    """

    job_id: str = _wire("JobID")
    kind: JobKind = _wire("Kind")
    image_id: str = _wire("ImageID")
    run_id: str = _wire("RunID")
    state: JobState = _wire("State")
    by: str = _wire("RequestedBy")
    attempts: int = _wire("Attempts", 0)
    next_at: str = _wire("NextAt")
    expected_at: str | None = _wire("ExpectedAt", None)
    detail: Mapping[str, str] | None = _wire("Detail", None)
    result: Mapping[str, str] | None = _wire("Result", None)
    error: str | None = _wire("Error", None)
    requested_at: str = _wire("RequestedAt")
    updated_at: str = _wire("UpdatedAt")

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", JobKind(self.kind))
        object.__setattr__(self, "state", JobState(self.state))


def job_id(image_id: str, kind: JobKind) -> str:
    """Give the key of a slide's job of that kind."""
    return f"{kind}.{image_id}"


@dataclass(frozen=True, kw_only=True)
class ChangeRecord(_Record):
    """One field of one slide, changed once; never altered afterwards.

    ``at`` is ISO 8601 UTC; ``old`` and ``new`` are text, None for no value; ``version`` is the slide's after it.
    """

    image_id: str = _wire("ImageID")
    at: str = _wire("at")
    by: str = _wire("by")
    field: str = _wire("field")
    old: str | None = _wire("from", None)
    new: str | None = _wire("to", None)
    version: int = _wire("Version")
