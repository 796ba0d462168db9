"""Read the parameters of OMERO's webgateway: ``tile``, ``region``, ``q``, ``format``, ``flip`` and the rest.

Written from the behaviour of OMERO.web 5.31 (omeroweb.webgateway) and the OMERO image region microservice. Where one
of them accepts a malformed value and the other refuses it, the value is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from vsv.errors import InvalidQueryError, TileNotFoundError
from vsv.rendering.channels import PRIMARIES, Channel, Rendering
from vsv.rendering.image_request import View
from vsv.slides.deepzoom_grid import Grid

from serve_image.omero.channels import rendering

MAX_TEXT = {"c": 2000, "maps": 8000, "id": 1000}
MAX_OTHER_TEXT = 200
# As OMERO's omero.pixeldata.max_tile_length: larger tiles are cut to this size.
MAX_TILE_PX = 1024
# The default JPEG quality, of 100; a stored tile is at least as good as any copy of it.
QUALITY = 90
FORMATS = {"jpeg": "jpg", "png": "png", "tif": "tif"}

_INTEGER = r"-?\d{1,9}"
_TILE = re.compile(rf"({_INTEGER}),({_INTEGER}),({_INTEGER})(?:,({_INTEGER}),({_INTEGER}))?\Z", re.ASCII)
_REGION = re.compile(rf"({_INTEGER}),({_INTEGER}),({_INTEGER}),({_INTEGER})\Z", re.ASCII)
_QUALITY = re.compile(r"(?:\d{1,3}(?:\.\d{0,17})?|\.\d{1,17})\Z", re.ASCII)
_FLIP = re.compile(r"[hv]{0,2}\Z", re.IGNORECASE | re.ASCII)
_PROJECTION = re.compile(r"(?:normal|intmax|intmean|intsum)(?:\|(?:\d{1,9}:\d{1,9})?)?\Z", re.ASCII)
_WHOLE = re.compile(r"\d{1,9}\Z", re.ASCII)

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """The requested image: pixels of one level, with settings as ``Rendering.normal`` returns them.

    ``tile`` is the Deep Zoom tile that has exactly these pixels, if there is one.
    """

    level_dz: int
    view: View
    rendering: Rendering
    fmt: str
    quality: int
    tile: tuple[int, int, int] | None = None

    @property
    def is_stored(self) -> bool:
        """Whether one of the slide's stored tiles is the answer without any change."""
        natural = self.rendering.is_identity
        return self.tile is not None and natural and self.fmt == "jpg" and self.quality >= QUALITY

    @property
    def canonical(self) -> str:
        """The request as text: equal texts mean equal images."""
        if self.is_stored:
            return f"stored {self.tile}"
        quality = self.quality if self.fmt == "jpg" else 0
        return f"{self.level_dz} {self.view} {self.rendering} {self.fmt} {quality}"


def text(query: Query, name: str) -> str | None:
    """Return a parameter of bounded length, None where it is missing; raises InvalidQueryError."""
    value = query.get(name)
    max_length = MAX_TEXT.get(name, MAX_OTHER_TEXT)
    if value is not None and len(value) > max_length:
        raise InvalidQueryError(f"{name} may have at most {max_length} characters")
    return value


def whole_number(query: Query, name: str, default: int) -> int:
    """Return a parameter as a whole number; raises InvalidQueryError."""
    value = text(query, name)
    if value is None:
        return default
    if not _WHOLE.match(value):
        raise InvalidQueryError(f"{name} must be a whole number")
    return int(value)


def read_region_query(
    query: Query, grid: Grid, *, strict: bool, whole: bool, defaults: tuple[Channel, ...] = PRIMARIES
) -> ImageRequest:
    """Return the image that a region's address requests; ``defaults`` are the settings of the slide's channels.

    ``strict``: all settings must be present. ``whole``: without tile and region the image is the whole slide. Raises
    InvalidQueryError, UnsupportedError, TileNotFoundError for a region outside the slide, and TooLargeError.
    """
    settings = rendering(text(query, "c"), text(query, "m"), text(query, "maps"), strict, defaults)
    horizontal, vertical = flips(query)
    fmt, quality = _format(query), _quality(query)
    _check_ignored(query)
    tile, region = text(query, "tile"), text(query, "region")
    if tile:
        level_dz, box = _tile(tile, grid, horizontal, vertical)
    elif region:
        level_dz, box = grid.max_level, _region(region, grid, horizontal, vertical)
    elif whole and tile is None and region is None:
        level_dz, box = grid.max_level, (0, 0, grid.width_px, grid.height_px)
    else:
        raise InvalidQueryError("tile or region is required: tile=resolution,x,y or region=x,y,width,height")
    view = _view(grid, level_dz, box, horizontal, vertical)
    tile_dz = None if horizontal or vertical else _own_tile(grid, level_dz, box)
    return ImageRequest(level_dz, view, settings, fmt, quality, tile_dz)


