"""From an inspected file to a stored slide: its ID, its place, its pictures, its record.

The order is what makes it safe to kill: claim the ID, note it, write the pictures, move the original by rename,
store the record. A record therefore never points at a file that is not there.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import astuple, replace
from pathlib import Path, PurePath

from PIL import Image

from vsv.barcodes.reader import Barcode, read_label
from vsv.errors import AlreadyExistsError, FileChangingError, FileMissingError
from vsv.identifiers import is_image_id
from vsv.ingest.rescans import predecessor
from vsv.records.models import ImportRecord, SlideRecord
from vsv.rendering.associated_images import encode, make_thumbnail, read_associated
from vsv.rendering.icc import profile_of
from vsv.services import Services
from vsv.slides.image_reader import is_plain
from vsv.slides.properties import Scan
from vsv.slides.readers import read_scan
from vsv.slides.slide import open_slide
from vsv.storage import atomic_write
from vsv.storage.archive_marker import read_note
from vsv.storage.numeric_ids import assign_number
from vsv.storage.originals import note_original, store_original
from vsv.storage.slide_files import Claim
from vsv.timestamps import now_utc

MAX_TAGS_BYTES = 100_000  # half of what a store takes as one record


def extract(services: Services, run: ImportRecord) -> ImportRecord:
    """Store the slide of an inspected file and give the run with its ImageID.

    Raises UnreadableSlideError and FileMissingError. Runs again after a kill at any point.
    """
    if run.image_id is not None and services.files.is_claimed_by_another(run.image_id, run.checksum):
        run = replace(run, image_id=None)  # claimed for what the same run was brought before
    if run.image_id is not None and services.files.is_hidden(run.image_id):
        return run  # stored, and deleted since
    if run.image_id is not None and read_note(services.files.folder(run.image_id)) is not None:
        return run  # stored, and archived since
    path = _where(services, run)
    scan = read_scan(path)
    image_id = run.image_id or _claimed_id(services, run, scan.image_id or _name_of_image(path, run))
    run = services.imports.advance(run.filename, run.run_id, {"image_id": image_id})
    assign_number(services.files, image_id)
    barcode = _write_pictures(services, image_id, path)
    if path.is_symlink():
        _note_in_place(services, run, image_id, path)
    if path != services.files.slide(image_id):
        store_original(path, services.files.slide(image_id))
    services.files.remove_taken_folder(run.filename)
    # Stored already by a killed run: a technician may have worked on it since, and theirs stays.
    record = _record(run, image_id, scan, barcode)
    with suppress(AlreadyExistsError):
        services.slides.put_new(replace(record, predecessor=predecessor(services, record)))
    return run


def _where(services: Services, run: ImportRecord) -> Path:
    """Find the file: where its inspection left it, or where a killed run has put it already."""
    taken = services.files.taken(run.filename, run.run_id)
    if run.image_id is not None and services.files.stored_size(run.image_id) == run.size:
        return services.files.slide(run.image_id)
    if services.files.has_taken(run.filename, run.run_id):
        return taken
    raise FileMissingError("the transferred file is missing: it is transferred again")


def _note_in_place(services: Services, run: ImportRecord, image_id: str, path: Path) -> None:
    """Note what was linked, unless it was written to since: then record and pictures may be of two slides."""
    found = path.stat()
    if run.source_modified is None or (found.st_size, found.st_mtime_ns) != (run.size, run.source_modified):
        raise FileChangingError("the original was changed while it was imported")
    note_original(services.files, image_id, run.size, run.source_modified)


def _name_of_image(path: Path, run: ImportRecord) -> str | None:
    """Give the name that an ordinary image was brought under, if it can be an ImageID; None for slides."""
    name = PurePath(run.filename).stem
    return name if is_plain(path) and is_image_id(name) else None


def _claimed_id(services: Services, run: ImportRecord, own: str | None) -> str:
    """Claim the slide's own ID, or a stable one of its content; never one that another slide has."""
    assert run.checksum is not None
    claim = Claim(run.filename, run.size, run.checksum)
    for image_id in candidate_ids(own, claim):
        record = services.slides.get(image_id)
        if record is not None and (record.filename, record.file_size, record.checksum) != astuple(claim):
            continue  # its files may be gone, or it is older than claims
        with suppress(AlreadyExistsError):
            services.files.claim(image_id, claim)
            return image_id
    raise AlreadyExistsError("no free ImageID could be found for this slide")


def candidate_ids(own: str | None, claim: Claim) -> Iterator[str]:
    """Give the IDs that a file version may have, best first, always the same ones.

    The scanner's own; where it has none or it is taken, one made of the name and content, longer and longer.
    """
    if own is not None:
        yield own
    digest = hashlib.sha256(f"{claim.checksum}/{claim.size}/{claim.filename}".encode()).hexdigest()
    for length in (8, 12, 16, 24, 32):
        yield f"{own[:30]}-{digest[:length]}" if own is not None else f"S{digest[: length + 4]}"


def _write_pictures(services: Services, image_id: str, path: Path) -> Barcode | None:
    """Write label, macro and thumbnail beside the slide; give the label's barcode."""
    images, nowhere = read_associated(path), path.with_name("none")
    slide = open_slide(path, nowhere, nowhere)
    # The scanner's own thumbnail may be in other colours than the slide: one with a profile gets one of its pixels.
    if "thumbnail" not in images or profile_of(slide) is not None:
        images["thumbnail"] = make_thumbnail(slide)
    for name, image in images.items():
        atomic_write.write(services.files.associated(image_id, name), encode(image))
    return _barcode(images.get("label"))


def _barcode(label: Image.Image | None) -> Barcode | None:
    return None if label is None else read_label(label)


def case_id(slide_id: str) -> str:
    """Give what precedes a slide ID's last dash: the case; the whole where there is no dash."""
    return slide_id.rpartition("-")[0] or slide_id


def _record(run: ImportRecord, image_id: str, scan: Scan, barcode: Barcode | None) -> SlideRecord:
    return SlideRecord(
        image_id=image_id,
        slide_id=barcode.text if barcode else image_id,
        case_id=case_id(barcode.text) if barcode else image_id,
        filename=run.filename,
        scan_date=scan.time.text if scan.time else None,
        time_zone=scan.time.zone if scan.time else None,
        app_mag=scan.app_mag,
        mpp=scan.mpp,
        width=scan.width_px,
        height=scan.height_px,
        file_size=run.size,
        checksum=run.checksum,
        barcode=barcode.text if barcode else None,
        barcode_format=barcode.format if barcode else None,
        tile_size=scan.tile_size,
        compression=scan.compression,
        scanner_id=scan.scanner_id,
        tags=_short(scan.tags),
        last_modified=now_utc(),
        modified_by="import",
    )


def _short(tags: Mapping[str, str]) -> dict[str, str]:
    """Give the first tags, as many as a record has room for: a scanner's chatter must not stop an import."""
    kept, room = {}, MAX_TAGS_BYTES
    for key, value in tags.items():
        room -= len(json.dumps([key, value]))
        if room < 0:
            break
        kept[key] = value
    return kept
