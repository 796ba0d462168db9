"""Pixels of slides that cannot be passed through: JPEG 2000 and every other format that OpenSlide opens."""

import math
from collections import OrderedDict
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt
from openslide import PROPERTY_NAME_BACKGROUND_COLOR, OpenSlide, OpenSlideError
from PIL import Image

from vsv.errors import CorruptTileError, UnavailableError, UnreadableSlideError

Pixels = npt.NDArray[np.uint8]

# Each open slide holds file handles and OpenSlide's own tile cache.
MAX_OPEN = 8
# Level ratios are slightly off (4.0003): a level that close is the right one, not the next finer.
LEVEL_SLACK = 1.01
_open: OrderedDict[tuple[Path, int], OpenSlide] = OrderedDict()
_lock = Lock()


def opened(path: Path) -> OpenSlide:
    """Open a slide, or give the one already open; raises UnreadableSlideError."""
    try:
        key = (path, path.stat().st_mtime_ns)
    except OSError as error:
        raise UnavailableError("the slide's file cannot be opened now") from error
    with _lock:
        slide = _open.pop(key, None) or _open_anew(path)
        _open[key] = slide
        while len(_open) > MAX_OPEN:
            # Not closed here: another thread may be reading it, and the last reference closes it.
            _open.popitem(last=False)
    return slide


def _open_anew(path: Path) -> OpenSlide:
    try:
        return OpenSlide(path)
    except OpenSlideError as error:
        raise UnreadableSlideError("no slide reader can open this file") from error


def dimensions(path: Path) -> tuple[int, int, int | None]:
    """Give full width and height in pixels and the tile size, None where tiles are not square."""
    slide = opened(path)
    width_px, height_px = slide.dimensions
    tile_width = int(slide.properties.get("openslide.level[0].tile-width", 0))
    tile_height = int(slide.properties.get("openslide.level[0].tile-height", 0))
    usable = tile_width == tile_height and tile_width % 16 == 0 and 128 <= tile_width <= 1024
    return width_px, height_px, tile_width if usable else None


def halvings(path: Path, shift: int) -> int:
    """Tell how many halvings lie between the level that OpenSlide would read and the one wanted."""
    slide = opened(path)
    source = slide.get_best_level_for_downsample((1 << shift) * LEVEL_SLACK)
    return max(0, round(math.log2((1 << shift) / slide.level_downsamples[source])))


def read_box(path: Path, shift: int, left: int, top: int, width_px: int, height_px: int) -> Pixels:
    """Read a box of the level that is full resolution halved ``shift`` times, in that level's pixels.

    Gives (height, width, 3) RGB over the slide's background; read from OpenSlide's nearest finer level and
    box-averaged. Raises CorruptTileError where OpenSlide cannot read these tiles.
    """
    slide = opened(path)
    source = slide.get_best_level_for_downsample((1 << shift) * LEVEL_SLACK)
    scale = (1 << shift) / slide.level_downsamples[source]
    size = (max(1, round(width_px * scale)), max(1, round(height_px * scale)))
    try:
        image = slide.read_region((left << shift, top << shift), source, size)
    except OpenSlideError as error:
        # OpenSlide refuses all later reads of a slide object that has met an error.
        _forget(path)
        raise CorruptTileError("OpenSlide cannot read this part of the slide") from error
    flat = _over_background(image, slide.properties.get(PROPERTY_NAME_BACKGROUND_COLOR, "FFFFFF"))
    if flat.size != (width_px, height_px):
        flat = flat.resize((width_px, height_px), Image.Resampling.BOX)
    return np.asarray(flat)


def _over_background(image: Image.Image, color: str) -> Image.Image:
    flat = Image.new("RGB", image.size, f"#{color}")
    flat.paste(image, mask=image.getchannel("A"))
    return flat


def _forget(path: Path) -> None:
    with _lock:
        for key in [key for key in _open if key[0] == path]:
            del _open[key]
