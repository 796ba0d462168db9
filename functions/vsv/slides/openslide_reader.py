"""Pixels of slides that cannot be passed through nor decoded here: every other format that OpenSlide opens."""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from openslide import PROPERTY_NAME_BACKGROUND_COLOR, OpenSlide, OpenSlideError
from PIL import Image
from PIL.ImageCms import PyCMSError

from vsv.errors import CorruptTileError, UnavailableError, UnreadableSlideError

Pixels = npt.NDArray[np.uint8]
Answer = TypeVar("Answer")

# Each open slide holds file handles and OpenSlide's own tile cache.
MAX_OPEN = 8
# Level ratios are slightly off (4.0003): a level that close is the right one, not the next finer.
LEVEL_SLACK = 1.01
PROPERTY_NAME_ICC_SIZE = "openslide.icc-size"
_open: OrderedDict[tuple[Path, int, int, int, int], OpenSlide] = OrderedDict()
_lock = Lock()


def opened(path: Path) -> OpenSlide:
    """Open a slide, or give the one already open; raises UnreadableSlideError."""
    try:
        found = path.stat()
    except OSError as error:
        raise UnavailableError("the slide's file cannot be opened now") from error
    # The next file of this name is another slide, even where it was given the same time.
    key = (path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
    with _lock:
        slide = _open.pop(key, None)
        if slide is None or not _usable(slide):
            slide = _open_anew(path)
        _open[key] = slide
        while len(_open) > MAX_OPEN:
            # Not closed here: another thread may be reading it, and the last reference closes it.
            _open.popitem(last=False)
    return slide


def _usable(slide: OpenSlide) -> bool:
    """Tell whether no read has failed: OpenSlide refuses everything to a slide object that has met an error."""
    try:
        return bool(slide.level_count)
    except OpenSlideError:
        return False


def _asked(path: Path, question: Callable[[OpenSlide], Answer]) -> Answer:
    """Ask the shared slide object, then, should that have met an error, perhaps another thread's, one of our own."""
    try:
        return question(opened(path))
    except OpenSlideError:
        with _open_anew(path) as own:
            return question(own)


def _open_anew(path: Path) -> OpenSlide:
    try:
        return OpenSlide(path)
    except OpenSlideError as error:
        raise UnreadableSlideError("no slide reader can open this file") from error


def is_known(path: Path) -> bool:
    """Tell whether the file looks like a slide of any format that OpenSlide reads."""
    return OpenSlide.detect_format(path) is not None


def read_profile(path: Path, check_size: Callable[[int], object]) -> bytes | None:
    """Give the slide's ICC profile, its size having been checked; raises ValueError where it is damaged."""
    slide = opened(path)
    check_size(int(slide.properties.get(PROPERTY_NAME_ICC_SIZE, 0)))
    try:
        found = slide.color_profile
    except PyCMSError as error:
        raise ValueError("the slide's ICC profile is damaged") from error
    return None if found is None else found.tobytes()


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
    source = _asked(path, lambda slide: _Source.of(slide, shift))
    return max(0, round(math.log2(source.scale)))


@dataclass(frozen=True, slots=True)
class _Source:
    """OpenSlide's nearest finer level: ``scale`` times larger than wanted, ``downsample`` times smaller than full."""

    level: int
    size: tuple[int, int]
    downsample: float
    scale: float

    @classmethod
    def of(cls, slide: OpenSlide, shift: int) -> "_Source":
        level = slide.get_best_level_for_downsample((1 << shift) * LEVEL_SLACK)
        downsample = slide.level_downsamples[level]
        halved = 1 << round(math.log2(downsample))
        # 4.0003 is meant to be 4: its pixels are taken one for one and not resampled by a trifle.
        nominal = halved if 1 / LEVEL_SLACK < downsample / halved < LEVEL_SLACK else downsample
        return cls(level, slide.level_dimensions[level], downsample, (1 << shift) / nominal)


def read_box(path: Path, shift: int, left: int, top: int, width_px: int, height_px: int) -> Pixels:
    """Read a box of the level that is full resolution halved ``shift`` times, in that level's pixels.

    Gives (height, width, 3) RGB over the slide's background; read from OpenSlide's nearest finer level and
    box-averaged. Raises CorruptTileError where OpenSlide cannot read these tiles.
    """
    corner, size = (left, top), (width_px, height_px)
    try:
        return np.asarray(_asked(path, lambda slide: _read(slide, shift, corner, size)))
    except OpenSlideError as error:
        raise CorruptTileError("OpenSlide cannot read this part of the slide") from error


def _read(slide: OpenSlide, shift: int, corner: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    source = _Source.of(slide, shift)
    whole_width, whole_height = (max(1, round(side * source.scale)) for side in size)
    left, width = _inside(corner[0] * source.scale, whole_width, source.size[0])
    top, height = _inside(corner[1] * source.scale, whole_height, source.size[1])
    place = round(left * source.downsample), round(top * source.downsample)
    image = slide.read_region(place, source.level, (width, height))
    flat = _over_background(image, slide.properties.get(PROPERTY_NAME_BACKGROUND_COLOR, "FFFFFF"))
    if (width, height) != (whole_width, whole_height):
        missing = (0, whole_height - height), (0, whole_width - width), (0, 0)
        flat = Image.fromarray(np.pad(np.asarray(flat), missing, mode="edge"))
    return flat if flat.size == size else flat.resize(size, Image.Resampling.BOX)


def _inside(start: float, wanted: int, level_side: int) -> tuple[int, int]:
    """Give start and length on a level, which may be a pixel shorter than its Deep Zoom level."""
    first = min(round(start), level_side - 1)
    return first, min(wanted, level_side - first)


def _over_background(image: Image.Image, color: str) -> Image.Image:
    flat = Image.new("RGB", image.size, f"#{color}")
    flat.paste(image, mask=image.getchannel("A"))
    return flat
