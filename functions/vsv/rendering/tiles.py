"""Deep Zoom tiles: passed through where the slide's file holds them, else rendered."""

import logging
from dataclasses import dataclass
from functools import lru_cache

from vsv.errors import CorruptTileError, EmptyTileError, InvalidQueryError, MissingTablesError
from vsv.rendering.colour_management import effective_intent
from vsv.rendering.colour_request import AS_STORED, Colour
from vsv.rendering.tile_cache import DrawnTiles
from vsv.slides.deepzoom_grid import Grid
from vsv.slides.slide import Slide

# Pixels, decoders and encoders are imported where they are used: a passed-through tile needs none of them, and
# a Lambda function's first answer should not wait for their import.

log = logging.getLogger(__name__)

_drawn = DrawnTiles()

MIME_TYPES = {"jpeg": "image/jpeg", "jpg": "image/jpeg", "png": "image/png"}
MIN_TILE_SIZE, MAX_TILE_SIZE, MAX_OVERLAP = 64, 2048, 64


@dataclass(frozen=True, slots=True)
class Tiling:
    """Tile size, overlap, encoding and colours that a viewer requests; None means the slide's own."""

    tile_size: int | None = None
    overlap: int = 0
    fmt: str | None = None
    colour: Colour = AS_STORED

    def __post_init__(self) -> None:
        if self.tile_size is not None and not MIN_TILE_SIZE <= self.tile_size <= MAX_TILE_SIZE:
            raise InvalidQueryError(f"tilesize must be {MIN_TILE_SIZE} to {MAX_TILE_SIZE} pixels")
        if not 0 <= self.overlap <= MAX_OVERLAP:
            raise InvalidQueryError(f"overlap must be 0 to {MAX_OVERLAP} pixels")
        if self.fmt is not None and self.fmt not in MIME_TYPES:
            raise InvalidQueryError("fmt must be one of jpeg, jpg, png")

    def grid(self, slide: Slide) -> Grid:
        """Return the grid on which the viewer counts tiles."""
        own = slide.grid
        if self.overlap == own.overlap and (self.tile_size is None or self.tile_size == own.tile_size):
            return own
        return Grid(own.width_px, own.height_px, self.tile_size or own.tile_size, self.overlap)


OWN_TILING = Tiling()


def render_tile(
    slide: Slide, level_dz: int, col: int, row: int, fmt: str, tiling: Tiling = OWN_TILING
) -> bytes:
    """Return a tile as an encoded image; raise TileNotFoundError outside the pyramid.

    ``fmt`` is the encoding: jpeg, jpg or png. Damaged tiles are served as background and logged; raise
    MissingTablesError for a stored tile whose JPEG tables are nowhere in the file.
    """
    grid, intent = tiling.grid(slide), effective_intent(slide, tiling.colour)
    if grid is slide.grid and intent is None and fmt != "png":
        data = _read_verbatim(slide, level_dz, col, row)
        if data is not None:
            return data
    box = grid.tile_box(level_dz, col, row)
    if intent is not None:
        return _encode_converted(slide, level_dz, fmt, box, intent)
    if grid is slide.grid:
        key = slide.path, slide.stamp, slide.damage, level_dz, col, row, fmt == "png"
        return _drawn.get(key, lambda: _encode_tile(slide, level_dz, fmt, col, row))
    return _encode_region(slide, level_dz, fmt, box)


def _read_verbatim(slide: Slide, level_dz: int, col: int, row: int) -> bytes | None:
    """Return the stored bytes of a tile that is wholly inside its level, None for all other tiles.

    An empty or damaged tile of a reduced level is rendered from a finer level; full resolution has none.
    """
    level = slide.levels.get(level_dz)
    if level is None or col < 0 or row < 0:
        return None
    size, page = slide.grid.tile_size, level.page
    width_px, height_px = slide.grid.level_size(level_dz)
    right, bottom = (col + 1) * size, (row + 1) * size
    if right > width_px or bottom > height_px or right > page.width_px or bottom > page.height_px:
        return None
    try:
        data = level.jpeg(col, row)
    except CorruptTileError as error:
        if level_dz < slide.max_level:
            return None
        return _replace_verbatim(slide, level_dz, (col, row), error)
    return None if slide.damage.has(level_dz, col, row) else data


def _replace_verbatim(slide: Slide, level_dz: int, place: tuple[int, int], error: CorruptTileError) -> bytes:
    """Return background in place of an unreadable tile of full resolution; raise MissingTablesError."""
    if not isinstance(error, EmptyTileError):
        slide.damage.note(level_dz, *place)
    if isinstance(error, MissingTablesError):
        raise error
    log.warning("background for tile %d/%d_%d: %s", level_dz, *place, error)
    return background_tile(slide.grid.tile_size)


@lru_cache(maxsize=8)
def background_tile(size: int) -> bytes:
    """Return the tile that is served in place of a damaged tile: white, like empty glass."""
    from vsv.rendering import encoding  # noqa: PLC0415  cold start
    from vsv.slides.pixels import blank  # noqa: PLC0415  cold start

    return encoding.encode_jpeg(blank(size, size), encoding.REDUCED)


def _encode_tile(slide: Slide, level_dz: int, fmt: str, col: int, row: int) -> bytes:
    from vsv.rendering import encoding, regions  # noqa: PLC0415  cold start

    data = regions.level_tile(slide, level_dz, col, row)
    if fmt == "png":
        return encoding.encode_png(data)
    stored = level_dz in slide.levels
    return encoding.encode_jpeg(
        data, encoding.RECODED if stored else encoding.rendered_coding(slide, level_dz)
    )


def _encode_region(slide: Slide, level_dz: int, fmt: str, box: tuple[int, int, int, int]) -> bytes:
    from vsv.rendering import encoding, regions  # noqa: PLC0415  cold start

    data = regions.region(slide, level_dz, box)
    return encoding.encode_png(data) if fmt == "png" else encoding.encode_jpeg(data, encoding.RECODED)


def _encode_converted(
    slide: Slide, level_dz: int, fmt: str, box: tuple[int, int, int, int], intent: str
) -> bytes:
    from vsv.rendering import encoding, icc, regions  # noqa: PLC0415  cold start

    data = icc.convert_pixels(slide, regions.region(slide, level_dz, box), intent)
    return encoding.encode_png(data) if fmt == "png" else encoding.encode_jpeg(data, encoding.RECODED)
