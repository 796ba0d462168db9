"""Reader of all other slides that OpenSlide opens: their tiles are neither passed through nor decoded directly."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from openslide import PROPERTY_NAME_BACKGROUND_COLOR, OpenSlide, OpenSlideError
from PIL import Image
from PIL.ImageCms import PyCMSError

from vsv.errors import CorruptTileError, UnreadableSlideError
from vsv.formats.aperio_description import positive_number
from vsv.formats.tiff import Page
from vsv.slides.associated_images import openslide_images
from vsv.slides.deepzoom_grid import DEFAULT_TILE_SIZE, Grid
from vsv.slides.levels import Level
from vsv.slides.openslide_handles import open_shared, read_with_retry
from vsv.slides.properties import Scan, compression_name, magnification, with_description
from vsv.slides.reader import Box

Pixels = npt.NDArray[np.uint8]

# Level ratios are slightly off (4.0003): a level within this factor is the right one, not the next finer level.
LEVEL_SLACK = 1.01
PROPERTY_NAME_ICC_SIZE = "openslide.icc-size"
DESCRIPTIONS = ("openslide.comment", "tiff.ImageDescription")  # both hold the first page's description
MAX_PROPERTIES, MAX_KEY, MAX_VALUE = 200, 100, 2000


@dataclass(frozen=True, eq=False)
class OpenSlideReader:
    """A slide that OpenSlide opens; ``page`` is its first page where the file is a TIFF.

    ``refused`` are OpenSlide's levels that are not read, because they show something else.
    """

    path: Path
    page: Page | None = None
    may_have_profile: bool = True
    refused: frozenset[int] = frozenset()

    def grid(self) -> Grid:
        """Return a grid of the full size, with OpenSlide's tile size if square; raise UnreadableSlideError."""
        width_px, height_px, tile_size = dimensions(self.path)
        return Grid(width_px, height_px, tile_size or DEFAULT_TILE_SIZE)

    def levels(self, grid: Grid) -> Mapping[int, Level]:
        """Return no level: tiles of other vendors may overlap or be positioned by other tags."""
        del grid
        return {}

    def halvings(self, shift: int) -> int:
        """Return the number of halvings between the level that OpenSlide would read and the requested level."""
        return halvings(self.path, shift, self.refused)

    def region(self, shift: int, box: Box) -> Pixels:
        """Return the pixels of a box over the slide's background; raise CorruptTileError where OpenSlide fails."""
        left, top, right, bottom = box
        return read_box(self.path, shift, left, top, right - left, bottom - top, self.refused)

    def associated_images(self) -> dict[str, Image.Image]:
        """Return the label, thumbnail and macro that OpenSlide finds."""
        return openslide_images(self.path)

    def icc_profile(self, check_size: Callable[[int], object]) -> bytes | None:
        """Return the slide's ICC profile; raise ValueError where it is damaged or too large."""
        return read_profile(self.path, check_size)

    def properties(self) -> Scan:
        """Return the properties that OpenSlide reports; raise UnreadableSlideError where it cannot open the file."""
        slide = open_shared(self.path)
        width_px, height_px = slide.dimensions
        properties = dict(sorted(slide.properties.items())[:MAX_PROPERTIES])
        if self.page:  # OpenSlide expects UTF-8: bytes of another code page are lost
            lost = {name for name in DESCRIPTIONS if "\ufffd" in properties.get(name, "")}
            properties |= dict.fromkeys(lost, self.page.description)
        scan = Scan(
            width_px=width_px,
            height_px=height_px,
            tile_size=self.page.tile_width_px or None if self.page else None,
            compression=compression_name(self.page) if self.page else None,
            tags={key[:MAX_KEY]: value[:MAX_VALUE] for key, value in properties.items()},
            image_id=None,
            time=None,
            app_mag=magnification(properties.get("openslide.objective-power")),
            mpp=positive_number(properties.get("openslide.mpp-x")),
            scanner_id=None,
        )
        return with_description(scan, self.page.description) if self.page else scan

    def check(self) -> tuple[int, int]:
        """Return width and height; raise UnreadableSlideError where OpenSlide cannot open the file."""
        try:
            return open_shared(self.path).dimensions
        except UnreadableSlideError as error:
            raise UnreadableSlideError(
                "the file is not a slide that can be shown: scan the slide again"
            ) from error


