"""A pyramid that holds every level, so that a slide can be shown without its original.

Each tile is copied as it is stored, from the original or from the pyramid, with its page's tables and colours: what
is served of it stays the same to the last byte. The file says what else is known of the slide's picture: µm per
pixel, magnification, ICC profile. It names nobody: what the original says of a patient is not copied.
"""

from collections.abc import Iterator
from pathlib import Path

import simplejpeg

from vsv.errors import (
    ConflictError,
    CorruptTileError,
    FileMissingError,
    ImageNotFoundError,
    UnavailableError,
    UnreadableSlideError,
)
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, last_byte
from vsv.formats.tiff_writer import Tags, TiffWriter
from vsv.rendering.icc import stored_profile
from vsv.slides.levels import JpegLevel
from vsv.slides.properties import COMPLETE, Scan
from vsv.slides.readers import read_scan
from vsv.slides.slide import Slide, is_complete, tiled_pages
from vsv.storage import atomic_write

_ASCII, _SHORT, _LONG, _RATIONAL, _UNDEFINED = 2, 3, 4, 5, 7
_CENTIMETRE, _UM_PER_CM = 3, 10_000
_SUBSAMPLING = {"444": (1, 1), "422": (2, 1), "420": (2, 2), "440": (1, 2), "411": (4, 1)}
# Tiles of a page are looked at for how their chroma is stored, until one can be read.
TILES_LOOKED_AT = 8


def complete(slide: Slide, path: Path) -> bool:
    """Make the pyramid at ``path`` complete, whole or not at all; tell whether there was anything to do.

    Memory does not grow with the slide. Raises ConflictError where levels are still to be rendered, UnavailableError
    when the disk refuses.
    """
    if slide.path == path:
        return False
    if len(slide.levels) < slide.grid.level_count:
        raise ConflictError("this slide's levels are not all rendered yet: render them first")
    try:
        with atomic_write.replacing(path) as part:
            with part.open("wb") as file:
                _write(slide, TiffWriter(file))
            check_complete(part)
    except OSError as error:
        raise UnavailableError("the pyramid could not be written: is the disk full or read only?") from error
    return True


def check_complete(path: Path) -> None:
    """Raise UnavailableError unless the pyramid holds all levels, and all of each."""
    try:
        file = OpenFile(path)
        pages = tiled_pages(file)
        is_whole = is_complete(pages) and max(last_byte(file, page) for page in pages) <= file.size()
    except (FileMissingError, UnreadableSlideError):
        is_whole = False
    if not is_whole:
        raise UnavailableError("the pyramid could not be read back after writing: check the disk")


def _write(slide: Slide, tiff: TiffWriter) -> None:
    more = _about(slide, read_scan(slide.path))
    for level_dz in range(slide.max_level, -1, -1):
        level = slide.levels[level_dz]
        tiff.write_tagged({**_tags(level), **more}, _tiles(level), tiled=True)
        more = {254: (_LONG, (1,))}  # NewSubfileType: a reduced picture of the first


def _tiles(level: JpegLevel) -> Iterator[bytes]:
    """Give a level's tiles as they are stored; one that cannot be read is one that is missing, and shown alike."""
    for index in range(level.page.columns * level.page.rows):
        try:
            yield level.stored(index)
        except CorruptTileError:
            yield b""


def _tags(level: JpegLevel) -> Tags:
    page = level.page
    tags: Tags = {
        254: (_LONG, (0,)),
        256: (_LONG, (page.width_px,)),
        257: (_LONG, (page.height_px,)),
        258: (_SHORT, (8,) * page.samples),
        259: (_SHORT, (COMPRESSION_JPEG,)),
        262: (_SHORT, (page.photometric,)),
        277: (_SHORT, (page.samples,)),
        284: (_SHORT, (1,)),
        322: (_LONG, (page.tile_width_px,)),
        323: (_LONG, (page.tile_height_px,)),
    }
    if page.jpeg_tables:
        tags[347] = (_UNDEFINED, page.jpeg_tables)
    if page.photometric == PHOTOMETRIC_YCBCR:
        tags[530] = (_SHORT, _subsampling(level))
    return tags


def _subsampling(level: JpegLevel) -> tuple[int, int]:
    """Tell how many pixels a chroma sample spans, by the first tile that can be read; other readers ask for it."""
    for index in range(min(TILES_LOOKED_AT, level.page.columns * level.page.rows)):
        try:
            data = level.jpeg(*reversed(divmod(index, level.page.columns)))
            return _SUBSAMPLING[simplejpeg.decode_jpeg_header(data, strict=False)[3]]
        except (CorruptTileError, ValueError, KeyError):
            continue
    return 2, 2  # what TIFF takes where a page does not say


def _about(slide: Slide, scan: Scan) -> Tags:
    """Give what only the first page says: that the file is complete, the scale, the colours."""
    known = {"AppMag": scan.app_mag, "MPP": None if scan.mpp is None else repr(scan.mpp)}
    text = COMPLETE + "".join(f"|{key} = {value}" for key, value in known.items() if value is not None)
    about: Tags = {270: (_ASCII, text.encode() + b"\0")}
    if scan.mpp is not None:
        about[282] = about[283] = (_RATIONAL, _rational(_UM_PER_CM / scan.mpp))
        about[296] = (_SHORT, (_CENTIMETRE,))
    try:
        about[34675] = (_UNDEFINED, stored_profile(slide))
    except ImageNotFoundError:
        return about
    return about


def _rational(value: float) -> bytes:
    """Give a resolution in pixels per centimetre as TIFF has it, to about a millionth where it has room."""
    bottom = 1_000_000
    while round(value * bottom) >= 1 << 32 and bottom > 1:
        bottom //= 10
    top = min(max(round(value * bottom), 1), (1 << 32) - 1)
    return top.to_bytes(4, "little") + bottom.to_bytes(4, "little")
