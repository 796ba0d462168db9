"""The way in: is a file safely here, else start its import; try one again.

The steps of an import are in ``import_steps``: this module opens slides at most, and needs no pixels.
"""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any

from vsv.errors import (
    AlreadyExistsError,
    BadRequestError,
    NotFoundError,
    UnavailableError,
)
from vsv.identifiers import checked_filename
from vsv.ingest.drop_object import DroppedObject
from vsv.ingest.runs import DISK, MAX_FILE_SIZE, UNDER_WAY, is_object
from vsv.ingest.stored_slides import is_sha256, is_summed_in_part, is_whole, slide_of, slides_named
from vsv.records.models import ImportRecord, ImportState, SlideRecord
from vsv.services import Services
from vsv.timestamps import now_utc

ATTEMPTS = 5  # to begin an object's import where others begin at the same moment


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


def receive(services: Services, filename: object, size: object, sha256: object = None) -> Receipt:
    """Answer whether a file is safely here; where it is not known yet, start its import.

    Raises InvalidNameError and BadRequestError for impossible input, FileMissingError where the source plainly is
    not there, FileChangingError where it has another size now.
    """
    filename, size, digest = checked_filename(filename), _checked_size(size), _checked_digest(sha256)
    latest = services.imports.get(filename)
    stored = [slide for slide in slides_named(services, filename) if is_whole(services, slide, size)]
    if latest is not None and is_object(latest.source) and latest.state in UNDER_WAY:
        return _unfinished(services, latest, stored)  # the scanner asks again; the object does not
    return _received(services, filename, size, digest, latest, stored)


def _received(
    services: Services,
    filename: str,
    size: int,
    digest: str | None,
    latest: ImportRecord | None,
    stored: list[SlideRecord],
) -> Receipt:
    run = latest if latest is not None and latest.size == size else None
    if digest is not None:
        if found := [slide for slide in stored if slide.checksum == digest]:
            return _safe(services, found[0])
        stored = [slide for slide in stored if is_summed_in_part(slide)]
        if not stored and not _may_bring(run, digest):
            return begin(services, filename, size, latest, expected=digest)
    if (source := _unknown_source(services, filename, size, run, stored)) is not None:
        return begin(services, filename, size, latest, source=source, expected=digest)
    if run is not None and run.state is not ImportState.READY:
        return _unfinished(services, run, stored)
    if not stored:
        return begin(services, filename, size, latest, expected=digest)
    return _safe(
        services, next((s for s in stored if run is not None and s.image_id == run.image_id), stored[0])
    )


def receive_object(services: Services, dropped: DroppedObject, size: object) -> Receipt | None:
    """Start the import of a version of an object, unless it was asked for already; None for an earlier version.

    Another version under the same key is another scan, whatever its size. An object is told of once and does not ask
    again, so whoever is in its way makes this raise UnavailableError. Otherwise raises as ``receive`` does.
    """
    filename, size = checked_filename(dropped.filename), _checked_size(size)
    for _ in range(ATTEMPTS):
        with suppress(
            AlreadyExistsError
        ):  # another import has just begun: it may be of a later version, or of this
            return _decided(services, filename, size, dropped)
    raise UnavailableError("other imports of a file with this name keep starting")


def _decided(services: Services, filename: str, size: int, dropped: DroppedObject) -> Receipt | None:
    latest = services.imports.get(filename)
    if latest is None:
        return _begin(services, filename, size, None, source=dropped.source)
    known = DroppedObject.from_source(latest.source or "") if is_object(latest.source) else None
    if known is not None and dropped.is_older_than(known):
        return None
    if (latest.source, latest.size) == (dropped.source, size):
        if latest.state in UNDER_WAY:
            services.starter.start(latest)
        return _as_it_is(latest)
    is_version = known is not None and (known.bucket, known.key) == (dropped.bucket, dropped.key)
    if latest.state in UNDER_WAY and not is_version and not services.starter.has_ended(latest):
        raise UnavailableError("another file with this name is being imported")
    return _begin(services, filename, size, latest, source=dropped.source)


