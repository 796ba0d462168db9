"""Check of the headers of stored tiles that no rendered level is made of: all others are decoded meanwhile."""

from collections.abc import Collection

from vsv.errors import CorruptTileError, EmptyTileError
from vsv.slides.levels import JpegLevel, Level
from vsv.slides.slide import Slide


def check_headers(slide: Slide, decoded_dz: Collection[int | None]) -> None:
    """Note the damaged tiles of the original's levels, except of those whose tiles were decoded."""
    for level_dz in slide.native | slide.decoded.keys():
        if level_dz in decoded_dz:
            continue
        level = slide.source(level_dz)
        for index in range(level.page.columns * level.page.rows):
            row, col = divmod(index, level.page.columns)
            if not _has_header(level, col, row):
                slide.damage.note(level_dz, col, row)


def _has_header(level: Level, col: int, row: int) -> bool:
    """Return whether a tile has the header of a tile of its level, or is stored empty."""
    try:
        if isinstance(level, JpegLevel):
            level.jpeg(col, row)
        else:
            from vsv.slides import jpeg2000_reader  # noqa: PLC0415  cold start: few slides are JPEG 2000

            jpeg2000_reader.codestream(level, col, row)
    except EmptyTileError:
        return True
    except CorruptTileError:
        return False
    return True
