"""Label, thumbnail and macro: read from a slide's file, or rendered from its pixels, and encoded."""

import io
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from PIL import Image

from vsv.errors import CorruptTileError, UnreadableSlideError
from vsv.rendering.regions import region
from vsv.slides.confirmed_images import confirm_images
from vsv.slides.confirmed_pages import open_confirmed
from vsv.slides.damage import Damage
from vsv.slides.readers import reader_of
from vsv.slides.slide import Slide

THUMBNAIL_SIDE_PX = 1024
_QUALITY = 90


def read_associated(path: Path, slide: Slide | None = None) -> dict[str, Image.Image]:
    """Return the slide's associated images, by what they show, as RGB; damaged images are left out.

    ``slide`` is the slide of this file, opened here unless it is given.
    """
    if slide is None:
        with suppress(UnreadableSlideError):  # damaged: its images cannot be compared
            slide = open_confirmed(path)
    refused = frozenset[int]() if slide is None else slide.refused
    return confirm_images(reader_of(path, strict=False, refused=refused).associated_images(), slide)


def make_thumbnail(slide: Slide) -> Image.Image:
    """Return a thumbnail of at most ``THUMBNAIL_SIDE_PX``, rendered from the slide's pixels; white where damaged."""
    slide = replace(slide, damage=Damage(for_rendering=True))
    level_dz = min(slide.max_level, THUMBNAIL_SIDE_PX.bit_length() - 1)
    width_px, height_px = slide.grid.level_size(level_dz)
    try:
        return Image.fromarray(region(slide, level_dz, (0, 0, width_px, height_px)))
    except CorruptTileError:
        return Image.new("RGB", (width_px, height_px), "white")


def encode(image: Image.Image) -> bytes:
    """Return an associated image encoded as JPEG."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY, subsampling=0)
    return out.getvalue()
