"""Pixels of stored JPEG tiles, at full size or reduced by libjpeg's DCT scaling.

libjpeg warns where coded pixels are damaged, and goes on with pixels of its own. Bytes between the scan's end and the
end marker cause such a warning too: they are harmless where they are padding of zeros or ones.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import simplejpeg

from vsv.errors import CorruptTileError
from vsv.formats.tiff import PHOTOMETRIC_YCBCR

if TYPE_CHECKING:  # levels imports this module where it decodes
    from vsv.slides.levels import JpegLevel

Pixels = npt.NDArray[np.uint8]

_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0xd9", re.ASCII)
_EOI = b"\xff\xd9"


def decoded(
    level: JpegLevel, place: tuple[int, int], shift: int, max_shift: int, *, is_tolerant: bool
) -> tuple[Pixels, int]:
    """Return a whole tile's pixels, halved as often as libjpeg does well, and the number of ``shift`` halvings left.

    ``place`` is column and row; ``max_shift`` is how often libjpeg halves at most; ``is_tolerant``: as ``decode`` has
    it.

    Raise CorruptTileError where the tile is damaged.
    """
    data = level.jpeg(*place)
    dct_shift = max(0, min(shift, max_shift) - _halved_once(level, data)) if shift else 0
    return decode(data, level.tile_size >> dct_shift, is_tolerant=is_tolerant), shift - dct_shift


def _halved_once(level: JpegLevel, data: bytes) -> bool:
    """Return whether chroma is halved in one direction only (4:2:2).

    libjpeg then reduces chroma like luma, so that chroma becomes coarser than the reduced picture: libjpeg is asked
    for one halving less. Chroma halved in both directions (4:2:0) is reduced one time less by libjpeg itself.
    """
    if level.page.photometric != PHOTOMETRIC_YCBCR:
        return False
    try:
        chroma = simplejpeg.decode_jpeg_header(data, strict=False)[3]
    except ValueError:
        return False  # decoding will raise the error
    return chroma not in {"444", "420", "Gray"}


def decode(data: bytes, side_px: int, *, is_tolerant: bool = False) -> Pixels:
    """Decode a square JPEG at the scale that makes it ``side_px`` wide; raise CorruptTileError if damaged.

    ``is_tolerant``: return what libjpeg makes of coded pixels that are damaged in part.
    """
    try:
        pixels = _decode(data, side_px, is_strict=not is_tolerant)
    except ValueError as error:
        if is_tolerant or not _is_padding(data, str(error)):
            raise CorruptTileError("the tile's JPEG is damaged") from error
        return decode(data, side_px, is_tolerant=True)
    if pixels.shape != (side_px, side_px, 3):
        raise CorruptTileError("the tile's JPEG has another size than the file says")
    return pixels


def _decode(data: bytes, side_px: int, *, is_strict: bool) -> Pixels:
    pixels: Pixels = simplejpeg.decode_jpeg(data, min_height=side_px, min_width=side_px, strict=is_strict)
    return pixels


def _is_padding(data: bytes, warning: str) -> bool:
    """Return whether libjpeg warns of padding behind the scan alone, which affects no pixel."""
    match, end = _EXTRANEOUS.search(warning), data.rfind(_EOI)
    count = int(match[1]) if match is not None else 0
    return 0 < count <= end and set(data[end - count : end]) <= {0, 0xFF}
