"""The way in and out: is a file safely here, else start its import; try one again; delete a slide.

The steps of an import are in ``import_steps``: this module opens slides at most, and needs no pixels.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from vsv.clock import now_utc
from vsv.errors import (
    AlreadyExistsError,
    BadRequestError,
    NotFoundError,
    SlideNotFoundError,
    UnavailableError,
)
from vsv.installation import Installation
from vsv.names import checked_filename
from vsv.records import ImportRecord, ImportState, SlideRecord, Status
from vsv.runs import DISK, MAX_FILE_SIZE, UNDER_WAY, is_object
from vsv.stored_slides import is_sha256, is_summed_in_part, is_whole, slide_of, slides_named


class Safety(Enum):
    """What may be done with the scanner's copy of a file."""

    SAFE = "stored and readable here: the scanner's copy may go"
    IN_PLACE = "imported, but the scanner's copy is the only one"
    NOT_YET = "under way or failed: the scanner's copy must stay"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to "is this file safely here?"."""

    safety: Safety
    state: ImportState
    error: str | None = None
    image_id: str | None = None


def receive(here: Installation, filename: object, size: object, sha256: object = None) -> Receipt:
    """Answer whether a file is safely here; where it is not known yet, start its import.

    Raises InvalidNameError and BadRequestError for impossible input, FileMissingError where the source plainly is
    not there, FileChangingError where it has another size now.
    """
    filename, size, digest = checked_filename(filename), _checked_size(size), _checked_digest(sha256)
    latest = here.imports.get(filename)
    stored = [slide for slide in slides_named(here, filename) if is_whole(here, slide, size)]
    run = latest if latest is not None and latest.size == size else None
    if digest is not None:
        if found := [slide for slide in stored if slide.checksum == digest]:
            return _safe(here, found[0])
        stored = [slide for slide in stored if is_summed_in_part(slide)]
        if not stored and not _may_bring(run, digest):
            return begin(here, filename, size, latest, expected=digest)
    if (source := _unknown_source(here, filename, size, run, stored)) is not None:
        return begin(here, filename, size, latest, source=source, expected=digest)
    if run is not None and run.state is not ImportState.READY:
        return _unfinished(here, run, stored)
    if not stored:
        return begin(here, filename, size, latest, expected=digest)
    return _safe(here, next((s for s in stored if run is not None and s.image_id == run.image_id), stored[0]))


def receive_object(here: Installation, filename: object, size: object, source: str) -> Receipt:
    """Start the import of a version of an object, unless it is the one that was asked for last.

    Another version under the same name is another scan, whatever its size. Raises as ``receive`` does.
    """
    filename, size = checked_filename(filename), _checked_size(size)
    latest = here.imports.get(filename)
    if latest is None or (latest.source, latest.size) != (source, size):
        return begin(here, filename, size, latest, source=source)
    return _unfinished(here, latest, ()) if latest.state in UNDER_WAY else _as_it_ended(latest)


def retry(here: Installation, filename: str) -> Receipt:
    """Start a failed import again, whatever it failed of; other imports are left alone.

    A slide that is stored whole is kept: by now it may be the only copy, since only its pyramid was missing.
    """
    run = here.imports.get(checked_filename(filename))
    if run is None:
        raise NotFoundError("this import is not known")
    if run.state is not ImportState.FAILED:
        return Receipt(Safety.NOT_YET, run.state, run.error)
    kept: dict[str, Any] = {"expected": run.expected}
    if (slide := slide_of(here, run)) is not None:
        kept |= {"image_id": slide.image_id, "checksum": run.checksum, "source_modified": run.source_modified}
    if slide is not None or is_object(run.source):
        kept["source"] = run.source
    return begin(here, run.filename, run.size, run, **kept)


def _checked_size(size: object) -> int:
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MAX_FILE_SIZE:
        raise BadRequestError("size must be the file's size in bytes, a whole number")
    return size


def _checked_digest(sha256: object) -> str | None:
    if sha256 is None:
        return None
    if not isinstance(sha256, str) or not is_sha256(sha256):
        raise BadRequestError("sha256, where it is given, must be 64 hexadecimal digits")
    return sha256.lower()


def _may_bring(run: ImportRecord | None, digest: str) -> bool:
    if run is None or run.state is ImportState.READY:
        return False
    return run.checksum in {None, digest} and run.expected in {None, digest}


def _unknown_source(
    here: Installation, filename: str, size: int, run: ImportRecord | None, stored: Sequence[SlideRecord]
) -> str | None:
    """Give the folder with content of that name and size that is neither stored nor being imported.

    A rescan may have the same name and even the same size. Where the source cannot be seen from here: None.
    """
    known = {slide.checksum for slide in stored if slide.checksum}
    if run is not None and run.state is not ImportState.READY:
        if run.state in UNDER_WAY and run.checksum is None:
            return None  # being read now: what it holds is seen at the next call
        known |= {run.checksum} if run.checksum else set()
    return here.starter.new_source(filename, size, known, run)


def _unfinished(here: Installation, run: ImportRecord, stored: Sequence[SlideRecord]) -> Receipt:
    """Give the state of a run; its slide may be safe already while its pyramid is still being rendered."""
    if run.state is ImportState.FAILED:
        return _as_it_ended(run)
    here.starter.start(run)  # heals a start that was lost; twice is the same as once
    # This run's own slide: another of that name and size may be an earlier scan.
    own = [s for s in stored if s.image_id == run.image_id and s.checksum == run.checksum]
    return _safe(here, own[0], run.state) if own else Receipt(Safety.NOT_YET, run.state, run.error)


def _as_it_ended(run: ImportRecord) -> Receipt:
    return Receipt(Safety.NOT_YET, run.state, run.error, run.image_id)


def _safe(here: Installation, slide: SlideRecord, state: ImportState = ImportState.READY) -> Receipt:
    in_place = here.files.in_place(slide.image_id)
    return Receipt(Safety.IN_PLACE if in_place else Safety.SAFE, state, image_id=slide.image_id)


def begin(
    here: Installation, filename: str, size: int, earlier: ImportRecord | None, **known: Any
) -> Receipt:
    """Start a run in the place of the ``earlier`` one; ``known`` are attributes that it begins with."""
    known["source"] = known.get("source") or here.starter.describe_source(filename, size)
    _prepare(here)
    now = now_utc()
    run = ImportRecord(
        filename=filename,
        size=size,
        state=ImportState.TRANSFERRING,
        run_id=secrets.token_hex(16),
        started_at=now,
        updated_at=now,
        **known,
    )
    try:
        here.imports.start(run, replaces=earlier.run_id if earlier else None)
    except AlreadyExistsError:
        return Receipt(Safety.NOT_YET, ImportState.TRANSFERRING)  # somebody else has just started it
    here.starter.start(run)
    return Receipt(Safety.NOT_YET, run.state)


def _prepare(here: Installation) -> None:
    try:
        here.files.prepare()  # a transfer needs the folder that it writes to
    except OSError as error:
        raise UnavailableError(DISK) from error


def delete(here: Installation, image_id: str, by: str) -> SlideRecord:
    """Hide a slide at once: record first, then its files; both can be brought back."""
    record = here.slides.update(image_id, {"status": Status.DELETED}, by=by)
    here.files.hide(image_id)
    return record


def undelete(here: Installation, image_id: str, by: str) -> SlideRecord:
    """Bring a deleted slide back, as new; raises SlideNotFoundError where its files were purged."""
    if here.files.stored_size(image_id) is None:
        raise SlideNotFoundError("this slide's files were purged: it cannot be brought back")
    here.files.unhide(image_id)
    return here.slides.update(image_id, {"status": Status.NEW}, by=by)
