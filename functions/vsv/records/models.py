"""Models of the stored records, with the field names of storage and wire.

Only this module maps a record's Python attributes to stored fields: stores, GraphQL and ``vsv list --json`` all use
``to_item`` and ``from_item``.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

# No moment in ISO 8601: clients and AppSync's AWSDateTime refuse such a text, and the review index has it as undated.
_IMPOSSIBLE_ZONE = re.compile(r"[+-](?:2[4-9]|[3-9]\d):?\d\d\Z|[+-]\d\d:?[6-9]\d\Z", re.ASCII)


class Status(StrEnum):
    """The review status of a slide."""

    NEW = "NEW"
    GOOD = "GOOD"
    BAD = "BAD"
    SENT = "SENT"
    PUBLISHED = "PUBLISHED"
    ARCHIVED = "ARCHIVED"
    DELETED = "DELETED"


class ImportState(StrEnum):
    """The state of a file's import."""

    TRANSFERRING = "TRANSFERRING"
    IMPORTING = "IMPORTING"
    READY = "READY"
    FAILED = "FAILED"


def _wire(name: str, default: Any = dataclasses.MISSING) -> Any:
    return field(metadata={"wire": name}, default=default)


class JobKind(StrEnum):
    """The kind of a job: an operation on a slide that takes long or may have to wait."""

    PUBLISH = "PUBLISH"
    WITHDRAW = "WITHDRAW"
    ARCHIVE = "ARCHIVE"
    RESTORE = "RESTORE"
    PURGE = "PURGE"
    SEND = "SEND"
    RENDER = "RENDER"


class JobState(StrEnum):
    """The state of a job. FAILED is final until a person requests the job again, or dismisses it (DISMISSED)."""

    WAITING = "WAITING"
    DONE = "DONE"
    FAILED = "FAILED"
    DISMISSED = "DISMISSED"


class _Record:
    """Base of the models: converts a frozen dataclass of wire fields to a plain item and back."""

    @classmethod
    def wire_names(cls) -> dict[str, str]:
        """Return the stored field name by attribute name."""
        return {f.name: f.metadata["wire"] for f in dataclasses.fields(cls)}  # type: ignore[arg-type]

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Build the record from a stored item; ignore fields that are not the model's."""
        return cls(**{attr: item[name] for attr, name in cls.wire_names().items() if name in item})

    def to_item(self) -> dict[str, Any]:
        """Return the stored item: values by wire name, without the fields whose value is None."""
        pairs = ((name, getattr(self, attr)) for attr, name in self.wire_names().items())
        return {name: str(v) if isinstance(v, StrEnum) else v for name, v in pairs if v is not None}


@dataclass(frozen=True, kw_only=True)
class SlideRecord(_Record):
    """One imported slide.

    ``scan_date`` is ISO 8601; ``time_zone`` is its offset as the scanner wrote it, or "local" where the slide
    names none (then ``scan_date`` has no offset: it is the scanner's wall clock). ``mpp`` is µm per pixel at full
    resolution. ``barcode`` is None when no barcode could be read. ``id_not_confirmed`` is True where no text of the
    slide fitted the pattern of IDs, and no person has set the case: slide and case ID are then the ImageID.
    ``id_candidates`` are the texts of label and scanner's tag where there are several: each text's code format, or
    ``tag``.
    ``last_modified`` is UTC. ``version`` goes up by one with every change: the optimistic lock.
    ``original`` says where the original is: None in the data folder, else ARCHIVING, ARCHIVED, RESTORING or PURGED.
    ``status_before`` is the status that an archived or published slide returns to, ``published_as`` the name of the
    published copy while there is one, ``publishing_as`` the name of a copy that may be seen though no publication was
    completed under it, ``predecessor`` the deleted slide that this slide is a rescan of.
    ``delivery`` is WAITING, DELIVERED or FAILED once a slide was marked to be sent. Of a slide of several files,
    ``file_size`` is the size of its index, and ``checksum`` that of all its files. ``damage`` is the number
    of tiles that cannot be decoded, or not wholly, by Deep Zoom level, None where there are none.
    ``same_file_as`` is another slide with the same bytes, ``same_id_as`` another one with the same slide ID.
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
    publishing_as: str | None = _wire("PublishingAs", None)
    predecessor: str | None = _wire("Predecessor", None)
    deleted_at: str | None = _wire("DeletedAt", None)
    delivery: str | None = _wire("Delivery", None)
    id_not_confirmed: bool | None = _wire("IDNotConfirmed", None)
    id_candidates: Mapping[str, str] | None = _wire("IDCandidates", None)
    damage: Mapping[str, str] | None = _wire("Damage", None)
    same_file_as: str | None = _wire("SameFileAs", None)
    same_id_as: str | None = _wire("SameIDAs", None)
    last_modified: str = _wire("lastModified")
    modified_by: str | None = _wire("ModifiedBy", None)
    version: int = _wire("Version", 1)

    @property
    def is_duplicate(self) -> bool:
        """Whether another slide has the same bytes or the same slide ID."""
        return self.same_file_as is not None or self.same_id_as is not None

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Build the record; a scan date with an impossible zone, which earlier versions stored, counts as unknown."""
        if _IMPOSSIBLE_ZONE.search(item.get("ScanDate") or ""):
            item = {name: value for name, value in item.items() if name not in {"ScanDate", "TimeZone"}}
        return super().from_item(item)

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", Status(self.status))


