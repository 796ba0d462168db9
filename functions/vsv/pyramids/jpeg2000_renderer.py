"""Pyramid levels rendered in a single pass over a level of JPEG 2000 tiles: each tile is decoded once.

A tile is decoded, encoded as JPEG, and halved into a quarter of the tile above, which is complete when its four
quarters are; so a task holds a few tiles in memory, whatever the slide's size. JPEG encodes YCbCr, and JPEG 2000
transforms RGB to it: such pixels are not converted to RGB and back, and their chroma stays as it is stored.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from vsv.errors import CorruptTileError, EmptyTileError
from vsv.formats.jpeg import abbreviate
from vsv.formats.jpeg2000 import Codestream
from vsv.formats.openjpeg import Plane, Planes
from vsv.rendering import encoding, regions
from vsv.rendering.encoding import Coding
from vsv.slides import jpeg2000_reader, pixels
from vsv.slides.deepzoom_grid import Grid
from vsv.slides.levels import Jpeg2000Level
from vsv.slides.slide import Slide

log = logging.getLogger(__name__)

# Source tiles of a task, at least: enough to hide the cost of a task, few enough to keep all cores busy.
TILES_A_TASK = 4
# At most so many source tiles are tried to find a readable header.
MAX_HEADERS_TRIED = 8
NEUTRAL = 128
# The header of a scan of three components. In the scan's data FF is followed by 00 or a restart marker.
START_OF_SCAN = b"\xff\xda\x00\x0c\x03"
LONGEST_HEADER = 2048

# Planes of the same size are a single array of three dimensions.
Tile = Planes
Block = tuple[int, int, bytes]


@dataclass(frozen=True, slots=True)
class Tree:
    """A source level and the levels above it, finest first.

    ``ycbcr``: whether tiles are processed in YCbCr; ``chroma`` is how many pixels, across and down, a chroma sample
    of the source spans.
    """

    slide: Slide
    grid: Grid
    level: Jpeg2000Level
    levels_dz: tuple[int, ...]
    codings: tuple[Coding, ...]
    ycbcr: bool
    chroma: tuple[int, int]

    @classmethod
    def of(cls, slide: Slide, levels_dz: tuple[int, ...]) -> "Tree":
        """Return the tree of the levels ``levels_dz``, the first of which the slide holds as JPEG 2000."""
        level = slide.decoded[levels_dz[0]]
        codings = tuple(encoding.rendered_coding(slide, dz) for dz in levels_dz)
        header = _first_header(level)
        ycbcr = level.ycbcr or (header is not None and header.transformed)
        chroma = header.chroma if header is not None and level.ycbcr else (1, 1)
        return cls(slide, slide.grid, level, levels_dz, codings, ycbcr, chroma)

    @property
    def subsampling(self) -> tuple[int, int]:
        """Pixels, across and down, that a chroma sample of the finest level's JPEG spans."""
        if self.ycbcr:
            return self.chroma
        return (2, 2) if self.codings[0].chroma == "420" else (1, 1)

    def tasks(self) -> Iterator[Callable[[], list[Block]]]:
        """Yield the tasks that render all tiles: each returns blocks of page, place in the page, and bytes."""
        top = len(self.levels_dz) - 1
        columns, rows = self.grid.tile_counts(self.levels_dz[top])
        step = max(1, TILES_A_TASK >> (2 * top))
        for row in range(rows):
            for col in range(0, columns, step):
                yield partial(self._render_run, row, range(col, min(col + step, columns)))

    def _render_run(self, row: int, cols: range) -> list[Block]:
        blocks: list[Block] = []
        for col in cols:
            self._render(len(self.levels_dz) - 1, col, row, blocks)
        return blocks

    def _render(self, page: int, col: int, row: int, blocks: list[Block]) -> Tile:
        """Return a tile of a page; append the tile and all tiles below it, encoded, to ``blocks``."""
        tile = self._combine_below(page, col, row, blocks) if page else self._decode(col, row)
        columns, _ = self.grid.tile_counts(self.levels_dz[page])
        blocks.append(
            (page, row * columns + col, self._encode(tile, self.codings[page], is_source=page == 0))
        )
        return tile

    def _combine_below(self, page: int, col: int, row: int, blocks: list[Block]) -> Tile:
        size, half = self.grid.tile_size, self.grid.tile_size // 2
        columns, rows = self.grid.tile_counts(self.levels_dz[page - 1])
        tile = np.empty((3, size, size), np.uint8)
        for y in range(min(2, rows - 2 * row)):
            for x in range(min(2, columns - 2 * col)):
                below = self._render(page - 1, 2 * col + x, 2 * row + y, blocks)
                _halve_all(below, tile[:, y * half : y * half + half, x * half : x * half + half])
        width, height = self.grid.level_size(self.levels_dz[page])
        _repeat_last(tile, min(size, width - col * size), min(size, height - row * size))
        return tile

    def _decode(self, col: int, row: int) -> Tile:
        """Return the decoded pixels of a source tile, the level's last pixels repeated beyond its edge."""
        level, size = self.level, self.grid.tile_size
        inside = min(col, level.page.columns - 1), min(row, level.page.rows - 1)
        try:
            tile = self._planes(*inside)
            if self._is_whole(tile, col, row):
                return tile
            return [self._fit(part, index > 0, inside, (col, row)) for index, part in enumerate(tile)]
        except CorruptTileError as error:
            log.warning(
                "background for tile %d,%d of a %d px wide level: %s", col, row, level.width_px, error
            )
        light = np.full((size, size), pixels.BACKGROUND, np.uint8)
        colour = np.full(self._shape(is_chroma=True), NEUTRAL if self.ycbcr else pixels.BACKGROUND, np.uint8)
        return [light, colour, colour]

    def _planes(self, col: int, row: int) -> Tile:
        """Return a stored tile's components; a finer level's where a tile of a reduced level is empty or damaged."""
        try:
            return jpeg2000_reader.planes(self.level, col, row, ycbcr=self.ycbcr)
        except CorruptTileError as error:
            if not isinstance(error, EmptyTileError):
                self.slide.damage.note(self.levels_dz[0], col, row)
            if self.levels_dz[0] == self.slide.max_level:
                raise
            filled = regions.filled_tile(self.slide, self.levels_dz[0], col, row)
        size = self.grid.tile_size
        image = Image.fromarray(pixels.extend(filled, size, size))
        luma, *chroma = image.convert("YCbCr" if self.ycbcr else "RGB").split()
        return [np.asarray(luma), *(np.asarray(band.reduce(self.chroma)) for band in chroma)]

    def _is_whole(self, tile: Tile, col: int, row: int) -> bool:
        """Return whether a tile has the page's subsampling and is wholly inside the level."""
        size, level = self.grid.tile_size, self.level
        is_inside = (col + 1) * size <= level.width_px and (row + 1) * size <= level.height_px
        shapes = [self._shape(is_chroma=index > 0) for index in range(3)]
        return is_inside and [part.shape for part in tile] == shapes

    def _shape(self, *, is_chroma: bool) -> tuple[int, int]:
        size, (across, down) = self.grid.tile_size, self.chroma
        return (size // down, size // across) if is_chroma else (size, size)

    def _fit(
        self, part: Plane, is_chroma: bool, stored_at: tuple[int, int], tile_at: tuple[int, int]
    ) -> Plane:
        """Return a component in the page's shape, with the level's last pixels repeated beyond its edge.

        ``stored_at`` is the column and row of the stored tile, ``tile_at`` those of the Deep Zoom tile.
        """
        size, level = self.grid.tile_size, self.level
        shape = self._shape(is_chroma=is_chroma)
        if part.shape != shape:
            part = _resample(part, shape)
        remaining = level.width_px - stored_at[0] * size, level.height_px - stored_at[1] * size
        width, height = (
            -(-min(size, inner) * side // size) for inner, side in zip(remaining, shape[::-1], strict=True)
        )
        # A level that was rounded down may lack a column or row of tiles that Deep Zoom has: repeat its last pixels.
        x, y = (
            side - 1 if stored != wanted else 0
            for side, stored, wanted in zip((width, height), stored_at, tile_at, strict=True)
        )
        part = part[y:height, x:width]
        return np.pad(
            part, [(0, side - have) for side, have in zip(shape, part.shape, strict=True)], mode="edge"
        )

    def _encode(self, tile: Tile, coding: Coding, *, is_source: bool) -> bytes:
        if not self.ycbcr:
            return _abbreviate(encoding.encode_jpeg(_interleave(tile), coding))
        if not is_source and coding.chroma == "420":
            half = self.grid.tile_size // 2
            chroma = np.empty((2, half, half), np.uint8)
            _halve_all(tile[1:], chroma)
            tile = [tile[0], *chroma]
        return _abbreviate(simplejpeg.encode_jpeg_yuv_planes(*tile, quality=coding.quality))


def _interleave(tile: Tile) -> pixels.Pixels:
    out = np.empty((*tile[0].shape, len(tile)), np.uint8)
    for index, part in enumerate(tile):
        out[..., index] = part
    return out


def _abbreviate(data: bytes) -> bytes:
    """Return a tile as ``abbreviate`` does; the header is cached, because our encoder writes only a few headers."""
    end = data.rindex(START_OF_SCAN, 0, LONGEST_HEADER)
    return _abbreviate_header(data[:end]) + data[end:]


@lru_cache(maxsize=32)
def _abbreviate_header(header: bytes) -> bytes:
    return abbreviate(header + START_OF_SCAN)[1].removesuffix(START_OF_SCAN)


def _first_header(level: Jpeg2000Level) -> Codestream | None:
    """Return the header of a level's first readable tile, which as a rule holds for all; None without such a tile."""
    for index in range(min(MAX_HEADERS_TRIED, level.page.columns * level.page.rows)):
        row, col = divmod(index, level.page.columns)
        try:
            return jpeg2000_reader.codestream(level, col, row)[1]
        except CorruptTileError:
            continue
    return None


def _resample(part: Plane, shape: tuple[int, int]) -> Plane:
    """Return a component with samples repeated or dropped, where its subsampling differs from its level's."""
    places = (np.arange(side) * have // side for side, have in zip(shape, part.shape, strict=True))
    return np.ascontiguousarray(part[np.ix_(*places)])


def _repeat_last(tile: Plane, width: int, height: int) -> None:
    """Repeat a level's last pixels beyond its edge, where pixels were halved from repeated or missing ones."""
    tile[:, :height, width:] = tile[:, :height, width - 1 : width]
    tile[:, height:] = tile[:, height - 1 : height]


def _halve_all(tile: Tile, out: Plane) -> None:
    """Halve a tile's planes into ``out``: together where they are a single array, because each call has a cost."""
    if isinstance(tile, np.ndarray):
        _halve(tile, out)
    else:
        for part, place in zip(tile, out, strict=True):
            _halve(part, place)


def _halve(part: Plane, out: Plane) -> None:
    """Write into each pixel of ``out`` the average of the pixels under it: two by two, two in a direction, or one."""
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
