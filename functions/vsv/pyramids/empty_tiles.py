"""Slides with empty tiles in reduced levels or with deep samples, and pyramids that show them white or black.

Earlier versions rendered white from empty tiles, and black from samples of more than 8 bits. The first page of a
pyramid that was rendered from filled tiles, or from channels, is marked: it has YCbCrPositioning, with the value that
readers assume without the tag.
"""

from itertools import chain
from pathlib import Path

from vsv.errors import UnreadableSlideError
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff_directories import Reader
from vsv.slides.image_reader import ImageReader
from vsv.slides.levels import Level
from vsv.slides.slide import Slide

CHROMA_POSITION, CENTRED = 531, 1


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


def is_outdated(slide: Slide, pyramid: Path) -> bool:
    """Return whether an earlier version rendered ``pyramid`` with white for empty tiles, or dark channels.

    False where the slide is read from a complete pyramid, which cannot be rendered without the original.
    """
    if slide.path == pyramid or len(slide.native) == slide.grid.level_count or not is_marked(slide):
        return False
    try:
        reader = Reader(OpenFile(pyramid))
        return CHROMA_POSITION not in reader.directory(reader.first_page)[0]
    except UnreadableSlideError:
        return True
