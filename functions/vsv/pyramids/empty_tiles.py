"""Slides with empty tiles in reduced levels, and pyramids of such slides that carry white in their place.

Earlier versions rendered white from empty tiles. The first page of a pyramid that was rendered from filled tiles is
marked: it has YCbCrPositioning, with the value that readers assume without the tag.
"""

from itertools import chain
from pathlib import Path

from vsv.errors import UnreadableSlideError
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff_directories import Reader
from vsv.slides.levels import Level
from vsv.slides.slide import Slide

CHROMA_POSITION, CENTRED = 531, 1


def has_empty_tiles(slide: Slide) -> bool:
    """Return whether a reduced level of the original has tiles of zero bytes, which finer levels fill."""
    reduced = (dz for dz in chain(slide.native, slide.decoded) if dz < slide.max_level)
    return any(_has_empty(slide.decoded.get(dz) or slide.levels[dz]) for dz in reduced)


def _has_empty(level: Level) -> bool:
    return any(level.spans.span(index)[1] == 0 for index in range(level.page.columns * level.page.rows))


def is_outdated(slide: Slide, pyramid: Path) -> bool:
    """Return whether an earlier version rendered ``pyramid`` with white in place of the slide's empty tiles.

    A complete pyramid, which archived slides are read from, carries the mark as well.
    """
    is_complete = slide.path == pyramid
    if (len(slide.native) == slide.grid.level_count and not is_complete) or not has_empty_tiles(slide):
        return False
    try:
        reader = Reader(OpenFile(pyramid))
        return CHROMA_POSITION not in reader.directory(reader.first_page)[0]
    except UnreadableSlideError:
        return True
