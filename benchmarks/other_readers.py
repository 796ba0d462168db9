"""What OpenSlide and tifffile show of a slide: the pixels of a box of full resolution, halved some times."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openslide
import tifffile
from PIL import Image

Pixels = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]

MAX_PIXELS = 64_000_000
_JPEG, _JPEG2000_YCBCR = 7, 33003
_GREY, _RGB, _YCBCR = 1, 2, 6


@dataclass(frozen=True)
class Other:
    """One picture of the slide by another reader; ``read`` returns a box, None for one that it cannot show.

    The box is counted in the pixels of full resolution halved ``shift`` times.
    """

    name: str
    read: Callable[[int, Box], Pixels | None]


def others(path: Path, size: tuple[int, int]) -> list[Other]:
    """Return the pictures of this size that the other readers find in a file.

    None of a TIFF of other than 8 bits: each program chooses how to show its range.
    """
    with suppress(Exception), tifffile.TiffFile(path) as file:
        if file.pages.first.dtype != np.uint8:
            return []
    return [*_of_openslide(path, size), *_of_tifffile(path, size)]


def _of_openslide(path: Path, size: tuple[int, int]) -> Iterator[Other]:
    with suppress(openslide.OpenSlideError):
        slide = openslide.OpenSlide(path)
        if slide.dimensions == size:
            yield Other("OpenSlide", lambda shift, box: _openslide_box(slide, shift, box))


def _openslide_box(slide: openslide.OpenSlide, shift: int, box: Box) -> Pixels | None:
    """Return a box from OpenSlide's nearest finer level; None after any error, which ends its slide object."""
    left, top, right, bottom = box
    try:
        level = slide.get_best_level_for_downsample((1 << shift) * 1.01)
        scale = (1 << shift) / slide.level_downsamples[level]
        # A level may be a pixel shorter than the box: its last pixels are repeated.
        level_px = slide.level_dimensions[level]
        place = min(round(left * scale), level_px[0] - 1), min(round(top * scale), level_px[1] - 1)
        whole = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
        inside = min(whole[0], level_px[0] - place[0]), min(whole[1], level_px[1] - place[1])
        if inside[0] * inside[1] > MAX_PIXELS:
            return None
        corner = (
            round(place[0] * slide.level_downsamples[level]),
            round(place[1] * slide.level_downsamples[level]),
        )
        image = slide.read_region(corner, level, inside)
        flat = Image.new("RGB", inside, f"#{slide.properties.get('openslide.background-color', 'FFFFFF')}")
    except openslide.OpenSlideError:
        return None
    flat.paste(image, mask=image.getchannel("A"))
    missing = (0, whole[1] - inside[1]), (0, whole[0] - inside[0]), (0, 0)
    padded = Image.fromarray(np.pad(np.asarray(flat), missing, mode="edge"))
    return np.asarray(padded.resize((right - left, bottom - top), Image.Resampling.BOX))


def _of_tifffile(path: Path, size: tuple[int, int]) -> Iterator[Other]:
    """Yield each page of the slide's size, which may be focal planes, whose pixels are 8 bits in RGB or grey.

    tifffile returns Aperio's YCbCr JPEG 2000 (33003) as it is coded.
    """
    with suppress(Exception), tifffile.TiffFile(path) as file:
        for page in file.pages:
            is_rgb = page.photometric in {_GREY, _RGB} and page.compression != _JPEG2000_YCBCR
            is_plain = is_rgb or (page.compression, page.photometric) == (_JPEG, _YCBCR)
            same = (page.imagewidth, page.imagelength) == size and page.dtype == np.uint8
            if is_plain and same and size[0] * size[1] <= MAX_PIXELS:
                yield _tifffile_page(page.index, page.asarray())


def _tifffile_page(index: int, whole: Pixels) -> Other:
    pixels = np.moveaxis(whole, 0, -1) if whole.ndim == 3 and whole.shape[0] in {3, 4} else whole
    colours = (
        pixels[..., :3] if pixels.ndim == 3 and pixels.shape[-1] >= 3 else np.dstack([np.squeeze(pixels)] * 3)
    )
    image = Image.fromarray(np.ascontiguousarray(colours))

    def read(shift: int, box: Box) -> Pixels | None:
        left, top, right, bottom = box
        place = (
            left << shift,
            top << shift,
            min(right << shift, image.width),
            min(bottom << shift, image.height),
        )
        part = image.crop(place)
        return np.asarray(part.resize((right - left, bottom - top), Image.Resampling.BOX))

    return Other(f"tifffile, page {index}", read)
