"""Pixels of Aperio's JPEG 2000 tiles, whole or by the codestream's own resolution levels.

Colour conversion is OpenSlide's, to the last bit (make-tables.c): full-range YCbCr, chroma samples repeated.
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
    """Give a stored tile and its header; raises CorruptTileError where it is not what the level promises."""
    data = level.codestream(col, row)
    return data, read_codestream(data, level.tile_size)


def planes(level: Jpeg2000Level, col: int, row: int, *, ycbcr: bool) -> Planes:
    """Give a tile's three components, in YCbCr or as the level says; where they are chroma they may be smaller."""
    data, header = codestream(level, col, row)
    if level.ycbcr or not ycbcr:
        return openjpeg.decode(data)
    if header.transformed:
        return openjpeg.decode(data, as_coded=True)
    pixels = rgb(level, openjpeg.decode(data), level.tile_size)
    return [np.asarray(band) for band in Image.fromarray(pixels).convert("YCbCr").split()]


def tile_pixels(level: Jpeg2000Level, col: int, row: int, shift: int) -> tuple[Pixels, int]:
    """Give a whole tile in RGB, padding included, and how many of ``shift`` halvings are left to averaging.

    The first is always the codestream's, the last of several never: averaging takes back half of what resolution
    levels are out of place.
    """
    data, header = codestream(level, col, row)
    reduce = min(max(shift - 1, 1), shift, header.decompositions)
    pixels = rgb(level, openjpeg.decode(data, reduce), shrunk(level.tile_size, reduce))
    return _centred(pixels, reduce), shift - reduce


def _centred(pixels: Pixels, reduce: int) -> Pixels:
    """Move a resolution level onto the places that box means have.

    The wavelet's samples lie on the first pixel of a block, not in its middle: at half size a quarter of a pixel off.
    """
    step = 1 << reduce
    here, there, unit = step + 1, step - 1, 2 * step  # the weights of a pixel and of the next: 3:1, 5:3
    for axis in range(2 if reduce else 0):
        wide = pixels.astype(np.int16).swapaxes(0, axis)
        further = np.concatenate((wide[1:], 2 * wide[-1:] - wide[-2:-1]))
        moved = (here * wide + there * further + step) // unit
        pixels = np.clip(moved, 0, 255).astype(np.uint8).swapaxes(0, axis)
    return pixels


def rgb(level: Jpeg2000Level, parts: Planes, side_px: int) -> Pixels:
    """Make RGB of a square tile's components; raises CorruptTileError where they do not fit."""
    light, blue, red = (_spread(part, side_px) for part in parts)
    if not level.ycbcr:
        return np.dstack((light, blue, red))
    tables = _tables()
    out = np.empty((side_px, side_px, 3), np.uint8)
    green = (tables[1][blue] + tables[2][red]) >> 16
    for index, chroma in enumerate((tables[0][red], green, tables[3][blue])):
        np.clip(light + chroma, 0, 255, out=out[..., index], casting="unsafe")
    return out


def _spread(part: Plane, side_px: int) -> Plane:
    """Repeat samples until a component is as large as the tile."""
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
    """Give what red and blue chroma add: to red, two parts of 16 more bits to green, to blue."""
    centred = np.arange(256) - 128.0
    factors = 1.402 * centred, 65536 * (0.5 - 0.34414 * centred), -65536 * 0.71414 * centred, 1.772 * centred
    # C rounds halves away from zero.
    return tuple((np.sign(f) * np.floor(np.abs(f) + 0.5)).astype(np.int32) for f in factors)
