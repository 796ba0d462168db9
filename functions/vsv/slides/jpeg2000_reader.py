"""Pixels of Aperio's JPEG 2000 tiles, at full size or at the codestream's resolution levels.

Colour conversion equals OpenSlide's bit by bit (make-tables.c): full-range YCbCr, chroma samples repeated.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from vsv.errors import CorruptTileError
from vsv.formats import openjpeg
from vsv.formats.jpeg2000 import Codestream, read_codestream
from vsv.formats.openjpeg import Plane, Planes
from vsv.slides.deepzoom_grid import shrunk

if TYPE_CHECKING:  # levels imports this module where it decodes
    from vsv.slides.levels import Jpeg2000Level

Pixels = npt.NDArray[np.uint8]


def codestream(level: Jpeg2000Level, col: int, row: int) -> tuple[bytes, Codestream]:
    """Return a stored tile and its header; raise CorruptTileError where the tile does not match the level."""
    data = level.codestream(col, row)
    return data, read_codestream(data, level.tile_size)


def planes(level: Jpeg2000Level, col: int, row: int, *, ycbcr: bool) -> Planes:
    """Return a tile's three components, in YCbCr or in the level's colour space; chroma components may be smaller."""
    data, header = codestream(level, col, row)
    if level.ycbcr or not ycbcr:
        return openjpeg.decode(data)
    if header.transformed:
        return openjpeg.decode(data, as_coded=True)
    pixels = rgb(level, openjpeg.decode(data), level.tile_size)
    return [np.asarray(band) for band in Image.fromarray(pixels).convert("YCbCr").split()]


def tile_pixels(level: Jpeg2000Level, col: int, row: int, shift: int) -> tuple[Pixels, int]:
    """Return a whole tile in RGB, padding included, and how many of ``shift`` halvings are left to averaging.

    The first halving is always by the codestream, the last of several never: averaging corrects half of the shift of
    resolution levels.
    """
    data, header = codestream(level, col, row)
    reduce = min(max(shift - 1, 1), shift, header.decompositions)
    pixels = rgb(level, openjpeg.decode(data, reduce), shrunk(level.tile_size, reduce))
    return _resample_centred(pixels, reduce), shift - reduce


def _resample_centred(pixels: Pixels, reduce: int) -> Pixels:
    """Return a resolution level resampled to the positions of box means.

    The wavelet's samples are at the first pixel of a block, not at its centre: at half size a quarter of a pixel off.
    """
    step = 1 << reduce
    # The weights of a pixel and of the next pixel: 3:1, 5:3 and so on.
    own_weight, next_weight, total_weight = step + 1, step - 1, 2 * step
    for axis in range(2 if reduce else 0):
        samples = pixels.astype(np.int16).swapaxes(0, axis)
        following = np.concatenate((samples[1:], 2 * samples[-1:] - samples[-2:-1]))
        moved = (own_weight * samples + next_weight * following + step) // total_weight
        pixels = np.clip(moved, 0, 255).astype(np.uint8).swapaxes(0, axis)
    return pixels


def rgb(level: Jpeg2000Level, parts: Planes, side_px: int) -> Pixels:
    """Return a square tile's components as RGB; raise CorruptTileError where their sizes do not match."""
    luma, blue, red = (_upsample(part, side_px) for part in parts)
    if not level.ycbcr:
        return np.dstack((luma, blue, red))
    tables = _tables()
    out = np.empty((side_px, side_px, 3), np.uint8)
    green = (tables[1][blue] + tables[2][red]) >> 16
    for index, chroma in enumerate((tables[0][red], green, tables[3][blue])):
        np.clip(luma + chroma, 0, 255, out=out[..., index], casting="unsafe")
    return out


def _upsample(part: Plane, side_px: int) -> Plane:
    """Return a component with its samples repeated to the tile's size."""
    height_px, width_px = part.shape
    down, across = (-(-side_px // side) if side else 0 for side in (height_px, width_px))
    if not 1 <= down <= 2 or not 1 <= across <= 2:
        raise CorruptTileError("the tile's components have impossible sizes")
    if down == 2:
        part = part.repeat(2, axis=0)
    if across == 2:
        part = part.repeat(2, axis=1)
    return part[:side_px, :side_px]


@cache
def _tables() -> tuple[npt.NDArray[np.int32], ...]:
    """Return the tables that chroma adds: to red, twice to green with 16 fractional bits, and to blue."""
    centred = np.arange(256) - 128.0
    factors = 1.402 * centred, 65536 * (0.5 - 0.34414 * centred), -65536 * 0.71414 * centred, 1.772 * centred
    # C rounds halves away from zero.
    return tuple((np.sign(f) * np.floor(np.abs(f) + 0.5)).astype(np.int32) for f in factors)
