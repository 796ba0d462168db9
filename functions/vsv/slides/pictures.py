"""Pictures that are compared with each other: a stored level, a level that OpenSlide reads, a decoded image.

``luma`` returns a box's brightness, reduced by a power of two, as floats; NaN where no pixels are stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from vsv.errors import CorruptTileError, EmptyTileError
from vsv.slides.pixels import box_reduce, tile_pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    from vsv.slides.levels import Level

Luma = npt.NDArray[np.float32]
Box = tuple[int, int, int, int]

# Tiles are at least multiples of 16 pixels: a tile halved four times has whole pixels.
MAX_SHIFT = 4
# Decoded tiles that a picture keeps: comparing neighbouring places must not decode a tile again.
_KEPT_TILES = 512
_WEIGHTS = np.array((0.299, 0.587, 0.114), np.float32)


class Picture(Protocol):
    """A picture of ``width_px`` by ``height_px``, best read in blocks of ``block_px``."""

    width_px: int
    height_px: int
    block_px: int
    is_damaged: bool

    def luma(self, box: Box, shift: int) -> Luma:
        """Return a box (left, top, right, bottom), halved ``shift`` times; left and top are multiples of 2^shift."""


class StoredPicture:
    """A stored level; ``is_damaged`` becomes True where a tile that is read cannot be decoded."""

    def __init__(self, level: Level) -> None:
        self.level = level
        self.width_px, self.height_px, self.block_px = level.width_px, level.height_px, level.tile_size
        self.is_damaged = False
        self._tiles: dict[tuple[int, int, int], Luma | None] = {}

    def luma(self, box: Box, shift: int) -> Luma:
        """Return a box's brightness from the tiles that the box touches."""
        left, top, right, bottom = box
        size = self.block_px
        out = np.full((_halved(top, bottom, shift), _halved(left, right, shift)), np.nan)
        for row in range(top // size, -(-bottom // size)):
            for col in range(left // size, -(-right // size)):
                tile = self._tile(col, row, shift)
                if tile is not None:
                    _paste(out, tile, (col * size - left) >> shift, (row * size - top) >> shift)
        return out.astype(np.float32)

    def _tile(self, col: int, row: int, shift: int) -> Luma | None:
        key = col, row, shift
        if key not in self._tiles:
            while len(self._tiles) >= _KEPT_TILES:
                del self._tiles[next(iter(self._tiles))]
            self._tiles[key] = self._decode(col, row, shift)
        return self._tiles[key]

    def _decode(self, col: int, row: int, shift: int) -> Luma | None:
        try:
            return _to_luma(tile_pixels(self.level, col, row, shift))
        except EmptyTileError:
            return None  # left out by the scanner; a finer level is shown there
        except CorruptTileError:
            self.is_damaged = True
            return None


class ReadPicture:
    """A picture that a function reads: ``read`` returns the RGB pixels of a box, or raises CorruptTileError."""

    block_px = 256

    def __init__(self, size: tuple[int, int], read: Callable[[Box], npt.NDArray[np.uint8]]) -> None:
        self.width_px, self.height_px = size
        self.is_damaged = False
        self._read = read

    def luma(self, box: Box, shift: int) -> Luma:
        """Return a box's brightness."""
        try:
            return _to_luma(box_reduce(self._read(box), shift))
        except CorruptTileError:
            self.is_damaged = True
            left, top, right, bottom = box
            return np.full((_halved(top, bottom, shift), _halved(left, right, shift)), np.nan, np.float32)


def image_picture(image: Image.Image) -> ReadPicture:
    """Return a decoded image as a picture."""
    pixels = np.asarray(image.convert("RGB"))
    return ReadPicture(image.size, lambda box: np.ascontiguousarray(pixels[box[1] : box[3], box[0] : box[2]]))


def _halved(start: int, end: int, shift: int) -> int:
    """Return the pixels between two positions after halvings."""
    return -(-end // (1 << shift)) - (start >> shift)


def _to_luma(pixels: npt.NDArray[np.uint8]) -> Luma:
    return np.asarray(pixels @ _WEIGHTS, np.float32)


def _paste(out: npt.NDArray[np.float64], tile: Luma, left: int, top: int) -> None:
    """Write a tile into ``out`` at a place that may begin or end outside."""
    right, bottom = min(left + tile.shape[1], out.shape[1]), min(top + tile.shape[0], out.shape[0])
    x, y = max(left, 0), max(top, 0)
    if x < right and y < bottom:
        out[y:bottom, x:right] = tile[y - top : bottom - top, x - left : right - left]
