"""Slides that are unusual but legal: focal planes, tiled thumbnails, rare codings. Written with tifffile alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tifffile

from tests.support.slides.aperio import (
    LIBRARY,
    TAGS,
    Pixels,
    Plan,
    _write_level,
    _write_strips,
    floor_reduced,
    label_image,
    macro_image,
    texture,
    thumbnail_image,
)

SIZE = 1003, 717
PLAN = Plan(*SIZE, tile=240, chroma="rgb")


@dataclass(frozen=True)
class Page:
    """A tiled page: what it shows at which reduction, and what its description says besides."""

    pixels: Pixels
    downsample: int = 1
    text: str = ""


def plane(number: int) -> Pixels:
    """Paint what a focal plane shows: unlike every other plane."""
    return texture(*SIZE, seed=20 + number)


def in_focus_order(depths: Sequence[float | None], downsamples: Sequence[int] = (1, 4)) -> list[Page]:
    """Return the pages of focal planes, each plane's levels together, as ImageScope writes them."""
    return [
        Page(plane(i), downsample, "" if z is None else f"|OffsetZ = {z}")
        for i, z in enumerate(depths)
        for downsample in downsamples
    ]


def write_pages(path: Path, pages: Sequence[Page], plan: Plan = PLAN) -> Path:
    """Write a slide of these tiled pages: full resolution, a thumbnail in strips, the others, label and macro."""
    with tifffile.TiffWriter(path, bigtiff=plan.bigtiff) as tiff:
        for index, page in enumerate(pages):
            description = (
                f"{LIBRARY}{SIZE[0]}x{SIZE[1]} (240x240) JPEG/RGB Q=70{TAGS}" if index == 0 else LIBRARY
            )
            _write_level(tiff, plan, floor_reduced(page.pixels, page.downsample), description + page.text)
            if index == 0 and plan.thumbnail:
                _write_strips(tiff, thumbnail_image(page.pixels), f"{LIBRARY}thumbnail", 0)
        _write_strips(tiff, label_image(), f"{LIBRARY}label 120x150", 1)
        _write_strips(tiff, macro_image(), f"{LIBRARY}macro 300x100", 9)
    return path
