"""Extraction of a stored slide from an inspected file: its ID, its folder, its pictures, its record.

The order makes extraction crash-safe: claim the ID, note the ID, write the pictures, move the original by rename,
store the record. A record therefore never points to a missing file.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import astuple, replace
from pathlib import Path, PurePath

from PIL import Image

from vsv.barcodes.reader import Barcode, read_codes
from vsv.errors import AlreadyExistsError, FileChangingError, FileMissingError
from vsv.identifiers import is_image_id, is_set_filename
from vsv.ingest.damage_notes import note_sampled
from vsv.ingest.id_choice import IdChoice, choose_ids, id_texts
from vsv.ingest.id_pattern import parse_ids
from vsv.ingest.page_confirmation import confirmed_pictures, note_refused
from vsv.ingest.replacement import refresh, take_over
from vsv.ingest.rescans import predecessor
from vsv.records.models import ImportRecord, SlideRecord
from vsv.rendering.associated_images import encode
from vsv.services import Services
from vsv.slides.channel_reader import ChannelReader
from vsv.slides.confirmed_pages import open_confirmed
from vsv.slides.image_reader import is_plain
from vsv.slides.properties import Scan
from vsv.slides.readers import read_scan
from vsv.slides.slide import Slide
from vsv.storage import atomic_write
from vsv.storage.archive_marker import read_note
from vsv.storage.numeric_ids import assign_number
from vsv.storage.originals import note_original, store_original
from vsv.storage.set_folder import opened
from vsv.storage.slide_files import Claim
from vsv.storage.stored_set import store_set
from vsv.timestamps import now_utc
from vsv.workflow import duplicates

MAX_TAGS_BYTES = 100_000  # half of the largest record that a store takes


def extract(services: Services, run: ImportRecord) -> ImportRecord:
    """Store the slide of an inspected file and return the run with its ImageID.

    Raises UnreadableSlideError and FileMissingError. Can be run again after a crash at any point.
    """
    if run.image_id is not None and services.files.is_claimed_by_another(run.image_id, run.checksum):
        run = replace(run, image_id=None)  # the claim is for the content that the same run had before
    if run.image_id is not None and services.files.is_hidden(run.image_id):
        return run  # stored, and deleted since
    if run.image_id is not None and read_note(services.files.folder(run.image_id)) is not None:
        return run  # stored, and archived since
    path = _find_file(services, run)
    slide = opened(path)
    scan = read_scan(slide)
    if run.image_id is None and (replaced := take_over(services, run, path)) is not None:
        run, path = replace(run, image_id=replaced), services.files.slide(replaced)
        slide = path
    image_id = run.image_id or _claim_id(services, run, scan.image_id or _id_from_filename(slide, run))
    run = services.imports.advance(run.filename, run.run_id, {"image_id": image_id})
    assign_number(services.files, image_id)
    confirmed = open_confirmed(slide)
    codes = _write_pictures(services, image_id, confirmed)
    damage = note_sampled(services, image_id, slide)
    if path.is_symlink():
        _note_in_place(services, run, image_id, path)
    _store(path, services.files.slide(image_id))
    services.files.remove_taken_folder(run.filename)
    # A record that a killed run has stored stays: a technician may have changed it since.
    record = _record(run, image_id, scan, _choose_ids(services, run, scan, codes))
    _store_record(services, run, replace(record, predecessor=predecessor(services, record), damage=damage))
    return run


def _store_record(services: Services, run: ImportRecord, record: SlideRecord) -> None:
    try:
        services.slides.put_new(record)
    except AlreadyExistsError:
        refresh(services, run, record)
    duplicates.settle(services, *services.slides.get_many([record.image_id]))


def _store(path: Path, slide: Path) -> None:
    """Move a file or a set to its place, unless a killed run already has."""
    if path.is_dir():
        store_set(path, slide)
    elif path != slide:
        store_original(path, slide)


def _find_file(services: Services, run: ImportRecord) -> Path:
    """Return the file's path: where inspection left the file, or where a killed run has already moved it."""
    taken = services.files.taken(run.filename, run.run_id)
    if run.image_id is not None and services.files.stored_size(run.image_id) == run.size:
        return services.files.slide(run.image_id)
    if services.files.has_taken(run.filename, run.run_id):
        return taken
    raise FileMissingError("the transferred file is missing: it is transferred again")


