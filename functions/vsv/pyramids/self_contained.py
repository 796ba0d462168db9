"""Pyramid that holds every level, so that a slide can be viewed without its original.

Each tile is copied as it is stored, from the original or from the pyramid, with its page's tables and colours: the
bytes served stay the same. The file also holds the slide's µm per pixel, magnification and ICC profile, but no PHI:
the original's texts about a patient are not copied.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import simplejpeg

from vsv.errors import (
    ConflictError,
    CorruptTileError,
    EmptyTileError,
    FileMissingError,
    ImageNotFoundError,
    UnavailableError,
    UnreadableSlideError,
)
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, last_byte
from vsv.formats.tiff_writer import Tags, TiffWriter
from vsv.pyramids.empty_tiles import CENTRED, CHROMA_POSITION, has_empty_tiles, is_outdated
from vsv.rendering.icc import stored_profile
from vsv.slides.damage import NOTES, Damage, read_notes, write_notes
from vsv.slides.levels import COMPLETE, JpegLevel
from vsv.slides.properties import Scan
from vsv.slides.readers import read_scan
from vsv.slides.slide import Slide, is_complete, tiled_pages
from vsv.storage import atomic_write

_ASCII, _SHORT, _LONG, _RATIONAL, _UNDEFINED = 2, 3, 4, 5, 7
_CENTIMETRE, _UM_PER_CM = 3, 10_000
_SUBSAMPLING = {"444": (1, 1), "422": (2, 1), "420": (2, 2), "440": (1, 2), "411": (4, 1)}
# At most so many tiles of a page are tried to find how chroma is stored.
MAX_TILES_TRIED = 8


def complete(slide: Slide, path: Path) -> bool:
    """Write a pyramid of all levels to ``path`` by an atomic write; return whether that was needed.

    Memory does not grow with the slide. Raises ConflictError where levels are still to be rendered, UnavailableError
    when the disk refuses.
    """
    if slide.path == path:
        return False
    if len(slide.levels) < slide.grid.level_count:
        raise ConflictError("this slide's levels are not all rendered yet: render them first")
    write_complete(slide, path, is_filled=not is_outdated(slide, path))
    return True


def write_complete(slide: Slide, path: Path, *, is_filled: bool) -> None:
    """Write a pyramid of all levels; ``is_filled``: none of them shows white in place of an empty tile.

    Raises UnavailableError when the disk refuses.
    """
    notes = path.with_name(NOTES)
    damage = read_notes(notes)
    try:
        with atomic_write.replacing(path) as part:
            with part.open("wb") as file:
                _write(slide, TiffWriter(file), damage, is_marked=is_filled and has_empty_tiles(slide))
            check_complete(part)
            if damage:
                write_notes(notes, damage)
    except OSError as error:
        raise UnavailableError("the pyramid could not be written: is the disk full or read only?") from error


def check_complete(path: Path) -> None:
    """Raise UnavailableError unless the pyramid holds all levels, and all bytes of each level."""
    try:
        file = OpenFile(path)
        pages = tiled_pages(file)
        is_whole = is_complete(pages) and max(last_byte(file, page) for page in pages) <= file.size()
    except (FileMissingError, UnreadableSlideError):
        is_whole = False
    if not is_whole:
        raise UnavailableError("the pyramid could not be read back after writing: check the disk")


def _write(slide: Slide, tiff: TiffWriter, damage: Damage, *, is_marked: bool) -> None:
    page_tags = _first_page_tags(slide, read_scan(slide.path))
    if is_marked:
        page_tags[CHROMA_POSITION] = (_SHORT, (CENTRED,))
    for level_dz in range(slide.max_level, -1, -1):
        level = slide.levels[level_dz]
        tiles = _stored_tiles(level, partial(damage.note, level_dz))
        tiff.write_tagged({**_level_tags(level), **page_tags}, tiles, tiled=True)
        page_tags = {254: (_LONG, (1,))}  # NewSubfileType: a reduced picture of the first


def _stored_tiles(level: JpegLevel, note: Callable[[int, int], None]) -> Iterator[bytes]:
    """Yield a level's tiles as they are stored; an unreadable tile is stored empty. Damaged tiles are noted.

    Full resolution is then served as background, a reduced level as the next finer level shows the place.
    """
    for index in range(level.page.columns * level.page.rows):
        tile = b""
        try:
            tile = level.stored(index)
            level.completer.complete(tile)
        except EmptyTileError:
            pass
        except CorruptTileError:
            row, col = divmod(index, level.page.columns)
            note(col, row)
        yield tile


def _level_tags(level: JpegLevel) -> Tags:
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
    """Return the pixels that a chroma sample spans in the first readable tile; other programs read it from a tag."""
    for index in range(min(MAX_TILES_TRIED, level.page.columns * level.page.rows)):
        try:
            data = level.jpeg(*reversed(divmod(index, level.page.columns)))
            return _SUBSAMPLING[simplejpeg.decode_jpeg_header(data, strict=False)[3]]
        except (CorruptTileError, ValueError, KeyError):
            continue
    return 2, 2  # TIFF's default where a page has no such tag


def _first_page_tags(slide: Slide, scan: Scan) -> Tags:
    """Return the tags of the first page only: the mark of a complete file, the scale, the ICC profile."""
    known = {"AppMag": scan.app_mag, "MPP": None if scan.mpp is None else repr(scan.mpp)}
    text = COMPLETE + "".join(f"|{key} = {value}" for key, value in known.items() if value is not None)
    tags: Tags = {270: (_ASCII, text.encode() + b"\0")}
    if scan.mpp is not None:
        tags[282] = tags[283] = (_RATIONAL, _encode_rational(_UM_PER_CM / scan.mpp))
        tags[296] = (_SHORT, (_CENTIMETRE,))
    try:
        tags[34675] = (_UNDEFINED, stored_profile(slide))
    except ImageNotFoundError:
        return tags
    return tags


def _encode_rational(value: float) -> bytes:
    """Return a resolution in pixels per centimetre as a TIFF RATIONAL, to a millionth where the number fits."""
    bottom = 1_000_000
    while round(value * bottom) >= 1 << 32 and bottom > 1:
        bottom //= 10
    top = min(max(round(value * bottom), 1), (1 << 32) - 1)
    return top.to_bytes(4, "little") + bottom.to_bytes(4, "little")
