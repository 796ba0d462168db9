"""Stores and records for the tests of the record stores."""

from dataclasses import dataclass
from typing import Any

from vsv.records.models import ImportRecord, ImportState, JobKind, JobRecord, JobState, SlideRecord, job_id
from vsv.records.pagination import MAX_KEY_BYTES
from vsv.records.stores import ImportStore, JobStore, SlideStore

# Texts that no store accepts as a key: readers return nothing for them, writers refuse them.
NOT_KEYS = ["", "half a pair \ud83d", "x" * (MAX_KEY_BYTES + 1)]


@dataclass
class Stores:
    slides: SlideStore
    imports: ImportStore
    jobs: JobStore


def slide(image_id: str = "image-1", **fields: Any) -> SlideRecord:
    """Return a slide's record with only the required fields."""
    required: dict[str, Any] = {
        "filename": f"{image_id}.svs",
        "width": 46000,
        "height": 32914,
        "file_size": 2**40 + 1,
        "last_modified": "2026-11-21T06:10:58.000042Z",
    }
    return SlideRecord(image_id=image_id, **(required | fields))


def slide_import(filename: str = "a.svs", run_id: str = "run-1", **fields: Any) -> ImportRecord:
    """Return an import's record with only the required fields."""
    required: dict[str, Any] = {
        "size": 2**40,
        "state": ImportState.TRANSFERRING,
        "started_at": "2026-11-21T06:10:58.000042Z",
        "updated_at": "2026-11-21T06:10:58.000042Z",
    }
    return ImportRecord(filename=filename, run_id=run_id, **(required | fields))


def slide_job(image_id: str = "image-1", kind: JobKind = JobKind.ARCHIVE, **fields: Any) -> JobRecord:
    """Return a job's record with only the required fields."""
    required: dict[str, Any] = {
        "run_id": "run-1",
        "state": JobState.WAITING,
        "by": "Eve",
        "next_at": "2026-11-21T06:10:58.000042Z",
        "requested_at": "2026-11-21T06:10:58.000042Z",
        "updated_at": "2026-11-21T06:10:58.000042Z",
    }
    return JobRecord(job_id=job_id(image_id, kind), kind=kind, image_id=image_id, **(required | fields))


FULL_SLIDE = slide(
    "0f8fad5b-d9cb-469f-a165-70867728950e",
    slide_id="S26-1234;A1;äöü 病理 🔬",
    case_id="S26-1234",
    filename="Größe 病理 'quoted\" 100%.svs",
    scan_date="2026-11-20T23:59:59",
    time_zone="local",
    app_mag="40",
    mpp=0.2498,
    checksum="sha256:00ff",
    barcode="S26-1234\x1dA1",
    barcode_format="DataMatrix",
    tile_size=240,
    compression="JPEG",
    scanner_id="SS1234",
    reviewer="Dr. Größe",
    note="Falte im Gewebe\n2. Zeile",
    original="ARCHIVED",
    status_before="SENT",
    published_as="STUDY-7",
    publishing_as="STUDY-8",
    predecessor="4711",
    deleted_at="2026-11-21T06:10:58.000042Z",
    delivery="DELIVERED",
    id_not_confirmed=True,
    same_file_as="image-8",
    same_id_as="image-9",
    id_candidates={"S26-1234\x1dA1": "DataMatrix", "病理 4711": "tag"},
    damage={"12": "3", "10": "1"},
    tags={"aperio.Title": "Übersicht 🔬", "openslide.mpp-x": "0.2498", "empty": ""},
    modified_by="extract_metadata",
    version=7,
)
FULL_IMPORT = slide_import(
    "Größe 病理.svs",
    image_id="image-1",
    state=ImportState.FAILED,
    error="The file is not a slide: «kaputt».",
    progress=0.25,
    checksum="sha256:00ff",
    expected="00ff" * 16,
    again=True,
    source="Scanner 1/Größe",
    source_modified=1_795_241_458_123_456_789,
    confirmed=True,
    superseded_id="image-0",
    superseded_checksum="sha256:ff00",
    unwritten="00ee" * 16,
    unwritten_since="2026-11-21T06:11:00.000042Z",
)
FULL_JOB = slide_job(
    kind=JobKind.PUBLISH,
    attempts=3,
    expected_at="2026-11-21T18:10:58.000042Z",
    detail={"name": "STUDY-7", "größe": "病理 🔬"},
    result={"sha256": "00ff" * 16},
    error="the data folder cannot be used now",
    is_background=True,
    dismissed_by="Eve",
)