def level_count(grid: Grid) -> int:
    """Return how many resolutions a slide has for OMERO's clients: down to the one that is a single tile."""
    shift = 0
    while max(grid.level_size(grid.max_level - shift)) > grid.tile_size:
        shift += 1
    return shift + 1


def _tile(value: str, grid: Grid, horizontal: bool, vertical: bool) -> tuple[int, tuple[int, int, int, int]]:
    match = _TILE.match(value)
    if match is None:
        raise InvalidQueryError("tile is resolution,x,y or resolution,x,y,width,height, in whole numbers")
    resolution, col, row = (int(part) for part in match.groups()[:3])
    count = level_count(grid)
    if not 0 <= resolution < count:
        raise InvalidQueryError(f"this slide has resolutions 0, the finest, to {count - 1}")
    # As in OMERO: a missing size, or one not above 0, is the slide's tile size; a size over the limit is the limit.
    width, height = (
        min(int(part or 0), MAX_TILE_PX) if int(part or 0) > 0 else grid.tile_size
        for part in match.groups()[3:]
    )
    level_dz = grid.max_level - resolution
    size = grid.level_size(level_dz)
    return level_dz, _cropped((col * width, row * height, width, height), size, horizontal, vertical)


def _region(value: str, grid: Grid, horizontal: bool, vertical: bool) -> tuple[int, int, int, int]:
    match = _REGION.match(value)
    if match is None:
        raise InvalidQueryError("region is x,y,width,height, in whole numbers of full-resolution pixels")
    left, top, width, height = map(int, match.groups())
    if width < 1 or height < 1:
        raise InvalidQueryError("a region is at least a pixel wide and high")
    return _cropped((left, top, width, height), (grid.width_px, grid.height_px), horizontal, vertical)


def _cropped(
    box: tuple[int, int, int, int], size: tuple[int, int], horizontal: bool, vertical: bool
) -> tuple[int, int, int, int]:
    """Crop to the slide; for a flipped slide, left and top count from the flipped edges, as in the microservice."""
    left, top, width, height = box
    if not (0 <= left < size[0] and 0 <= top < size[1]):
        raise TileNotFoundError("the tile or region lies outside the slide")
    right, bottom = min(left + width, size[0]), min(top + height, size[1])
    if horizontal:
        left, right = size[0] - right, size[0] - left
    if vertical:
        top, bottom = size[1] - bottom, size[1] - top
    return left, top, right, bottom


def _view(
    grid: Grid, level_dz: int, box: tuple[int, int, int, int], horizontal: bool, vertical: bool
) -> View:
    """Return the view that has a level's own pixels."""
    shift = grid.max_level - level_dz
    left, top, right, bottom = box
    return View(
        left << shift,
        top << shift,
        min(right << shift, grid.width_px) - (left << shift),
        min(bottom << shift, grid.height_px) - (top << shift),
        right - left,
        bottom - top,
        mirrored=horizontal,
        flipped=vertical,
    )


def _own_tile(grid: Grid, level_dz: int, box: tuple[int, int, int, int]) -> tuple[int, int, int] | None:
    col, row = box[0] // grid.tile_size, box[1] // grid.tile_size
    return (level_dz, col, row) if grid.tile_box(level_dz, col, row) == box else None


def flips(query: Query) -> tuple[bool, bool]:
    """Return whether to mirror left to right, and whether to flip top to bottom; raises InvalidQueryError."""
    flip = (text(query, "flip") or "").lower()
    if not _FLIP.match(flip):
        raise InvalidQueryError("flip is h, v or hv")
    return "h" in flip, "v" in flip


def _format(query: Query) -> str:
    fmt = text(query, "format")
    if fmt is None:
        return "jpg"
    if fmt not in FORMATS:
        raise InvalidQueryError(f"format is one of {', '.join(FORMATS)}")
    return FORMATS[fmt]


def _quality(query: Query) -> int:
    value = text(query, "q")
    if value is None:
        return QUALITY
    if not _QUALITY.match(value) or not 0 <= float(value) <= 1:
        raise InvalidQueryError("q, the quality, is a number from 0 to 1")
    return max(1, round(100 * float(value)))


def _check_ignored(query: Query) -> None:
    """Raise InvalidQueryError for a malformed projection or axis; valid ones do not change a single plane."""
    if not _PROJECTION.match(text(query, "p") or "normal"):
        raise InvalidQueryError("p is one of normal, intmax, intmean, intsum, with an optional |start:end")
    if (text(query, "ia") or "0").lower() not in {"0", "1", "true", "false"}:
        raise InvalidQueryError("ia is 0 or 1")
