"""Pixels of the screen and of the slide, to be compared."""

import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import openslide
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator

Pixels = NDArray[np.uint8]


def middle(shown: Locator, width_px: int, height_px: int) -> Pixels:
    """Return a screenshot of the middle of an element."""
    box = shown.bounding_box()
    assert box is not None
    left = box["x"] + box["width"] / 2 - width_px / 2
    top = box["y"] + box["height"] / 2 - height_px / 2
    # The browser places the clip on whole pixels of the screen.
    clip = {"x": round(left), "y": round(top), "width": width_px, "height": height_px}
    return decoded(shown.page.screenshot(clip=clip))


def decoded(png: bytes) -> Pixels:
    return np.asarray(Image.open(BytesIO(png)).convert("RGB"))


def reduced(seen: Pixels, times: int) -> Pixels:
    """Return one pixel, the middle one, of each square that a pixel of the slide is enlarged to.

    OpenSeadragon's canvas stretches tiles by a pixel of the screen, so that no gaps are seen between
    them: at full resolution that blurs, but in an enlarged picture the middles stay unchanged.
    """
    return seen[times // 2 :: times, times // 2 :: times]


def stored(path: Path, x: float, y: float, width_px: int, height_px: int) -> Pixels:
    """Return the slide's own pixels around a point."""
    with openslide.OpenSlide(path) as slide:
        corner = round(x - width_px / 2), round(y - height_px / 2)
        return np.asarray(slide.read_region(corner, 0, (width_px, height_px)).convert("RGB"))


def difference(a: Pixels, b: Pixels) -> float:
    return float(np.abs(a.astype(np.int16) - b.astype(np.int16)).mean())


def settled(see: Callable[[], Pixels], wanted: Pixels, near: float = 1) -> float:
    """Return how far the screen differs from the expected pixels, once that is little or 10 s have passed."""
    deadline = time.monotonic() + 10
    while (off := difference(see(), wanted)) > near and time.monotonic() < deadline:
        pass  # taking a screenshot takes long enough
    return off