@dataclass(frozen=True, kw_only=True)
class ImportRecord(_Record):
    """The latest import under a filename.

    ``run_id`` names one attempt at one file version; a step that finds another run's ID in the store stops.
    Times are ISO 8601 UTC. ``source`` is the folder that the file comes from and ``source_modified`` the
    file's modification time there, in nanoseconds since the epoch, where the transfer can see them; of several files
    it is a number that changes with any of them.
    On AWS ``source`` is the drop-in bucket's object, None for the scanner's folder behind DataSync.
    ``expected`` is the checksum that the scanner named: other content is not accepted.
    ``again`` is True where a person imports the file on purpose, even if it is a purged slide's.
    ``progress`` is 0 to 1 within the state, None where the progress is unknown.
    ``consecutive_crashes`` counts how often in a row the process crashed while working on this run.
    ``confirmed``: the scanner was told, before the run was ready, that its file is stored. ``superseded_id`` is the
    slide whose content, of ``superseded_checksum``, this run replaces, since its file changed before it was ready.
    ``unwritten`` is a digest of a file that looked unfinished, ``unwritten_since`` when that look was first seen.
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
    again: bool | None = _wire("Again", None)
    source: str | None = _wire("Source", None)
    source_modified: int | None = _wire("SourceModified", None)
    consecutive_crashes: int = _wire("Deaths", 0)
    confirmed: bool | None = _wire("Confirmed", None)
    superseded_id: str | None = _wire("SupersededID", None)
    superseded_checksum: str | None = _wire("SupersededChecksum", None)
    unwritten: str | None = _wire("Unwritten", None)
    unwritten_since: str | None = _wire("UnwrittenSince", None)
    started_at: str = _wire("StartedAt")
    updated_at: str = _wire("UpdatedAt")

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", ImportState(self.state))


@dataclass(frozen=True, kw_only=True)
class JobRecord(_Record):
    """The latest job of one kind for one slide.

    ``run_id`` names one request; a process that finds another request's ID stored stops. ``next_at`` is when the job
    is due (or when it ended), ``expected_at`` when the job should be done, where known; times are ISO 8601 UTC.
    ``attempts`` counts the attempts without progress. ``detail`` holds the request's details, ``result`` the outcome.
    ``is_background`` is True for what a daily check requested: a person's jobs go before it. ``dismissed_by`` is who
    dismissed a failed job, at ``updated_at``; all else stays as it failed.
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
    is_background: bool | None = _wire("Background", None)
    dismissed_by: str | None = _wire("DismissedBy", None)
    requested_at: str = _wire("RequestedAt")
    updated_at: str = _wire("UpdatedAt")

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", JobKind(self.kind))
        object.__setattr__(self, "state", JobState(self.state))


def job_id(image_id: str, kind: JobKind) -> str:
    """Return the key of a slide's job of that kind."""
    return f"{kind}.{image_id}"


# The set of the review table on AWS in which a row appears for a moment with each change of a job, so that its stream
# tells of it: the stream of the jobs table has as many readers as a stream may have.
JOB_CHANGES = "jobs"


def job_of(key: str) -> tuple[JobKind, str] | None:
    """Return the kind and the ImageID in a job's key; None for another key."""
    kind, _, image_id = key.partition(".")
    return (JobKind(kind), image_id) if kind in list(JobKind) and image_id else None


@dataclass(frozen=True, kw_only=True)
class ChangeRecord(_Record):
    """One change of one field of one slide; the record itself never changes.

    ``at`` is ISO 8601 UTC; ``old`` and ``new`` are text, None for no value; ``version`` is the slide's version after
    the change.
    """

    image_id: str = _wire("ImageID")
    at: str = _wire("at")
    by: str = _wire("by")
    field: str = _wire("field")
    old: str | None = _wire("from", None)
    new: str | None = _wire("to", None)
    version: int = _wire("Version")
