"""Steps of an import: transfer → inspect → extract → render → ready.

The transfer is the deployment's (DataSync, or a local copy). Each step here is idempotent: after a crash at any point
a step can be run again, and skips work that is done. A step acts only for the run that is stored under the filename.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from vsv.errors import FileMissingError, TransferError, UnavailableError, UnreadableSlideError
from vsv.ingest.extraction import extract
from vsv.ingest.runs import NOT_THE_ONE, UNDER_WAY, is_object, record_failure
from vsv.ingest.stored_slides import is_sha256
from vsv.ingest.validation import checksum, inspect
from vsv.pyramids.empty_tiles import is_outdated, is_windowed
from vsv.pyramids.renderer import Progress, render_pyramid
from vsv.records.models import ImportRecord, ImportState
from vsv.rendering.associated_images import encode, make_thumbnail
from vsv.services import Services
from vsv.storage import atomic_write
from vsv.storage.slide_files import DISK


def inspect_run(services: Services, run: ImportRecord, *, arrived: bool = True) -> ImportRecord:
    """Check that the transferred file is whole, opens and has the expected checksum; record its checksum.

    ``arrived``: no transfer is writing to the incoming file. Until that is known, the file is left alone.
    """
    with _record_failures(services, run):
        if run.image_id is not None and services.files.stored_size(run.image_id) == run.size:
            return _record_inspection(services, run)  # a killed run got further than this
        # A file in the incoming folder is never a dropped object, but a scanner's file of the same name.
        is_coming = is_object(run.source) or (not arrived and run.checksum is None)
        if is_coming and not services.files.has_taken(run.filename, run.run_id):
            raise FileMissingError("the file has not been transferred yet")
        path = services.files.take(run.filename, run.run_id, run.size)
        inspect(path, run.size)
        digest = run.checksum or checksum(path)
        if run.expected not in {None, digest} and is_sha256(digest):
            path.unlink()  # the next transfer must copy the whole file, not compare it with this one
            raise TransferError(NOT_THE_ONE)
        return _record_inspection(services, run, checksum=digest)


def _record_inspection(services: Services, run: ImportRecord, **attributes: str) -> ImportRecord:
    if run.state not in UNDER_WAY and not attributes:
        return run  # the run has ended meanwhile, and its state stays
    return services.imports.advance(
        run.filename, run.run_id, {"state": ImportState.IMPORTING, "error": None, **attributes}
    )


def extract_run(services: Services, run: ImportRecord) -> ImportRecord:
    """Store the slide under its ID, with its pictures and its record; return the run with the ImageID."""
    with _record_failures(services, run):
        return extract(services, run)


def render_run(
    services: Services, run: ImportRecord, progress: Progress, jobs: int | None = None
) -> ImportRecord:
    """Render the missing levels and mark the import ready; return the run."""
    with _record_failures(services, run):
        if run.image_id is None:
            raise FileMissingError("this import has no slide yet")
        render_stored(services, run.image_id, progress, jobs)
        return services.imports.advance(run.filename, run.run_id, {"state": ImportState.READY, "error": None})


def render_stored(services: Services, image_id: str, progress: Progress, jobs: int | None = None) -> None:
    """Render a stored slide's pyramid, whatever the state of the run that stored the slide."""
    if not services.files.is_hidden(image_id):  # a slide deleted meanwhile is not viewable
        render(services, image_id, progress, jobs)


def render(services: Services, image_id: str, progress: Progress, jobs: int | None = None) -> bool:
    """Render a slide's pyramid unless all levels exist; return whether rendering was needed.

    Render it again where an earlier version rendered white from empty tiles: the tiles then have other addresses.
    """
    slide = services.slide_cache.slide(image_id, is_seen=False)
    pyramid = services.files.pyramid(image_id)
    is_whole = all(dz in slide.levels for dz in range(slide.grid.level_count))
    if is_whole and not is_outdated(slide, pyramid):
        return False
    if is_whole and is_windowed(slide):  # the thumbnail of an earlier version is as dark as its pyramid
        thumbnail = encode(make_thumbnail(replace(slide, levels={})))
        atomic_write.write(services.files.associated(image_id, "thumbnail"), thumbnail)
    render_pyramid(slide, pyramid, jobs, progress)
    return True


@contextmanager
def _record_failures(services: Services, run: ImportRecord) -> Iterator[None]:
    """Record an error that no retry can mend; raise UnavailableError for an OSError, which the caller may retry."""
    try:
        yield
    except UnreadableSlideError as error:
        record_failure(services, run, str(error))
        raise
    except OSError as error:
        raise UnavailableError(DISK) from error
