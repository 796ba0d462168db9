"""Reduction of stored tiles' pixels. Pixels are (height, width, 3) RGB arrays of bytes."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from vsv.slides.levels import Level

Pixels = npt.NDArray[np.uint8]

BACKGROUND = 255


def blank(width_px: int, height_px: int) -> Pixels:
    """Return a white picture."""
    return np.full((height_px, width_px, 3), BACKGROUND, np.uint8)


def tile_pixels(level: Level, col: int, row: int, shift: int = 0, *, is_tolerant: bool = False) -> Pixels:
    """Return a stored tile's pixels within the level, halved ``shift`` times; sizes are rounded up.

    Reduction is libjpeg's DCT scaling, or JPEG 2000's resolution levels, inside the level, and a box mean at its
    right and bottom edges, where the padding of the stored tile must not affect pixels. Raise CorruptTileError;
    ``is_tolerant``: only where no pixels are decoded.
    """
    size = level.tile_size
    width_px = min(size, level.width_px - col * size)
    height_px = min(size, level.height_px - row * size)
    whole = (width_px, height_px) == (size, size)
    pixels, left = level.decoded(col, row, shift if whole else 0, is_tolerant=is_tolerant)
    return box_reduce(pixels, left) if whole else box_reduce(pixels[:height_px, :width_px], shift)


def box_reduce(pixels: Pixels, shift: int) -> Pixels:
    """Return the means of blocks of 2^shift × 2^shift pixels; a far edge's incomplete blocks have fewer pixels."""
    if shift == 0:
        return pixels
    return np.asarray(Image.fromarray(pixels).reduce(1 << shift))


def extend(pixels: Pixels, width_px: int, height_px: int) -> Pixels:
    """Return the pixels with the last column and row repeated up to the given size."""
    missing = height_px - pixels.shape[0], width_px - pixels.shape[1]
    if missing == (0, 0):
        return pixels
    return np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
