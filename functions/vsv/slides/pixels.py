"""Decoding, reducing and encoding of tiles. Pixels are (height, width, 3) RGB arrays of bytes."""

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from vsv.errors import CorruptTileError
from vsv.formats.tiff import PHOTOMETRIC_YCBCR
from vsv.slides.levels import Jpeg2000Level, JpegLevel, Level
from vsv.slides.slide import MAX_DCT_SHIFT, Slide

Pixels = npt.NDArray[np.uint8]

BACKGROUND = 255


@dataclass(frozen=True, slots=True)
class Coding:
    """How pixels are encoded: libjpeg's quality and chroma subsampling."""

    quality: int
    chroma: str


# Rendered levels hold pixels that are averages already: what dzsave and other viewers use, a little finer.
REDUCED = Coding(80, "420")
# Full resolution of slides that cannot be passed through (JPEG 2000): these pixels are the diagnosis.
FULL = Coding(90, "444")
# Cropped edge tiles, other cuts of stored tiles, and pixels in other colours are coded a second time: no visible
# second loss.
RECODED = Coding(99, "444")


def blank(width_px: int, height_px: int) -> Pixels:
    """Give a white picture."""
    return np.full((height_px, width_px, 3), BACKGROUND, np.uint8)


def tile_pixels(level: Level, col: int, row: int, shift: int = 0) -> Pixels:
    """Give a stored tile's pixels inside the level, halved ``shift`` times; sizes are rounded up.

    Reduction is libjpeg's DCT scaling, or JPEG 2000's resolution levels, inside the level and a box mean at its right
    and bottom edges, where the padding of the stored tile must not bleed in. Raises CorruptTileError.
    """
    size = level.tile_size
    width_px = min(size, level.width_px - col * size)
    height_px = min(size, level.height_px - row * size)
    whole = (width_px, height_px) == (size, size)
    if isinstance(level, Jpeg2000Level):
        from vsv.slides import jpeg2000_reader  # noqa: PLC0415  cold start: few slides are JPEG 2000

        pixels, left = jpeg2000_reader.tile_pixels(level, col, row, shift if whole else 0)
        return box_reduce(pixels, left) if whole else box_reduce(pixels[:height_px, :width_px], shift)
    data = level.jpeg(col, row)
    if whole:
        dct_shift = max(0, min(shift, MAX_DCT_SHIFT) - _halved_once(level, data))
        return box_reduce(decode(data, size >> dct_shift), shift - dct_shift)
    return box_reduce(decode(data, size)[:height_px, :width_px], shift)


def _halved_once(level: JpegLevel, data: bytes) -> bool:
    """Tell whether chroma is halved in one direction only (4:2:2).

    libjpeg then reduces it with the luma, and it ends up coarser than the reduced picture: one halving less is left
    to libjpeg. Chroma halved in both directions (4:2:0) it reduces one time less by itself.
    """
    if level.page.photometric != PHOTOMETRIC_YCBCR:
        return False
    try:
        chroma = simplejpeg.decode_jpeg_header(data, strict=False)[3]
    except ValueError:
        return False  # decoding will say what is wrong
    return chroma not in {"444", "420", "Gray"}


def decode(data: bytes, side_px: int) -> Pixels:
    """Decode a square JPEG at the scale that makes it ``side_px`` wide; raises CorruptTileError."""
    try:
        # Not strict: libjpeg's warnings (a stray byte before a marker, say) cost no pixels.
        pixels: Pixels = simplejpeg.decode_jpeg(data, min_height=side_px, min_width=side_px, strict=False)
    except ValueError as error:
        raise CorruptTileError("the tile's JPEG is damaged") from error
    if pixels.shape != (side_px, side_px, 3):
        raise CorruptTileError("the tile's JPEG has another size than the file says")
    return pixels


def box_reduce(pixels: Pixels, shift: int) -> Pixels:
    """Average blocks of 2^shift × 2^shift pixels; an incomplete block at a far edge is the mean of what it has."""
    if shift == 0:
        return pixels
    return np.asarray(Image.fromarray(pixels).reduce(1 << shift))


def extend(pixels: Pixels, width_px: int, height_px: int) -> Pixels:
    """Repeat the last column and row up to the size asked for."""
    missing = height_px - pixels.shape[0], width_px - pixels.shape[1]
    if missing == (0, 0):
        return pixels
    return np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")


def encode_jpeg(pixels: Pixels, coding: Coding) -> bytes:
    """Encode as baseline JPEG."""
    data: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), coding.quality, colorspace="RGB", colorsubsampling=coding.chroma
    )
    return data


def rendered_coding(slide: Slide, level_dz: int) -> Coding:
    """Give the coding of a level that the original cannot give verbatim.

    Fine as well for the small levels from which still smaller ones are rendered, so that losses do not add up.
    """
    is_near = any(0 < native - level_dz < MAX_DCT_SHIFT for native in (*slide.native, slide.max_level))
    return REDUCED if is_near else FULL


def encode_png(pixels: Pixels) -> bytes:
    """Encode without loss; the light compression of a picture made to be shown once."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()
