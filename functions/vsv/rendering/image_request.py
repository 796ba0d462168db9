"""A picture requested of a slide, by any protocol: a region, drawn at a size, then mirrored, rotated and toned.

Arithmetic only. The order of the steps is that of the IIIF Image API 3.0, section 4: region, size, rotation,
quality, format.
"""

import math
from dataclasses import dataclass

from vsv.errors import InvalidQueryError, TooLargeError
from vsv.slides.deepzoom_grid import Grid, shrunk

# 4096×4096: four times the pixels of a current screen, drawn in about a second.
MAX_AREA_PX = 1 << 24
MAX_SIDE_PX = 1 << 14
# Source pixels of a picture of that area: four for each of its pixels, and some for the filter's reach.
MAX_SOURCE_PX = 5 * MAX_AREA_PX
# The filter reaches two pixels to each side: of the picture where that is smaller than its source.
SUPPORT = 2
QUALITIES = ("color", "gray", "bitonal")


@dataclass(frozen=True, slots=True)
class View:
    """A requested picture: a box at full resolution and the size that the box is drawn at, before rotation.

    ``rotation`` is in degrees clockwise, after mirroring left to right if ``mirrored``, top to bottom if ``flipped``.
    """

    left_l0: int
    top_l0: int
    width_l0: int
    height_l0: int
    width_px: int
    height_px: int
    mirrored: bool = False
    flipped: bool = False
    rotation: float = 0.0
    quality: str = "color"

    def __post_init__(self) -> None:
        if min(self.left_l0, self.top_l0) < 0 or min(self.width_l0, self.height_l0) < 1:
            raise InvalidQueryError("the region lies outside the slide, or is empty")
        if min(self.width_px, self.height_px) < 1:
            raise InvalidQueryError("the size is less than a pixel")
        check_area(self.width_px, self.height_px)
        check_area(*turned_size(self.width_px, self.height_px, self.rotation))

    @property
    def is_upright(self) -> bool:
        """Whether the picture is neither mirrored nor rotated."""
        return not (self.mirrored or self.flipped or self.rotation)

    @property
    def reach_l0(self) -> tuple[int, int, int, int]:
        """The box at full resolution whose pixels the picture may be made from, filters included."""
        across = (SUPPORT + 2) * (self.width_l0 // self.width_px + 1)
        down = (SUPPORT + 2) * (self.height_l0 // self.height_px + 1)
        right, bottom = self.left_l0 + self.width_l0, self.top_l0 + self.height_l0
        return max(0, self.left_l0 - across), max(0, self.top_l0 - down), right + across, bottom + down


def check_area(width_px: int, height_px: int) -> None:
    """Raise TooLargeError for a picture beyond the limits, before memory is allocated for the picture."""
    if max(width_px, height_px) > MAX_SIDE_PX:
        raise TooLargeError(f"{width_px}×{height_px} pixels: a side may have at most {MAX_SIDE_PX}")
    if width_px * height_px > MAX_AREA_PX:
        raise TooLargeError(f"{width_px}×{height_px} pixels: a picture may have at most {MAX_AREA_PX}")


def turned_size(width_px: int, height_px: int, rotation: float) -> tuple[int, int]:
    """Return the size of the upright frame around a picture that was rotated by ``rotation`` degrees."""
    angle = math.radians(rotation)
    sine, cosine = abs(math.sin(angle)), abs(math.cos(angle))
    return (
        math.ceil(width_px * cosine + height_px * sine - 1e-9),
        math.ceil(width_px * sine + height_px * cosine - 1e-9),
    )


def halvings(view: View, grid: Grid) -> int:
    """Return how often full resolution is halved before drawing; the level is at least as fine as the picture.

    A picture that is reduced far more in one direction than in the other would need all of the slide's pixels: such
    a picture is made from a coarser level.
    """
    scale = min(view.width_l0 // view.width_px, view.height_l0 // view.height_px)
    shift = max(0, scale.bit_length() - 1)
    while _source_px(view) >> 2 * shift > MAX_SOURCE_PX:
        shift += 1
    return min(shift, grid.max_level)


def _source_px(view: View) -> int:
    """Return the number of pixels of full resolution that the filter reads."""
    wide = view.width_l0 + 2 * SUPPORT * view.width_l0 // view.width_px
    high = view.height_l0 + 2 * SUPPORT * view.height_l0 // view.height_px
    return wide * high


def level_box(view: View, grid: Grid) -> tuple[int, tuple[int, int, int, int]] | None:
    """Return the Deep Zoom level and box that have the picture's pixels one for one; None for a scaled picture.

    A box at the slide's right or bottom edge may end in a partial pixel, as the level itself does.
    """
    size = view.width_px, view.height_px
    for shift in range(grid.level_count):
        if (shrunk(view.width_l0, shift), shrunk(view.height_l0, shift)) == size:
            return _aligned_box(view, grid, shift)
    return None


def _aligned_box(view: View, grid: Grid, shift: int) -> tuple[int, tuple[int, int, int, int]] | None:
    step = 1 << shift
    right, bottom = view.left_l0 + view.width_l0, view.top_l0 + view.height_l0
    starts_aligned = view.left_l0 % step == view.top_l0 % step == 0
    ends_aligned = right in {right // step * step, grid.width_px} and bottom in {
        bottom // step * step,
        grid.height_px,
    }
    if not (starts_aligned and ends_aligned):
        return None
    left, top = view.left_l0 >> shift, view.top_l0 >> shift
    return grid.max_level - shift, (left, top, left + view.width_px, top + view.height_px)


def stored_tile(view: View, grid: Grid) -> tuple[int, int, int] | None:
    """Return the Deep Zoom level, column and row of the tile that equals the picture; None where no tile does."""
    level_and_box = level_box(view, grid)
    if level_and_box is None or not view.is_upright or view.quality != "color":
        return None
    level_dz, box = level_and_box
    col, row = box[0] // grid.tile_size, box[1] // grid.tile_size
    return (level_dz, col, row) if grid.tile_box(level_dz, col, row) == box else None
