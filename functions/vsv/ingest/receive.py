"""Entry of imports: answer whether a file is safely stored, else start its import; retry an import.

The rule is in ``deletion_rule``, the steps of an import are in ``steps``: this module at most opens slides, and needs
no pixels.
"""

import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from vsv.errors import (
    AlreadyExistsError,
    BadRequestError,
    IncompleteSetError,
    NotFoundError,
    UnavailableError,
)
from vsv.identifiers import check_is_one_file, checked_filename
from vsv.ingest.deletion_rule import Decision, Facts, Safety, decide, decide_run, safety
from vsv.ingest.drop_object import DroppedObject
from vsv.ingest.replacement import confirm, pending, superseded
from vsv.ingest.runs import MAX_FILE_SIZE, UNDER_WAY, is_object
from vsv.ingest.stored_slides import is_sha256, is_whole, may_be_named, slide_of, slides_named
from vsv.records.models import ImportRecord, ImportState, SlideRecord
from vsv.services import Services
from vsv.storage.slide_files import DISK
from vsv.storage.stored_set import StoredFile, is_set_checksum, listing_of
from vsv.timestamps import now_utc

ATTEMPTS = 5  # to start an object's import while imports of the same filename start concurrently


@dataclass(frozen=True, slots=True)
class Receipt:
    """Answer to the scanner's question whether a file is safely stored here.

    ``files`` holds, for a stored slide of several files, all of them by name, with their sizes and checksums.
    """

    safety: Safety
    state: ImportState
    error: str | None = None
    image_id: str | None = None
    files: Mapping[str, StoredFile] = field(default_factory=dict)


def receive(
    services: Services,
    filename: object,
    size: object,
    sha256: object = None,
    *,
    again: bool = False,
    deletes: bool = False,
) -> Receipt:
    """Return whether a file is safely stored here; start the import of a file that is not known yet.

    ``again``: a person wants the file, also if it is a purged slide's. ``deletes``: the caller may delete its file if
    the file is stored, so that the stored content is never replaced.
    Raises InvalidNameError and BadRequestError for impossible input, FileMissingError where the source does not
    exist, FileChangingError where the source has another size now.
    """
    filename, size, digest = checked_filename(filename), _check_size(size), _check_digest(sha256)
    latest = services.imports.get(filename)
    named = (slide for slide in slides_named(services, filename) if is_whole(services, slide, size))
    slides = tuple(slide for slide in named if may_be_named(services, slide, digest))
    facts = Facts(filename, size, digest, latest, slides)
    receipt = _answer(services, facts, again=again)
    if deletes and receipt.safety is Safety.SAFE and not confirm(services, facts.run, receipt.image_id):
        return Receipt(Safety.NOT_YET, ImportState.TRANSFERRING)
    return receipt


def _answer(services: Services, facts: Facts, *, again: bool) -> Receipt:
    """Return the receipt that ``deletion_rule`` decides on; look into the scanner's folder only if that matters."""
    decision = decide(facts)
    if decision is Decision.LOOK_AT_SOURCE:
        facts = _look_at_source(services, facts)
        decision = decide(facts)
    if decision is Decision.FOLLOW_RUN and facts.latest is not None:
        return _follow_run(services, facts, facts.latest)
    if decision is Decision.CONFIRM:
        return _safe_receipt(services, facts.confirmed_slide)
    attributes = {"source": facts.new_source, "expected": facts.checksum, "again": again or None}
    return begin(services, facts.filename, facts.size, facts.latest, changed=facts.run, **attributes)


def _look_at_source(services: Services, facts: Facts) -> Facts:
    try:
        source = services.starter.new_source(facts.filename, facts.size, facts.known_checksums, facts.run)
    except IncompleteSetError:
        # A scanner that was stopped while it deleted what had been confirmed asks again, with the index's checksum.
        if facts.checksum is None or not facts.candidates:
            raise
        source = None
    return replace(facts, is_source_seen=True, new_source=source)


def _follow_run(services: Services, facts: Facts, run: ImportRecord) -> Receipt:
    """Return the receipt of a run that has failed or is under way; restart a run that no process works on."""
    facts = replace(facts, is_lost=_is_lost(services, run))
    decision = decide_run(facts)
    if decision is Decision.REPORT_FAILURE:
        return _receipt_for(run)
    if decision is Decision.RESTART:
        return _restart_import(services, run, facts.own_slide)
    services.starter.start(run)  # repairs a start that was lost; idempotent
    if decision is Decision.CONFIRM_OWN and facts.own_slide is not None:
        return _safe_receipt(services, facts.own_slide, run.state)
    return Receipt(Safety.NOT_YET, run.state, run.error)


def receive_object(services: Services, dropped: DroppedObject, size: object) -> Receipt | None:
    """Start the import of an object's version, unless it was requested already; return None for an earlier version.

    Another version under the same key is another scan, whatever its size. An object is announced once and does not
    ask again, so UnavailableError is raised, for a retry, while another file of that name is being imported.
    Otherwise raises as ``receive`` does.
    """
    filename, size = checked_filename(dropped.filename), _check_size(size)
    check_is_one_file(filename)
    for _ in range(ATTEMPTS):
        # AlreadyExistsError: an import started concurrently, perhaps of a later version, perhaps of this one.
        with suppress(AlreadyExistsError):
            return _receive_version(services, filename, size, dropped)
    raise UnavailableError("other imports of a file with this name keep starting")


