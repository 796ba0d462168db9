"""Slides with empty tiles in reduced levels or with deep samples, and pyramids that show them white or black.

Earlier versions rendered white from empty tiles, and black from samples of more than 8 bits. The first page of a
pyramid that was rendered from filled tiles, or from channels, is marked: it has YCbCrPositioning, with the value that
readers assume without the tag.
"""

from itertools import chain
from pathlib import Path

from vsv.errors import CorruptTileError, UnreadableSlideError
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff_directories import Reader
from vsv.slides.image_reader import ImageReader
from vsv.slides.levels import MAX_DCT_SHIFT, Level
from vsv.slides.pixels import tile_pixels
from vsv.slides.slide import Slide

CHROMA_POSITION, CENTRED = 531, 1
WHITE, DARKER_THAN_GLASS = 254, 220


def has_empty_tiles(slide: Slide) -> bool:
    """Return whether a reduced level of the original has tiles of zero bytes, which finer levels fill."""
    reduced = (dz for dz in chain(slide.native, slide.decoded) if dz < slide.max_level)
    return any(_has_empty(slide.decoded.get(dz) or slide.levels[dz]) for dz in reduced)


def _has_empty(level: Level) -> bool:
    return any(level.spans.span(index)[1] == 0 for index in range(level.page.columns * level.page.rows))


def is_windowed(slide: Slide) -> bool:
    """Return whether the original's pixels are shown in windows: earlier versions rendered them dark."""
    return slide.has_channels or (isinstance(slide.reader, ImageReader) and slide.reader.is_windowed())


def is_marked(slide: Slide) -> bool:
    """Return whether the slide's pyramid is marked: earlier versions rendered such slides differently."""
    return is_windowed(slide) or has_empty_tiles(slide)


def _has_white_over_pixels(slide: Slide) -> bool:
    """Return whether a reduced level has a tile of pure white where the next finer level is darker than any glass."""
    for level_dz in range(slide.max_level - 1, -1, -1):
        if not slide.levels.keys() >= {level_dz, level_dz + 1}:
            continue  # a page that was refused as a level
        level = slide.source(level_dz)
        # Pure white costs an encoder a few bits for each block of 64 pixels of a component.
        most_bytes = 3 * level.tile_size**2 // 64
        for index in range(level.page.columns * level.page.rows):
            row, col = divmod(index, level.page.columns)
            if level.spans.span(index)[1] <= most_bytes and _hides(slide, level_dz, col, row):
                return True
    return False


def _hides(slide: Slide, level_dz: int, col: int, row: int) -> bool:
    if _darkest(slide, level_dz, col, row) < WHITE:
        return False
    columns, rows = slide.grid.tile_counts(level_dz + 1)
    below = [(2 * col + x, 2 * row + y) for y in (0, 1) for x in (0, 1)]
    inside = [place for place in below if place[0] < columns and place[1] < rows]
    return any(_darkest(slide, level_dz + 1, *place) < DARKER_THAN_GLASS for place in inside)


def _darkest(slide: Slide, level_dz: int, col: int, row: int) -> int:
    """Return a tile's least value, at an eighth of its size; white for a tile that cannot be decoded."""
    try:
        return int(tile_pixels(slide.source(level_dz), col, row, MAX_DCT_SHIFT).min())
    except CorruptTileError:
        return WHITE


def is_outdated(slide: Slide, pyramid: Path) -> bool:
    """Return whether an earlier version rendered ``pyramid`` with white for empty tiles, or dark channels.

    A complete pyramid, which archived slides are read from, carries the mark as well. Where it was made of a
    JPEG 2000 slide, it has no empty tiles left: a white tile stands over pixels of the finer level.
    """
    is_complete = slide.path == pyramid
    if not is_complete and len(slide.native) == slide.grid.level_count:
        return False  # nothing was rendered
    if not is_marked(slide):
        return is_complete and _has_white_over_pixels(slide)
    try:
        reader = Reader(OpenFile(pyramid))
        return CHROMA_POSITION not in reader.directory(reader.first_page)[0]
    except UnreadableSlideError:
        return True