def retry(services: Services, filename: str) -> Receipt:
    """Start an import again that failed, whatever it failed of, or that ended unnoticed; others are left alone."""
    run = services.imports.get(checked_filename(filename))
    if run is None:
        raise NotFoundError("this import is not known")
    if run.state is not ImportState.FAILED and not _is_lost(services, run):
        return Receipt(Safety.NOT_YET, run.state, run.error)
    return _anew(services, run, slide_of(services, run))


def _is_lost(services: Services, run: ImportRecord) -> bool:
    return run.state in UNDER_WAY and services.starter.has_ended(run)


def _anew(services: Services, run: ImportRecord, slide: SlideRecord | None) -> Receipt:
    """Begin again with what a run was about.

    A slide that is stored whole is kept: by now it may be the only copy, since only its pyramid was missing.
    """
    kept: dict[str, Any] = {"expected": run.expected}
    if slide is not None:
        kept |= {"image_id": slide.image_id, "checksum": run.checksum, "source_modified": run.source_modified}
    if slide is not None or is_object(run.source):
        kept["source"] = run.source
    return begin(services, run.filename, run.size, run, **kept)


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
    services: Services, filename: str, size: int, run: ImportRecord | None, stored: Sequence[SlideRecord]
) -> str | None:
    """Give the folder with content of that name and size that is neither stored nor being imported.

    A rescan may have the same name and even the same size. Where the source cannot be seen from here: None.
    """
    known = {slide.checksum for slide in stored if slide.checksum}
    if run is not None and run.state is not ImportState.READY:
        if run.state in UNDER_WAY and run.checksum is None:
            return None  # being read now: what it holds is seen at the next call
        known |= {run.checksum} if run.checksum else set()
    return services.starter.new_source(filename, size, known, run)


def _unfinished(services: Services, run: ImportRecord, stored: Sequence[SlideRecord]) -> Receipt:
    """Give the state of a run; its slide may be safe already while its pyramid is still being rendered."""
    if run.state is ImportState.FAILED:
        return _as_it_is(run)
    # This run's own slide: another of that name and size may be an earlier scan.
    own = [s for s in stored if s.image_id == run.image_id and s.checksum == run.checksum]
    if services.starter.has_ended(run):
        return _anew(services, run, own[0] if own else None)
    services.starter.start(run)  # heals a start that was lost; twice is the same as once
    return _safe(services, own[0], run.state) if own else Receipt(Safety.NOT_YET, run.state, run.error)


def _as_it_is(run: ImportRecord) -> Receipt:
    return Receipt(Safety.NOT_YET, run.state, run.error, run.image_id)


def _safe(services: Services, slide: SlideRecord, state: ImportState = ImportState.READY) -> Receipt:
    in_place = services.files.in_place(slide.image_id)
    return Receipt(Safety.IN_PLACE if in_place else Safety.SAFE, state, image_id=slide.image_id)


def begin(
    services: Services, filename: str, size: int, earlier: ImportRecord | None, **known: Any
) -> Receipt:
    """Start a run in the place of the ``earlier`` one, for whoever asks again where another was quicker.

    ``known`` are attributes that it begins with.
    """
    try:
        return _begin(services, filename, size, earlier, **known)
    except AlreadyExistsError:
        return Receipt(Safety.NOT_YET, ImportState.TRANSFERRING)


def _begin(
    services: Services, filename: str, size: int, earlier: ImportRecord | None, **known: Any
) -> Receipt:
    """Start a run; raises AlreadyExistsError where the ``earlier`` one is not the stored one any more."""
    known["source"] = known.get("source") or services.starter.describe_source(filename, size)
    _prepare(services)
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
    services.imports.start(run, replaces=earlier.run_id if earlier else None)
    services.starter.start(run)
    return Receipt(Safety.NOT_YET, run.state)


def _prepare(services: Services) -> None:
    try:
        services.files.prepare()  # a transfer needs the folder that it writes to
    except OSError as error:
        raise UnavailableError(DISK) from error
