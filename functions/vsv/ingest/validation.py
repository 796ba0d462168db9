"""Validation of a transferred file, before import: the file is a complete slide that can be viewed."""

import hashlib
from pathlib import Path

from vsv.errors import FileChangingError, FileMissingError, TransferError, UnreadableSlideError
from vsv.formats.czi import check_tiles, is_czi
from vsv.formats.ngr import check_ngr
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import Page, last_byte, read_pages
from vsv.formats.tiff_directories import is_tiff
from vsv.identifiers import ORDINARY_SUFFIXES
from vsv.ingest.tile_sample import sample_tiles
from vsv.slides.image_reader import ImageReader, is_plain
from vsv.slides.reader import SlideReader
from vsv.slides.readers import reader_of
from vsv.slides.slide import open_slide
from vsv.slides.unsupported import unsupported_feature
from vsv.storage.set_folder import opened
from vsv.storage.stored_set import read_listing

# A hundred times a large slide. More is a damaged or hostile header, whose rendering would take days.
MAX_PIXELS = 1 << 40
_BLOCK = 1 << 20
_ORDINARY = (
    "the file is an ordinary image and not a slide: name it .tif, .png or .jpg to import it as an image"
)


def inspect(path: Path, size: int) -> None:
    """Check that a file, or the set in a folder, is complete, opens as a slide, and has pixels that can be decoded.

    ``size`` is that of the file, of a set that of its index.

    Raises UnreadableSlideError, with a reason that a technician understands, where the same bytes can never open;
    TransferError where bytes are missing that may still arrive; FileChangingError where the file is being written to.
    """
    if path.is_dir():
        stored = read_listing(path)
        if stored is None or not stored.is_whole(path):
            raise UnreadableSlideError("this is not a file")
        for name in stored.files:
            if name.lower().endswith(".ngr"):
                check_ngr(path / name)
        path = opened(path)
    before = _size_and_time(path)
    if before[0] != size:
        raise TransferError(f"{before[0]} of {size} bytes are here: the transfer is not complete")
    if size == 0:
        raise UnreadableSlideError("the file is empty: scan the slide again")
    pages = _check_whole(path, size)
    _check_opens(path)
    missing = path.with_name("none")
    sample_tiles(open_slide(path, missing, missing, frozenset())).check(
        pages[0].bits_per_sample if pages else 8
    )
    if _size_and_time(path) != before:
        raise FileChangingError("the file changed while it was inspected: it is still being written")


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise FileMissingError("the transferred file is missing") from error
    if not path.is_file():
        raise UnreadableSlideError("this is not a file")
    return status.st_size, status.st_mtime_ns


def _check_whole(path: Path, size: int) -> tuple[Page, ...]:
    """Check that a TIFF holds each page to the end of its last tile; that other files begin as their suffix says.

    Return the TIFF's pages; none for other files.
    """
    file = OpenFile(path)
    if not is_tiff(file):
        if path.suffix.lower() in {".svs", ".tif", ".tiff"}:
            raise UnreadableSlideError("Not a supported slide file (no TIFF header)")
        if path.suffix.lower() in ORDINARY_SUFFIXES and not is_plain(path):
            raise UnreadableSlideError("Not a supported image file (no PNG or JPEG header)")
        if is_czi(file):
            check_tiles(file)
        return ()
    pages = read_pages(file)
    for page in pages:
        end = last_byte(file, page)
        if end > size:
            raise UnreadableSlideError(
                f"File is incomplete (truncated): at least {end - size} bytes are missing. Copy it again, or rescan"
            )
    return pages


def _check_opens(path: Path) -> None:
    """Check that the reader of the file's content opens the file; an image with a slide's suffix is no slide."""
    reader: SlideReader = reader_of(path)
    if isinstance(reader, ImageReader) and path.suffix.lower() not in ORDINARY_SUFFIXES:
        raise UnreadableSlideError(_unsupported(path) or _ORDINARY)
    try:
        width_px, height_px = reader.check()
    except UnreadableSlideError as error:
        raise UnreadableSlideError(_unsupported(path) or str(error)) from error
    if width_px * height_px > MAX_PIXELS:
        raise UnreadableSlideError(f"impossible image size {width_px}×{height_px}")


def _unsupported(path: Path) -> str | None:
    """Return what an intact TIFF has that no reader can show, None where that is unknown."""
    file = OpenFile(path)
    return unsupported_feature(read_pages(file)) if is_tiff(file) else None
