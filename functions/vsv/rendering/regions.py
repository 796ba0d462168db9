"""Pixels of any box of any Deep Zoom level, from the nearest stored level; only tiles that the box touches are read.

Pixels are (height, width, 3) RGB arrays of bytes; a box is left, top, right and bottom in its level's pixels.

Converters leave tiles out of reduced levels, with zero bytes in the directory: as in OpenSlide, such a tile shows the
pixels of the next finer level that has pixels, and is white only where full resolution has none.
"""

import logging
import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from vsv.errors import CorruptTileError, EmptyTileError, MissingTablesError
from vsv.nonblocking import check_may_wait
from vsv.slides.deepzoom_grid import shrunk
from vsv.slides.levels import MAX_DCT_SHIFT, Level
from vsv.slides.pixels import Pixels, blank, box_reduce, extend, tile_pixels
from vsv.slides.slide import Slide

log = logging.getLogger(__name__)

Box = tuple[int, int, int, int]
# More stored tiles than these are decoded by several threads; pyramid rendering, which has its own threads, asks
# for fewer at once.
MANY_TILES = 64
# A level that a reader cannot read is read at full resolution where that is at most so many halvings away.
MAX_READER_SHIFT = 4


@dataclass(frozen=True, slots=True)
class _Source:
    """A stored level that is read for level ``requested_dz``; ``is_fill``: in place of another level's empty tile."""

    slide: Slide
    level_dz: int
    requested_dz: int
    is_fill: bool = False

    @property
    def level(self) -> Level:
        return self.slide.source(self.level_dz)

    def finer_level(self) -> int | None:
        """Return the level that fills this level's empty tiles.

        Where several levels of the original are empty at the same place, rendered levels limit the tiles to decode.
        """
        if self.is_fill:
            return self.slide.next_finer_level(self.level_dz)
        return self.slide.finer_level(self.level_dz)


def level_tile(slide: Slide, level_dz: int, col: int, row: int) -> Pixels:
    """Return the pixels of any tile on the slide's own grid, from the best available source.

    No pixels are cached here: a tile's cost is bounded by ``MAX_SOURCE_TILES`` and the thumbnail.
    """
    return region(slide, level_dz, slide.grid.tile_box(level_dz, col, row))


def region(slide: Slide, level_dz: int, box: Box) -> Pixels:
    """Return the pixels of a box, which must lie inside its level; damaged tiles become background.

    A damaged tile of a reduced level becomes the pixels of a finer level. Raise MissingTablesError where a tile of
    full resolution lacks its JPEG tables.
    """
    check_may_wait()
    source_dz = slide.source_level(level_dz)
    if source_dz is not None and source_dz - level_dz <= MAX_DCT_SHIFT:
        return _level_region(_Source(slide, source_dz, level_dz), source_dz - level_dz, box)
    left, top, right, bottom = box
    out = np.empty((bottom - top, right - left, 3), np.uint8)
    for x0, y0, x1, y1 in _grid_parts(box, slide.grid.tile_size):
        out[y0 - top : y1 - top, x0 - left : x1 - left] = _read_part(slide, level_dz, (x0, y0, x1, y1))
    return out


