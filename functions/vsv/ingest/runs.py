"""Runs of imports, as their records tell: which one is current, whether it is under way, that it failed."""

from vsv.errors import NotFoundError, VersionConflictError
from vsv.identifiers import checked_filename
from vsv.records.models import ImportRecord, ImportState
from vsv.services import Services

MAX_FILE_SIZE = 1 << 44
UNDER_WAY = (ImportState.TRANSFERRING, ImportState.IMPORTING)
# Messages that several steps have for people.
NOT_THE_ONE = "the file in the scanner's folder is not the one that was asked for: its checksum differs"


def is_object(source: str | None) -> bool:
    """Tell whether a run's source is an object of the drop-in bucket."""
    return source is not None and source.startswith("s3://")


def current_run(services: Services, filename: str, run_id: str) -> ImportRecord:
    """Give the run; raises VersionConflictError where another has taken its place, NotFoundError without one."""
    run = services.imports.get(checked_filename(filename))
    if run is None:
        raise NotFoundError("this import is not known")
    if run.run_id != run_id:
        raise VersionConflictError("a newer import of this file has replaced this one")
    return run


def record_failure(services: Services, run: ImportRecord, message: str) -> None:
    """Note why a run failed, for a technician to read; a run that was replaced is left alone."""
    try:
        services.imports.advance(run.filename, run.run_id, {"state": ImportState.FAILED, "error": message})
    except VersionConflictError:
        return