def _receive_version(services: Services, filename: str, size: int, dropped: DroppedObject) -> Receipt | None:
    latest = services.imports.get(filename)
    known = _object_of(latest)
    if known is not None and dropped.is_older_than(known):
        return None
    if latest is not None and (latest.source, latest.size) == (dropped.source, size):
        if latest.state in UNDER_WAY:
            services.starter.start(latest)
        return _receipt_for(latest)
    if latest is not None and _blocks_import(services, latest, dropped):
        raise UnavailableError("another file with this name is being imported")
    return _start_run(services, filename, size, latest, source=dropped.source)


def _object_of(run: ImportRecord | None) -> DroppedObject | None:
    source = run.source if run is not None else None
    return DroppedObject.from_source(source) if source is not None and is_object(source) else None


def _blocks_import(services: Services, run: ImportRecord, dropped: DroppedObject) -> bool:
    """Return whether a run that may still be under way imports a file that is no version of this object."""
    known = _object_of(run)
    is_version = known is not None and (known.bucket, known.key) == (dropped.bucket, dropped.key)
    return run.state in UNDER_WAY and not is_version and not services.starter.has_ended(run)


def retry(services: Services, filename: str, *, again: bool = False) -> Receipt:
    """Restart an import that failed, whatever the reason, or ended without a recorded result; return its receipt.

    ``again``: also if the file is a purged slide's, which otherwise fails again. Other imports are left unchanged.
    Raises NotFoundError for an unknown import.
    """
    run = services.imports.get(checked_filename(filename))
    if run is None:
        raise NotFoundError("this import is not known")
    if run.state is not ImportState.FAILED and not _is_lost(services, run):
        return Receipt(Safety.NOT_YET, run.state, run.error)
    return _restart_import(services, run, slide_of(services, run), again=again)


def _is_lost(services: Services, run: ImportRecord) -> bool:
    return run.state in UNDER_WAY and services.starter.has_ended(run)


def _restart_import(
    services: Services, run: ImportRecord, slide: SlideRecord | None, *, again: bool = False
) -> Receipt:
    """Start a new run for the same file as an earlier run; return its receipt.

    A slide that is stored whole is kept: since only its pyramid was missing, it may be the only copy by now.
    """
    attributes: dict[str, Any] = {"expected": run.expected, "again": again or run.again, **pending(run)}
    if slide is not None:
        attributes |= {
            "image_id": slide.image_id,
            "checksum": run.checksum,
            "source_modified": run.source_modified,
        }
    if slide is not None or is_object(run.source):
        attributes["source"] = run.source
    return begin(services, run.filename, run.size, run, **attributes)


def _check_size(size: object) -> int:
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MAX_FILE_SIZE:
        raise BadRequestError("size must be the file's size in bytes, a whole number")
    return size


def _check_digest(sha256: object) -> str | None:
    if sha256 is None:
        return None
    if not isinstance(sha256, str) or not is_sha256(sha256):
        raise BadRequestError("sha256, where it is given, must be 64 hexadecimal digits")
    return sha256.lower()


def _receipt_for(run: ImportRecord) -> Receipt:
    return Receipt(Safety.NOT_YET, run.state, run.error, run.image_id)


def _safe_receipt(services: Services, slide: SlideRecord, state: ImportState = ImportState.READY) -> Receipt:
    copy_safety = safety(is_in_place=services.files.in_place(slide.image_id))
    stored = listing_of(services.files, slide.image_id) if is_set_checksum(slide.checksum) else None
    return Receipt(copy_safety, state, image_id=slide.image_id, files=stored.files if stored else {})


def begin(
    services: Services,
    filename: str,
    size: int,
    earlier: ImportRecord | None,
    *,
    changed: ImportRecord | None = None,
    **attributes: Any,
) -> Receipt:
    """Start a run that replaces the ``earlier`` run; return its receipt, also where a concurrent start was faster.

    ``changed``: the run that imports other content of the file; what lies in another folder is another file.
    ``attributes`` are initial values of the run's record.
    """
    try:
        return _start_run(services, filename, size, earlier, changed=changed, **attributes)
    except AlreadyExistsError:
        return Receipt(Safety.NOT_YET, ImportState.TRANSFERRING)


def _start_run(
    services: Services,
    filename: str,
    size: int,
    earlier: ImportRecord | None,
    *,
    changed: ImportRecord | None = None,
    **attributes: Any,
) -> Receipt:
    """Start a run; raise AlreadyExistsError where the ``earlier`` run is no longer the stored run."""
    source = attributes.get("source") or services.starter.describe_source(filename, size)
    if changed is not None and changed.source == source:
        attributes |= superseded(changed)
    attributes["source"] = source
    _prepare_folders(services)
    now = now_utc()
    run = ImportRecord(
        filename=filename,
        size=size,
        state=ImportState.TRANSFERRING,
        run_id=secrets.token_hex(16),
        started_at=now,
        updated_at=now,
        **attributes,
    )
    services.imports.start(run, replaces=earlier.run_id if earlier else None)
    services.starter.start(run)
    return Receipt(Safety.NOT_YET, run.state)


def _prepare_folders(services: Services) -> None:
    try:
        services.files.prepare()  # a transfer needs the folder that it writes to
    except OSError as error:
        raise UnavailableError(DISK) from error
