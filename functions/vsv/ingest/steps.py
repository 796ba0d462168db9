"""Steps of an import: transfer → inspect → extract → render → ready.

The transfer is the deployment's (DataSync, or a local copy). Each step here is idempotent: after a crash at any point
a step can be run again, and skips work that is done. A step acts only for the run that is stored under the filename.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vsv.errors import (
    FileMissingError,
    StillWrittenError,
    TransferError,
    UnavailableError,
    UnreadableSlideError,
    VersionConflictError,
)
from vsv.ingest.damage_notes import record_damage
from vsv.ingest.extraction import extract
from vsv.ingest.page_confirmation import confirm_stored
from vsv.ingest.purged import reason_to_refuse
from vsv.ingest.receive import begin
from vsv.ingest.replacement import superseded
from vsv.ingest.runs import NOT_THE_ONE, UNDER_WAY, current_run, is_object, record_failure
from vsv.ingest.stored_slides import is_sha256
from vsv.ingest.validation import checksum, inspect
from vsv.ingest.writer_wait import check_written
from vsv.pyramids.empty_tiles import is_outdated
from vsv.pyramids.renderer import Progress, render_pyramid
from vsv.pyramids.renewal import render_again
from vsv.records.models import ImportRecord, ImportState
from vsv.services import Services
from vsv.slides.damage import NOTES, read_notes
from vsv.storage import set_folder, stored_set
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
        _check_written(services, run, path)
        inspect(path, run.size)
        digest, named = _checksums(run, path)
        _refuse_purged(services, run, path, digest)
        if run.expected not in {None, named} and is_sha256(named):
            set_folder.remove(
                path
            )  # the next transfer must copy the whole file, not compare it with this one
            raise TransferError(NOT_THE_ONE)
        return _record_inspection(services, run, checksum=digest)


def _check_written(services: Services, run: ImportRecord, path: Path) -> None:
    """Raise StillWrittenError for an unfinished file, after setting it aside: the next transfer brings it again.

    A dropped object never changes: it stays, and its next version replaces this run.
    """
    if path.is_dir():
        return  # a set of files is copied once it is quiet as a whole
    try:
        check_written(services, run, path, run.source_modified)
    except StillWrittenError:
        if not is_object(run.source):
            services.files.set_aside(run.filename, run.run_id)
            services.imports.advance(run.filename, run.run_id, {"checksum": None})
        raise


def _checksums(run: ImportRecord, path: Path) -> tuple[str, str]:
    """Return the checksums of a slide's content and of the file that was named: of a set, its index."""
    if not path.is_dir():
        digest = run.checksum or checksum(path)
        return digest, digest
    stored = stored_set.read_listing(path) if run.checksum is not None else stored_set.verify(path)
    assert stored is not None
    return stored.checksum, stored.files[stored.index].sha256


def _refuse_purged(services: Services, run: ImportRecord, path: Path, digest: str) -> None:
    """Raise UnreadableSlideError for a purged slide's content, and leave nothing of it behind.

    The checksum is recorded: the same file, posted again, is then known without another transfer.
    """
    if (reason := reason_to_refuse(services, run, digest)) is None:
        return
    services.imports.advance(run.filename, run.run_id, {"checksum": digest})
    set_folder.remove(path)
    services.files.remove_taken_folder(run.filename)
    raise UnreadableSlideError(reason)


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
        _check_source(services, run)
        return services.imports.advance(run.filename, run.run_id, {"state": ImportState.READY, "error": None})


def _check_source(services: Services, run: ImportRecord) -> None:
    """Begin again where the scanner's file was changed before its slide is ready; then raise VersionConflictError."""
    if not services.starter.has_changed(run):
        return
    run = current_run(services, run.filename, run.run_id)
    if superseded(run):
        begin(services, run.filename, run.size, run, changed=run, source=run.source)
        raise VersionConflictError("the file was changed while it was imported: its import begins again")


def render_stored(services: Services, image_id: str, progress: Progress, jobs: int | None = None) -> None:
    """Render a stored slide's pyramid, whatever the state of the run that stored the slide."""
    if not services.files.is_hidden(image_id):  # a slide deleted meanwhile is not viewable
        render(services, image_id, progress, jobs)


def render(services: Services, image_id: str, progress: Progress, jobs: int | None = None) -> bool:
    """Render a slide's pyramid unless all levels exist; return whether rendering was needed.

    Render it again where an earlier version rendered white from empty tiles, or a label that looked like a level: the
    tiles then have other addresses. Raises VersionConflictError, without a pyramid, where the original was replaced
    meanwhile.
    """
    original = _identity(services.files.slide(image_id))
    services.slide_cache.forget(image_id)  # it may have been replaced a moment ago
    slide, pyramid = services.slide_cache.slide(image_id, is_seen=False), services.files.pyramid(image_id)
    if confirm_stored(services, image_id, slide):
        slide = services.slide_cache.slide(image_id, is_seen=False)
    # A complete pyramid holds all levels that there are: the original, to render others from, is in the archive.
    is_whole = slide.path == pyramid or all(dz in slide.levels for dz in range(slide.grid.level_count))
    is_again = is_whole and is_outdated(slide, pyramid)
    if is_again:
        render_again(slide, pyramid, jobs, progress)
    elif not is_whole:
        render_pyramid(slide, pyramid, jobs, progress, is_again=pyramid.exists())
    if _identity(services.files.slide(image_id)) not in {original, None}:
        pyramid.unlink(missing_ok=True)
        raise VersionConflictError("the slide was replaced while it was rendered")
    if slide.damage or read_notes(pyramid.with_name(NOTES)):  # also where a killed run has rendered
        record_damage(services, image_id)
    return is_again or not is_whole


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another that takes its place; None without a file, as of a deleted slide."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_mtime_ns


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