def _note_in_place(services: Services, run: ImportRecord, image_id: str, path: Path) -> None:
    """Note the linked original; raise FileChangingError if it was written to: pictures may be of another slide."""
    status = path.stat()
    if run.source_modified is None or (status.st_size, status.st_mtime_ns) != (run.size, run.source_modified):
        raise FileChangingError("the original was changed while it was imported")
    note_original(services.files, image_id, run.size, run.source_modified)


def _id_from_filename(path: Path, run: ImportRecord) -> str | None:
    """Return the stem of an ordinary image's filename, if that can be an ImageID; None for slides."""
    name = PurePath(run.filename).stem
    is_image = is_plain(path) and not is_set_filename(
        run.filename
    )  # an MRXS's index is a picture of the slide
    return name if is_image and is_image_id(name) else None


def _claim_id(services: Services, run: ImportRecord, own_id: str | None) -> str:
    """Claim and return the slide's own ID, or an ID derived from its content; never another slide's ID."""
    assert run.checksum is not None
    claim = Claim(run.filename, run.size, run.checksum)
    for image_id in candidate_ids(own_id, claim):
        record = services.slides.get(image_id)
        if record is not None and (record.filename, record.file_size, record.checksum) != astuple(claim):
            continue  # that slide's files may be gone, or were stored before claims were introduced
        with suppress(AlreadyExistsError):
            services.files.claim(image_id, claim)
            return image_id
    raise AlreadyExistsError("no free ImageID could be found for this slide")


def candidate_ids(own_id: str | None, claim: Claim) -> Iterator[str]:
    """Yield the IDs that a file version may have, best first, the same IDs on every call.

    First the slide's own ID, if any; then IDs derived from filename and content, of increasing length.
    """
    if own_id is not None:
        yield own_id
    digest = hashlib.sha256(f"{claim.checksum}/{claim.size}/{claim.filename}".encode()).hexdigest()
    for length in (8, 12, 16, 24, 32):
        yield f"{own_id[:30]}-{digest[:length]}" if own_id is not None else f"S{digest[: length + 4]}"


def _write_pictures(services: Services, image_id: str, slide: Slide) -> tuple[Barcode, ...]:
    """Write label, macro and thumbnail to the slide's folder; return the label's codes, as far as readable.

    The note of refused pages is written before the original moves there: the slide is served by that note.
    """
    images = confirmed_pictures(slide)
    if isinstance(slide.reader, ChannelReader) and slide.has_channels:
        slide.reader.store_channels(services.files.folder(image_id))
    for name, image in images.items():
        atomic_write.write(services.files.associated(image_id, name), encode(image))
    note_refused(services.files, image_id, slide)
    return _read_codes(services, images.get("label"))


def _read_codes(services: Services, label: Image.Image | None) -> tuple[Barcode, ...]:
    if label is None:
        return ()
    return read_codes(label, lambda text: parse_ids(text, services.settings.id_pattern).confirmed)


def _choose_ids(services: Services, run: ImportRecord, scan: Scan, codes: tuple[Barcode, ...]) -> IdChoice:
    texts = id_texts(codes, scan.tags, run.filename)
    return choose_ids(texts, services.settings.id_order, services.settings.id_pattern)


def _record(run: ImportRecord, image_id: str, scan: Scan, choice: IdChoice) -> SlideRecord:
    return SlideRecord(
        image_id=image_id,
        **choice.attributes(image_id),
        filename=run.filename,
        scan_date=scan.time.text if scan.time else None,
        time_zone=scan.time.zone if scan.time else None,
        app_mag=scan.app_mag,
        mpp=scan.mpp,
        width=scan.width_px,
        height=scan.height_px,
        file_size=run.size,
        checksum=run.checksum,
        tile_size=scan.tile_size,
        compression=scan.compression,
        scanner_id=scan.scanner_id,
        tags=_limit_tags(scan.tags),
        last_modified=now_utc(),
        modified_by="import",
    )


def _limit_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the first tags, as many as fit into a record: a very long description must not stop an import."""
    limited, room = {}, MAX_TAGS_BYTES
    for key, value in tags.items():
        room -= len(json.dumps([key, value]))
        if room < 0:
            break
        limited[key] = value
    return limited