def read_profile(path: Path, check_size: Callable[[int], object]) -> bytes | None:
    """Return the slide's ICC profile after ``check_size`` of its size; raise ValueError where it is damaged."""
    slide = open_shared(path)
    check_size(int(slide.properties.get(PROPERTY_NAME_ICC_SIZE, 0)))
    try:
        profile = slide.color_profile
    except PyCMSError as error:
        raise ValueError("the slide's ICC profile is damaged") from error
    return None if profile is None else profile.tobytes()


def dimensions(path: Path) -> tuple[int, int, int | None]:
    """Return full width and height in pixels and the tile size, None where tiles are not square."""
    slide = open_shared(path)
    width_px, height_px = slide.dimensions
    tile_width = int(slide.properties.get("openslide.level[0].tile-width", 0))
    tile_height = int(slide.properties.get("openslide.level[0].tile-height", 0))
    usable = tile_width == tile_height and tile_width % 16 == 0 and 128 <= tile_width <= 1024
    return width_px, height_px, tile_width if usable else None


def halvings(path: Path, shift: int, refused: frozenset[int] = frozenset()) -> int:
    """Return the number of halvings between the level that OpenSlide would read and the requested level."""
    source = read_with_retry(path, lambda slide: _Source.of(slide, shift, refused))
    return max(0, round(math.log2(source.scale)))


@dataclass(frozen=True, slots=True)
class _Source:
    """OpenSlide's nearest finer level: ``scale`` times the requested size, ``downsample`` times smaller than full."""

    level: int
    size: tuple[int, int]
    downsample: float
    scale: float

    @classmethod
    def of(cls, slide: OpenSlide, shift: int, refused: frozenset[int]) -> "_Source":
        level = slide.get_best_level_for_downsample((1 << shift) * LEVEL_SLACK)
        while level > 0 and level in refused:
            level -= 1
        downsample = slide.level_downsamples[level]
        halved = 1 << round(math.log2(downsample))
        # 4.0003 is meant to be 4: pixels are used one to one, not resampled by a tiny factor.
        nominal = halved if 1 / LEVEL_SLACK < downsample / halved < LEVEL_SLACK else downsample
        return cls(level, slide.level_dimensions[level], downsample, (1 << shift) / nominal)


def read_box(  # noqa: PLR0913
    path: Path,
    shift: int,
    left: int,
    top: int,
    width_px: int,
    height_px: int,
    refused: frozenset[int] = frozenset(),
) -> Pixels:
    """Read a box of the level that is full resolution halved ``shift`` times, in that level's pixels.

    Return (height, width, 3) RGB over the slide's background, from OpenSlide's nearest finer level, box-averaged.
    Raise CorruptTileError where OpenSlide cannot read these tiles.
    """
    corner, size = (left, top), (width_px, height_px)
    try:
        return np.asarray(
            read_with_retry(path, lambda slide: _read(slide, _Source.of(slide, shift, refused), corner, size))
        )
    except OpenSlideError as error:
        raise CorruptTileError("OpenSlide cannot read this part of the slide") from error


def _read(slide: OpenSlide, source: _Source, corner: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    whole_width, whole_height = (max(1, round(side * source.scale)) for side in size)
    left, width = _clip_to_level(corner[0] * source.scale, whole_width, source.size[0])
    top, height = _clip_to_level(corner[1] * source.scale, whole_height, source.size[1])
    place = round(left * source.downsample), round(top * source.downsample)
    image = slide.read_region(place, source.level, (width, height))
    flat = over_background(image, background_color(slide))
    if (width, height) != (whole_width, whole_height):
        missing = (0, whole_height - height), (0, whole_width - width), (0, 0)
        flat = Image.fromarray(np.pad(np.asarray(flat), missing, mode="edge"))
    return flat if flat.size == size else flat.resize(size, Image.Resampling.BOX)


def _clip_to_level(start: float, wanted: int, level_side: int) -> tuple[int, int]:
    """Return start and length within a level, which may be a pixel shorter than its Deep Zoom level."""
    first = min(round(start), level_side - 1)
    return first, min(wanted, level_side - first)


def background_color(slide: OpenSlide) -> str:
    """Return the colour of a slide's background, such as ``FFFFFF``."""
    return slide.properties.get(PROPERTY_NAME_BACKGROUND_COLOR, "FFFFFF")


def over_background(image: Image.Image, color: str) -> Image.Image:
    """Return an image without transparency, over a background of a colour such as ``FFFFFF``."""
    opaque = Image.new("RGB", image.size, f"#{color}")
    opaque.paste(image, mask=image.getchannel("A"))
    return opaque
