"""The steps of an import: transfer → inspect → extract → render → ready.

The transfer is the deployment's (DataSync, or a local copy). Each step here can be killed anywhere and run again:
what it has done already it finds done. A step acts only for the run that is stored under the filename.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from vsv.errors import FileMissingError, TransferError, UnavailableError, UnreadableSlideError
from vsv.ingest.extraction import extract
from vsv.ingest.runs import DISK, NOT_THE_ONE, UNDER_WAY, is_object, record_failure
from vsv.ingest.stored_slides import is_sha256
from vsv.ingest.validation import checksum, inspect
from vsv.pyramids.renderer import Progress, render_pyramid
from vsv.records.models import ImportRecord, ImportState
from vsv.services import Services


def inspect_run(services: Services, run: ImportRecord, *, arrived: bool = True) -> ImportRecord:
    """Step: look whether the transferred file is whole, opens and is the one asked for; note its checksum.

    ``arrived``: no transfer is writing to the incoming file. Until that is known it is left alone.
    """
    with _failure_recorded(services, run):
        if run.image_id is not None and services.files.stored_size(run.image_id) == run.size:
            return _inspected(services, run)  # a killed run got further than this
        # What is in the incoming folder is never a dropped object, but a scanner's file of the same name.
        is_coming = is_object(run.source) or (not arrived and run.checksum is None)
        if is_coming and not services.files.has_taken(run.filename, run.run_id):
            raise FileMissingError("the file has not been transferred yet")
        path = services.files.take(run.filename, run.run_id, run.size)
        inspect(path, run.size)
        digest = run.checksum or checksum(path)
        if run.expected not in {None, digest} and is_sha256(digest):
            path.unlink()  # the next transfer must bring all of it again, not compare it with this
            raise TransferError(NOT_THE_ONE)
        return _inspected(services, run, checksum=digest)


def _inspected(services: Services, run: ImportRecord, **found: str) -> ImportRecord:
    if run.state not in UNDER_WAY and not found:
        return run  # it has ended since, and stays so
    return services.imports.advance(
        run.filename, run.run_id, {"state": ImportState.IMPORTING, "error": None, **found}
    )


def extract_run(services: Services, run: ImportRecord) -> ImportRecord:
    """Step: give the slide its ID and place, its pictures and its record."""
    with _failure_recorded(services, run):
        return extract(services, run)


def render_run(
    services: Services, run: ImportRecord, progress: Progress, jobs: int | None = None
) -> ImportRecord:
    """Step: render the missing levels; the import is then ready."""
    with _failure_recorded(services, run):
        if run.image_id is None:
            raise FileMissingError("this import has no slide yet")
        render_stored(services, run.image_id, progress, jobs)
        return services.imports.advance(run.filename, run.run_id, {"state": ImportState.READY, "error": None})


def render_stored(services: Services, image_id: str, progress: Progress, jobs: int | None = None) -> None:
    """Render a stored slide, whatever has become of the run that stored it."""
    if not services.files.is_hidden(image_id):  # deleted meanwhile: there is nothing to show
        render(services, image_id, progress, jobs)


def render(services: Services, image_id: str, progress: Progress, jobs: int | None = None) -> bool:
    """Render a slide's pyramid unless a whole one exists; tell whether there was anything to do."""
    slide = services.slide_cache.slide(image_id, is_seen=False)
    if all(dz in slide.levels for dz in range(slide.grid.level_count)):
        return False
    render_pyramid(slide, services.files.pyramid(image_id), jobs, progress)
    return True


@contextmanager
def _failure_recorded(services: Services, run: ImportRecord) -> Iterator[None]:
    """Record what will never pass; what may pass is the caller's to try again."""
    try:
        yield
    except UnreadableSlideError as error:
        record_failure(services, run, str(error))
        raise
    except OSError as error:
        raise UnavailableError(DISK) from error
