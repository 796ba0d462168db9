"""Runs of imports, by their records: the current run of a file, whether a run is under way, its failure."""

from collections.abc import Mapping
from typing import Any

from vsv.errors import NotFoundError, VersionConflictError
from vsv.identifiers import checked_filename
from vsv.records.models import ImportRecord, ImportState
from vsv.services import Services

MAX_FILE_SIZE = 1 << 44
UNDER_WAY = (ImportState.TRANSFERRING, ImportState.IMPORTING)
# Messages for people that several steps share.
NOT_THE_ONE = "the file in the scanner's folder is not the one that was asked for: its checksum differs"


def is_object(source: str | None) -> bool:
    """Return whether a run's source is an object of the drop-in bucket."""
    return source is not None and source.startswith("s3://")


def current_run(services: Services, filename: str, run_id: str) -> ImportRecord:
    """Return the run; raise VersionConflictError where another run has replaced it, NotFoundError without a run."""
    run = services.imports.get(checked_filename(filename))
    if run is None:
        raise NotFoundError("this import is not known")
    if run.run_id != run_id:
        raise VersionConflictError("a newer import of this file has replaced this one")
    return run


def record_failure(
    services: Services, run: ImportRecord, message: str, more: Mapping[str, Any] | None = None
) -> None:
    """Record why a run failed, for a technician to read; a run that was replaced is left unchanged."""
    changes = {"state": ImportState.FAILED, "error": message, **(more or {})}
    try:
        services.imports.advance(run.filename, run.run_id, changes)
    except VersionConflictError:
        return