def _grid_parts(box: Box, size: int) -> Iterator[Box]:
    """Yield the parts of a box, cut along the grid of tiles."""
    left, top, right, bottom = box
    for y in range(top // size * size, bottom, size):
        for x in range(left // size * size, right, size):
            yield max(x, left), max(y, top), min(x + size, right), min(y + size, bottom)


def _read_part(slide: Slide, level_dz: int, box: Box) -> Pixels:
    """Return a box within a tile of a level that the slide's reader renders, or that is far above its source."""
    source_dz, total = slide.source_level(level_dz), slide.max_level - level_dz
    shift = slide.reader.halvings(total) if source_dz is None else source_dz - level_dz
    if shift > MAX_DCT_SHIFT:
        return _reduce_far(slide, level_dz, box, shift)
    try:
        return slide.reader.region(total, box)
    except CorruptTileError as error:
        if (finer := _read_finer_by_reader(slide, level_dz, box)) is not None:
            return finer
        left, top, right, bottom = box
        log.warning("background for a part of level %d at %d,%d: %s", level_dz, left, top, error)
        slide.damage.note(level_dz, left // slide.grid.tile_size, top // slide.grid.tile_size)
        return blank(right - left, bottom - top)


def _read_finer_by_reader(slide: Slide, level_dz: int, box: Box) -> Pixels | None:
    """Return a box that the reader cannot read at its level from full resolution; None where that fails or is far."""
    shift = slide.max_level - level_dz
    if not 0 < shift <= MAX_READER_SHIFT:
        return None
    left, top, right, bottom = (edge << shift for edge in box)
    whole = left, top, min(right, slide.grid.width_px), min(bottom, slide.grid.height_px)
    try:
        return box_reduce(slide.reader.region(0, whole), shift)
    except CorruptTileError:
        return None


def _reduce_far(slide: Slide, level_dz: int, box: Box, shift: int) -> Pixels:
    """Return a box far above its source: from the thumbnail if its source is expensive, else from a nearer level."""
    if slide.is_expensive(level_dz, shift) and (part := _scale_thumbnail(slide, level_dz, box)) is not None:
        return part
    nearer_dz = level_dz + MAX_DCT_SHIFT
    width_px, height_px = slide.grid.level_size(nearer_dz)
    left, top, right, bottom = (edge << MAX_DCT_SHIFT for edge in box)
    finer = region(slide, nearer_dz, (left, top, min(right, width_px), min(bottom, height_px)))
    return box_reduce(finer, MAX_DCT_SHIFT)


def _scale_thumbnail(slide: Slide, level_dz: int, box: Box) -> Pixels | None:
    """Return a box scaled from the thumbnail; None where the thumbnail is missing or cannot be read."""
    left, top, right, bottom = box
    step = 1 << (slide.max_level - level_dz)
    try:
        with Image.open(slide.thumbnail) as image:
            x, y = step * image.width / slide.grid.width_px, step * image.height / slide.grid.height_px
            picture = np.asarray(image.convert("RGB"))
    except OSError:
        return None
    # A level is rounded up: its last pixels reach beyond the picture.
    height_px, width_px = (
        max(picture.shape[0], math.ceil(bottom * y)),
        max(picture.shape[1], math.ceil(right * x)),
    )
    whole, place = extend(picture, width_px, height_px), (left * x, top * y, right * x, bottom * y)
    size = right - left, bottom - top
    return np.asarray(Image.fromarray(whole).resize(size, Image.Resampling.BOX, place))


def _level_region(source: _Source, shift: int, box: Box) -> Pixels:
    """Return a box of the Deep Zoom level that is ``shift`` halvings, at most three, above a stored level.

    The box counts in Deep Zoom pixels. A stored level that was rounded down is a pixel or two short at the right
    and bottom: its last pixels are repeated there.
    """
    level = source.level
    stored = shrunk(level.width_px, shift), shrunk(level.height_px, shift)
    left, top = min(box[0], stored[0] - 1), min(box[1], stored[1] - 1)
    right, bottom = max(left + 1, min(box[2], stored[0])), max(top + 1, min(box[3], stored[1]))
    out = np.empty((bottom - top, right - left, 3), np.uint8)
    _decode_into(out, source, shift, (left, top, right, bottom))
    return extend(out, box[2] - box[0], box[3] - box[1])


def _decode_into(out: Pixels, source: _Source, shift: int, box: Box) -> None:
    """Write the pixels of the stored tiles under a box into ``out``."""
    left, top, right, bottom = box
    side = source.level.tile_size >> shift

    def decode_tile(col_row: tuple[int, int]) -> None:
        col, row = col_row
        part = _pixels_or_background(source, col, row, shift)
        x0, y0 = max(left, col * side), max(top, row * side)
        x1, y1 = min(right, col * side + part.shape[1]), min(bottom, row * side + part.shape[0])
        inner = part[y0 - row * side : y1 - row * side, x0 - col * side : x1 - col * side]
        out[y0 - top : y1 - top, x0 - left : x1 - left] = inner

    columns, rows = range(left // side, -(-right // side)), range(top // side, -(-bottom // side))
    tiles = [(col, row) for row in rows for col in columns]
    if len(tiles) <= MANY_TILES:
        for col_row in tiles:
            decode_tile(col_row)
    else:
        list(_decoders().map(decode_tile, tiles))


@cache
def _decoders() -> ThreadPoolExecutor:
    """Return the threads that decode large regions: the decoder releases the GIL."""
    return ThreadPoolExecutor(os.cpu_count(), "decode")


def _pixels_or_background(source: _Source, col: int, row: int, shift: int) -> Pixels:
    try:
        if source.level_dz < source.slide.max_level and source.slide.damage.has(source.level_dz, col, row):
            raise CorruptTileError("the tile is known to be damaged")
        return tile_pixels(source.level, col, row, shift)
    except CorruptTileError as error:
        if not isinstance(error, EmptyTileError):
            source.slide.damage.note(source.level_dz, col, row)
        if source.level_dz < source.slide.max_level:
            return _replace_reduced(source, col, row, shift, error)
        return _replace_finest(source, col, row, shift, error)


def _replace_reduced(source: _Source, col: int, row: int, shift: int, error: CorruptTileError) -> Pixels:
    """Return a finer level's pixels in place of an empty or damaged tile; background where those are unreadable."""
    if not isinstance(error, EmptyTileError):
        log.warning("tile %d/%d_%d shows a finer level: %s", source.level_dz, col, row, error)
    try:
        return box_reduce(_fill(source, col, row), shift)
    except MissingTablesError:
        raise
    except CorruptTileError as finer_error:
        _note_finest(source, col, row)
        return _background(source, col, row, shift, finer_error)


def _note_finest(source: _Source, col: int, row: int) -> None:
    """Note the tiles of full resolution under a tile."""
    slide, step = source.slide, 1 << (source.slide.max_level - source.level_dz)
    columns, rows = slide.grid.tile_counts(slide.max_level)
    for below in range(row * step, min(rows, (row + 1) * step)):
        for across in range(col * step, min(columns, (col + 1) * step)):
            slide.damage.note(slide.max_level, across, below)


def _replace_finest(source: _Source, col: int, row: int, shift: int, error: CorruptTileError) -> Pixels:
    """Return what can be decoded of a tile of full resolution, else background.

    Raise MissingTablesError where its JPEG tables are missing, except while levels are rendered.
    """
    if isinstance(error, MissingTablesError) and not source.slide.damage.for_rendering:
        raise error
    with suppress(CorruptTileError):
        return tile_pixels(source.level, col, row, shift, is_tolerant=True)
    return _background(source, col, row, shift, error)


def _background(source: _Source, col: int, row: int, shift: int, error: CorruptTileError) -> Pixels:
    level, side = source.level, source.level.tile_size
    log.warning("background for tile %d,%d of a %d px wide level: %s", col, row, level.width_px, error)
    width_px, height_px = min(side, level.width_px - col * side), min(side, level.height_px - row * side)
    return blank(shrunk(width_px, shift), shrunk(height_px, shift))


def filled_tile(slide: Slide, level_dz: int, col: int, row: int) -> Pixels:
    """Return the pixels, within its level, of a tile that is stored empty, from the next finer level that has pixels.

    Raise CorruptTileError where there is no finer level.
    """
    return _fill(_Source(slide, level_dz, level_dz), col, row)


def _fill(source: _Source, col: int, row: int) -> Pixels:
    """Return an empty tile's pixels within its level; raise CorruptTileError at full resolution."""
    slide, level, size = source.slide, source.level, source.level.tile_size
    if source.level_dz >= slide.max_level:
        raise EmptyTileError("the tile is empty at full resolution")
    left, top = col * size, row * size
    right, bottom = min(left + size, level.width_px), min(top + size, level.height_px)
    # A stored level may be a pixel or two larger than the Deep Zoom level.
    width_px, height_px = slide.grid.level_size(source.level_dz)
    pixels = _read_finer(source, (left, top, min(right, width_px), min(bottom, height_px)))
    return extend(pixels, right - left, bottom - top)


def _read_finer(source: _Source, box: Box) -> Pixels:
    """Return a box of a stored level as the finer levels show it."""
    slide, finer_dz = source.slide, source.finer_level()
    if finer_dz is None:
        return slide.reader.region(slide.max_level - source.level_dz, box)
    if slide.is_expensive(source.requested_dz, finer_dz - source.requested_dz):
        part = _scale_thumbnail(slide, source.level_dz, box)
        if part is not None:
            return part
    near_dz = max(source.level_dz, finer_dz - MAX_DCT_SHIFT)
    shift, (width_px, height_px) = near_dz - source.level_dz, slide.grid.level_size(near_dz)
    left, top, right, bottom = (edge << shift for edge in box)
    finer = _Source(slide, finer_dz, source.requested_dz, is_fill=True)
    near = left, top, min(right, width_px), min(bottom, height_px)
    return box_reduce(_level_region(finer, finer_dz - near_dz, near), shift)
