"""Slides and tiles as tests read them: with OpenSlide and Pillow, and with the code under test."""

import io
from pathlib import Path

import numpy as np
import openslide
from PIL import Image
from vsv.rendering.tiles import OWN_TILING, Tiling, render_tile
from vsv.slides.slide import Slide, open_slide

from tests.support.slides.aperio import Pixels


def opened(path: Path, pyramid: Path | None = None, thumbnail: Path | None = None) -> Slide:
    """Open a slide; without a pyramid and a thumbnail unless they are given."""
    return open_slide(path, pyramid or path.with_name("none.tif"), thumbnail or path.with_name("none.jpeg"))


def decoded(data: bytes) -> Pixels:
    """Decode an image as a browser does."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def tile(
    slide: Slide, level_dz: int, col: int, row: int, fmt: str = "jpeg", tiling: Tiling = OWN_TILING
) -> Pixels:
    """Render a tile and decode it."""
    return decoded(render_tile(slide, level_dz, col, row, fmt, tiling))


def stored_level(path: Path, level: int) -> Pixels:
    """Return all pixels of one of OpenSlide's levels."""
    with openslide.OpenSlide(path) as slide:
        width_px, height_px = slide.level_dimensions[level]
        image = slide.read_region((0, 0), level, (width_px, height_px))
    assert image.getextrema()[3] == (255, 255)
    return np.asarray(image.convert("RGB"))


def whole_level(slide: Slide, level_dz: int, fmt: str = "png", tiling: Tiling = OWN_TILING) -> Pixels:
    """Return a level's pixels, assembled from its tiles without overlap."""
    grid = tiling.grid(slide)
    columns, rows = grid.tile_counts(level_dz)
    return np.vstack(
        [
            np.hstack([tile(slide, level_dz, col, row, fmt, tiling) for col in range(columns)])
            for row in range(rows)
        ]
    )


def box_mean(pixels: Pixels, shift: int) -> Pixels:
    """Halve ``shift`` times at once; an incomplete block at the right or bottom is the mean of its pixels."""
    step = 1 << shift
    height, width = pixels.shape[:2]
    down, across = np.arange(0, height, step), np.arange(0, width, step)
    total = np.add.reduceat(np.add.reduceat(pixels.astype(float), down, axis=0), across, axis=1)
    count = np.minimum(step, height - down)[:, None] * np.minimum(step, width - across)
    return np.round(total / count[..., None]).astype(np.uint8)


def grey_levels_apart(one: Pixels, other: Pixels) -> float:
    """Return the mean absolute difference."""
    assert one.shape == other.shape
    return float(np.abs(one.astype(float) - other).mean())


def decibels(one: Pixels, other: Pixels) -> float:
    """Return the peak signal-to-noise ratio."""
    assert one.shape == other.shape
    error = float(((one.astype(float) - other) ** 2).mean())
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))
