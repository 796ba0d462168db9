"""Encoding of pixels, (height, width, 3) RGB arrays of bytes, as JPEG and PNG."""

import io
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image

from vsv.slides.levels import MAX_DCT_SHIFT
from vsv.slides.pixels import Pixels
from vsv.slides.slide import Slide


@dataclass(frozen=True, slots=True)
class Coding:
    """Parameters of a JPEG encoding: libjpeg's quality and chroma subsampling."""

    quality: int
    chroma: str


# Rendered levels hold pixels that are averages already: the quality of dzsave and other viewers, a little finer.
REDUCED = Coding(80, "420")
# Full resolution of slides that cannot be passed through (JPEG 2000): these pixels are the diagnosis.
FULL = Coding(90, "444")
# Cropped edge tiles, regions across stored tiles, and colour-converted pixels are encoded a second time: that adds
# no visible loss.
RECODED = Coding(99, "444")


def encode_jpeg(pixels: Pixels, coding: Coding) -> bytes:
    """Return pixels encoded as baseline JPEG."""
    data: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), coding.quality, colorspace="RGB", colorsubsampling=coding.chroma
    )
    return data


def rendered_coding(slide: Slide, level_dz: int) -> Coding:
    """Return the coding of a level that the original does not hold verbatim.

    The coding is fine as well for small levels from which smaller levels are rendered, so that losses do not add up;
    and for channels, whose pure colours would lose their detail with the chroma.
    """
    is_near = any(0 < native - level_dz < MAX_DCT_SHIFT for native in (*slide.native, slide.max_level))
    return REDUCED if is_near and not slide.has_channels else FULL


def encode_png(pixels: Pixels) -> bytes:
    """Return pixels encoded as PNG, lightly compressed, because such a picture is made to be shown once."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()
