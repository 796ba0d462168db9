"""Decoding, reducing and encoding of tiles. Pixels are (height, width, 3) RGB arrays of bytes."""

import io
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from vsv import openslide_source
from vsv.deepzoom import shrunk
from vsv.errors import CorruptTileError
from vsv.levels import JpegLevel
from vsv.slide import MAX_DCT_SHIFT, Slide
from vsv.tiff import PHOTOMETRIC_YCBCR

Pixels = npt.NDArray[np.uint8]
log = logging.getLogger(__name__)

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
# Cropped edge tiles and other cuts of stored tiles are coded a second time: no visible second loss.
RECODED = Coding(99, "444")


def blank(width_px: int, height_px: int) -> Pixels:
    """Give a white picture."""
    return np.full((height_px, width_px, 3), BACKGROUND, np.uint8)


def tile_pixels(level: JpegLevel, col: int, row: int, shift: int = 0) -> Pixels:
    """Give a stored tile's pixels inside the level, halved ``shift`` times; sizes are rounded up.

    Reduction is libjpeg's DCT scaling inside the level and a box mean at its right and bottom edges, where the
    padding of the stored tile must not bleed in. Raises CorruptTileError.
    """
    size = level.tile_size
    width_px = min(size, level.width_px - col * size)
    height_px = min(size, level.height_px - row * size)
    data = level.jpeg(col, row)
    if (width_px, height_px) == (size, size):
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


def reduced_tile(level: JpegLevel, shift: int, col: int, row: int, width_px: int, height_px: int) -> Pixels:
    """Render one tile of the level that lies ``shift`` halvings above a stored one, from just the tiles below it.

    ``width_px`` and ``height_px`` are the tile's size on the Deep Zoom grid. A stored level that was rounded down
    is a pixel short at the right and bottom: its last pixels are repeated there. Damaged tiles become background.
    """
    last_col, last_row = (level.page.columns - 1) >> shift, (level.page.rows - 1) >> shift
    if col > last_col:  # a last column of tiles, a pixel wide, that the stored level was rounded down by
        beside = reduced_tile(level, shift, last_col, row, level.tile_size, height_px)
        return np.repeat(beside[:, -1:], width_px, axis=1)
    if row > last_row:
        above = reduced_tile(level, shift, col, last_row, width_px, level.tile_size)
        return np.repeat(above[-1:], height_px, axis=0)
    canvas = blank(width_px, height_px)
    side = level.tile_size >> shift
    covered_x = covered_y = 0
    for x, y, source_col, source_row in _sources(level, shift, col, row):
        part = _pixels_or_background(level, source_col, source_row, shift)
        left, top = x * side, y * side
        part = part[: height_px - top, : width_px - left]
        canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
        covered_x, covered_y = max(covered_x, left + part.shape[1]), max(covered_y, top + part.shape[0])
    return extend(canvas[:covered_y, :covered_x], width_px, height_px)


def _sources(level: JpegLevel, shift: int, col: int, row: int) -> Iterator[tuple[int, int, int, int]]:
    """Give (x, y, column, row) of the stored tiles under a reduced tile; x and y count tiles from its corner."""
    step = 1 << shift
    for y in range(min(step, level.page.rows - row * step)):
        for x in range(min(step, level.page.columns - col * step)):
            yield x, y, col * step + x, row * step + y


def _pixels_or_background(level: JpegLevel, col: int, row: int, shift: int) -> Pixels:
    try:
        return tile_pixels(level, col, row, shift)
    except CorruptTileError as error:
        log.warning("background for tile %d,%d of a %d px wide level: %s", col, row, level.width_px, error)
        side = shrunk(level.tile_size, shift)
        return blank(side, side)


def level_tile(slide: Slide, level_dz: int, col: int, row: int) -> Pixels:
    """Give the pixels of any tile on the slide's own grid, from the best source there is.

    Nothing here is remembered: what a tile costs is bounded by ``MAX_SOURCE_TILES`` and the thumbnail.
    """
    box = slide.grid.tile_box(level_dz, col, row)
    source_dz = slide.source_level(level_dz)
    total = slide.max_level - level_dz
    shift = openslide_source.halvings(slide.path, total) if source_dz is None else source_dz - level_dz
    if shift > MAX_DCT_SHIFT:
        return _far_reduced(slide, level_dz, box, shift)
    left, top, right, bottom = box
    if source_dz is None:
        try:
            return openslide_source.read_box(slide.path, total, left, top, right - left, bottom - top)
        except CorruptTileError as error:
            log.warning("background for tile %d/%d_%d: %s", level_dz, col, row, error)
            return blank(right - left, bottom - top)
    return reduced_tile(slide.levels[source_dz], shift, col, row, right - left, bottom - top)


def _far_reduced(slide: Slide, level_dz: int, box: tuple[int, int, int, int], shift: int) -> Pixels:
    """Render a box far above its source: from the thumbnail if that is dear, else by way of a nearer level."""
    if slide.is_dear(level_dz, shift) and (part := _from_thumbnail(slide, level_dz, box)) is not None:
        return part
    nearer_dz = level_dz + MAX_DCT_SHIFT
    width_px, height_px = slide.grid.level_size(nearer_dz)
    left, top, right, bottom = (edge << MAX_DCT_SHIFT for edge in box)
    finer = region(slide, nearer_dz, left, top, min(right, width_px), min(bottom, height_px))
    return box_reduce(finer, MAX_DCT_SHIFT)


def _from_thumbnail(slide: Slide, level_dz: int, box: tuple[int, int, int, int]) -> Pixels | None:
    """Enlarge or reduce a part of the thumbnail; None where there is none, or none that can be read."""
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


def region(slide: Slide, level_dz: int, left: int, top: int, right: int, bottom: int) -> Pixels:
    """Give a box of a level, in its own pixels, composed of the tiles that it touches."""
    size = slide.grid.tile_size
    out = np.empty((bottom - top, right - left, 3), np.uint8)
    for row in range(top // size, -(-bottom // size)):
        for col in range(left // size, -(-right // size)):
            tile = level_tile(slide, level_dz, col, row)
            x0, y0 = max(left, col * size), max(top, row * size)
            x1, y1 = min(right, col * size + tile.shape[1]), min(bottom, row * size + tile.shape[0])
            part = tile[y0 - row * size : y1 - row * size, x0 - col * size : x1 - col * size]
            out[y0 - top : y1 - top, x0 - left : x1 - left] = part
    return out


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
