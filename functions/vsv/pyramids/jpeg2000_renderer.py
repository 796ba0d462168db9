"""Levels of a pyramid from one reading of a level of JPEG 2000 tiles: each tile is decoded once.

A tile is decoded, coded as JPEG, and halved into a quarter of the tile above, which is done when its four quarters
are; so a task holds a few tiles, whatever the slide's size. YCbCr is what JPEG codes, and JPEG 2000 makes it of RGB:
it is not converted to RGB and back, and its chroma stays as it is stored.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt
import simplejpeg

from vsv.errors import CorruptTileError
from vsv.formats.jpeg import abbreviate
from vsv.formats.jpeg2000 import Codestream
from vsv.formats.openjpeg import Plane, Planes
from vsv.slides import jpeg2000_reader, pixels
from vsv.slides.deepzoom_grid import Grid
from vsv.slides.levels import Jpeg2000Level
from vsv.slides.pixels import Coding
from vsv.slides.slide import Slide

log = logging.getLogger(__name__)

# Source tiles of one task, at least: enough to hide the cost of a task, few enough to keep all cores at work.
TILES_A_TASK = 4
# Tiles of the source are looked at for how they are stored until one can be read.
TILES_LOOKED_AT = 8
NEUTRAL = 128
# The header of a scan of three components. In the scan's data FF is followed by 00 or a restart marker.
START_OF_SCAN = b"\xff\xda\x00\x0c\x03"
LONGEST_HEADER = 2048

# Planes of one size are one array of three dimensions.
Tile = Planes
Block = tuple[int, int, bytes]


@dataclass(frozen=True, slots=True)
class Tree:
    """A source level and those above it, finest first.

    ``ycbcr``: its tiles are handled in YCbCr; ``chroma`` is what a chroma sample of the source spans.
    """

    grid: Grid
    level: Jpeg2000Level
    levels_dz: tuple[int, ...]
    codings: tuple[Coding, ...]
    ycbcr: bool
    chroma: tuple[int, int]

    @classmethod
    def of(cls, slide: Slide, levels_dz: tuple[int, ...]) -> "Tree":
        """Prepare the levels ``levels_dz``, the first of which the slide holds as JPEG 2000."""
        level = slide.decoded[levels_dz[0]]
        codings = tuple(pixels.rendered_coding(slide, dz) for dz in levels_dz)
        header = _first_header(level)
        ycbcr = level.ycbcr or (header is not None and header.transformed)
        chroma = header.chroma if header is not None and level.ycbcr else (1, 1)
        return cls(slide.grid, level, levels_dz, codings, ycbcr, chroma)

    @property
    def subsampling(self) -> tuple[int, int]:
        """How many pixels, across and down, a chroma sample of the finest level's JPEG spans."""
        if self.ycbcr:
            return self.chroma
        return (2, 2) if self.codings[0].chroma == "420" else (1, 1)

    def tasks(self) -> Iterator[Callable[[], list[Block]]]:
        """Give the tasks that make all tiles: each gives pages, places and bytes."""
        top = len(self.levels_dz) - 1
        columns, rows = self.grid.tile_counts(self.levels_dz[top])
        step = max(1, TILES_A_TASK >> (2 * top))
        for row in range(rows):
            for col in range(0, columns, step):
                yield partial(self._run, row, range(col, min(col + step, columns)))

    def _run(self, row: int, cols: range) -> list[Block]:
        done: list[Block] = []
        for col in cols:
            self._make(len(self.levels_dz) - 1, col, row, done)
        return done

    def _make(self, page: int, col: int, row: int, done: list[Block]) -> Tile:
        """Make a tile of a page, and all below it; ``done`` takes what is encoded."""
        tile = self._from_below(page, col, row, done) if page else self._decoded(col, row)
        columns, _ = self.grid.tile_counts(self.levels_dz[page])
        done.append((page, row * columns + col, self._encoded(tile, self.codings[page], whole=page == 0)))
        return tile

    def _from_below(self, page: int, col: int, row: int, done: list[Block]) -> Tile:
        size, half = self.grid.tile_size, self.grid.tile_size // 2
        columns, rows = self.grid.tile_counts(self.levels_dz[page - 1])
        tile = np.empty((3, size, size), np.uint8)
        for y in range(min(2, rows - 2 * row)):
            for x in range(min(2, columns - 2 * col)):
                below = self._make(page - 1, 2 * col + x, 2 * row + y, done)
                _halve_all(below, tile[:, y * half : y * half + half, x * half : x * half + half])
        width, height = self.grid.level_size(self.levels_dz[page])
        _repeat_last(tile, min(size, width - col * size), min(size, height - row * size))
        return tile

    def _decoded(self, col: int, row: int) -> Tile:
        """Decode a tile of the source, its last pixels repeated beyond the level."""
        level, size = self.level, self.grid.tile_size
        inside = min(col, level.page.columns - 1), min(row, level.page.rows - 1)
        try:
            tile = jpeg2000_reader.planes(level, *inside, ycbcr=self.ycbcr)
            if self._is_whole(tile, col, row):
                return tile
            return [self._fitted(part, index > 0, inside, (col, row)) for index, part in enumerate(tile)]
        except CorruptTileError as error:
            log.warning(
                "background for tile %d,%d of a %d px wide level: %s", col, row, level.width_px, error
            )
        light = np.full((size, size), pixels.BACKGROUND, np.uint8)
        colour = np.full(self._shape(is_chroma=True), NEUTRAL if self.ycbcr else pixels.BACKGROUND, np.uint8)
        return [light, colour, colour]

    def _is_whole(self, tile: Tile, col: int, row: int) -> bool:
        """Tell whether a tile has the page's form and lies inside the level."""
        size, level = self.grid.tile_size, self.level
        is_inside = (col + 1) * size <= level.width_px and (row + 1) * size <= level.height_px
        shapes = [self._shape(is_chroma=index > 0) for index in range(3)]
        return is_inside and [part.shape for part in tile] == shapes

    def _shape(self, *, is_chroma: bool) -> tuple[int, int]:
        size, (across, down) = self.grid.tile_size, self.chroma
        return (size // down, size // across) if is_chroma else (size, size)

    def _fitted(self, part: Plane, is_chroma: bool, inside: tuple[int, int], at: tuple[int, int]) -> Plane:
        """Bring a component to the page's form, and repeat what lies last inside the level."""
        size, level = self.grid.tile_size, self.level
        wanted = self._shape(is_chroma=is_chroma)
        if part.shape != wanted:
            part = _resampled(part, wanted)
        left = level.width_px - inside[0] * size, level.height_px - inside[1] * size
        width, height = (
            -(-min(size, inner) * side // size) for inner, side in zip(left, wanted[::-1], strict=True)
        )
        # A level that was rounded down may lack a column or row of tiles that Deep Zoom has: its last pixels again.
        x, y = (
            side - 1 if services != there else 0
            for side, services, there in zip((width, height), inside, at, strict=True)
        )
        part = part[y:height, x:width]
        return np.pad(
            part, [(0, side - have) for side, have in zip(wanted, part.shape, strict=True)], mode="edge"
        )

    def _encoded(self, tile: Tile, coding: Coding, *, whole: bool) -> bytes:
        if not self.ycbcr:
            return _abbreviated(pixels.encode_jpeg(_interleaved(tile), coding))
        if not whole and coding.chroma == "420":
            half = self.grid.tile_size // 2
            small = np.empty((2, half, half), np.uint8)
            _halve_all(tile[1:], small)
            tile = [tile[0], *small]
        return _abbreviated(simplejpeg.encode_jpeg_yuv_planes(*tile, quality=coding.quality))


def _interleaved(tile: Tile) -> pixels.Pixels:
    out = np.empty((*tile[0].shape, len(tile)), np.uint8)
    for index, part in enumerate(tile):
        out[..., index] = part
    return out


def _abbreviated(data: bytes) -> bytes:
    """Do what ``abbreviate`` does to a tile of our encoder, whose header is one of a few."""
    end = data.rindex(START_OF_SCAN, 0, LONGEST_HEADER)
    return _abbreviated_header(data[:end]) + data[end:]


@lru_cache(maxsize=32)
def _abbreviated_header(header: bytes) -> bytes:
    return abbreviate(header + START_OF_SCAN)[1].removesuffix(START_OF_SCAN)


def _first_header(level: Jpeg2000Level) -> Codestream | None:
    """Give the header of the first of a level's tiles that can be read: how they all are stored, as a rule."""
    for index in range(min(TILES_LOOKED_AT, level.page.columns * level.page.rows)):
        row, col = divmod(index, level.page.columns)
        try:
            return jpeg2000_reader.codestream(level, col, row)[1]
        except CorruptTileError:
            continue
    return None


def _resampled(part: Plane, wanted: tuple[int, int]) -> Plane:
    """Repeat or leave out samples of a tile whose chroma is stored otherwise than its level's."""
    places = (np.arange(side) * have // side for side, have in zip(wanted, part.shape, strict=True))
    return np.ascontiguousarray(part[np.ix_(*places)])


def _repeat_last(tile: Plane, width: int, height: int) -> None:
    """Repeat the last of a level's pixels beyond it: what lies there was halved from less than that pixel was."""
    tile[:, :height, width:] = tile[:, :height, width - 1 : width]
    tile[:, height:] = tile[:, height - 1 : height]


def _halve_all(tile: Tile, out: Plane) -> None:
    """Halve a tile's planes: in one go where they are one array, because each calculation has its price."""
    if isinstance(tile, np.ndarray):
        _halve(tile, out)
    else:
        for part, place in zip(tile, out, strict=True):
            _halve(part, place)


def _halve(part: Plane, out: Plane) -> None:
    """Average what lies on each pixel of ``out``: two by two pixels, two in a direction, or one."""
    down, across = part.shape[-2] // out.shape[-2], part.shape[-1] // out.shape[-1]
    total: npt.NDArray[np.uint16]
    if across == 2:
        pairs = part.view(np.uint16)
        total = (pairs & 255) + (pairs >> 8)
    else:
        total = part.astype(np.uint16)
    if down == 2:
        total = total[..., 0::2, :] + total[..., 1::2, :]
    count = down * across
    total += count // 2
    np.right_shift(total, count // 2, out=out, casting="unsafe")
