"""Levels that are rendered again, because earlier ones show white in place of tiles that a finer level has.

The tiles get other addresses: caches keep a tile for a year.
"""

import os
from dataclasses import replace
from pathlib import Path

from vsv.errors import UnavailableError
from vsv.pyramids.empty_tiles import is_outdated, is_windowed
from vsv.pyramids.renderer import Progress, read_back, render_pyramid, shared_tables
from vsv.pyramids.self_contained import write_complete
from vsv.rendering import encoding
from vsv.rendering.associated_images import encode, make_thumbnail
from vsv.slides.levels import JpegLevel
from vsv.slides.slide import Slide
from vsv.storage import atomic_write


def render_again(slide: Slide, path: Path, jobs: int | None, progress: Progress) -> None:
    """Render the levels of ``path`` again; those of a complete pyramid from its own finer levels.

    The thumbnail of a slide shown in windows comes first: that of an earlier version is as dark as its pyramid, and
    the new pyramid marks the end. Raises UnavailableError when the disk refuses.
    """
    if slide.path == path:
        _renew_complete(slide, path, jobs, progress)
        return
    if is_windowed(slide) and is_outdated(slide, path):
        _renew_thumbnail(slide)
    render_pyramid(slide, path, jobs, progress, is_again=True)


def _renew_thumbnail(slide: Slide) -> None:
    thumbnail = encode(make_thumbnail(replace(slide, levels={})))
    try:
        atomic_write.write(slide.thumbnail, thumbnail)
    except OSError as error:
        raise UnavailableError(
            "the thumbnail could not be written: is the disk full or read only?"
        ) from error


def _renew_complete(slide: Slide, path: Path, jobs: int | None, progress: Progress) -> None:
    """Replace a complete pyramid by one whose rendered levels are rendered again from the stored ones."""
    kept = {dz: level for dz, level in slide.levels.items() if not _is_rendered(slide, dz, level)}
    base = replace(slide, levels=kept, native=frozenset(kept))
    rendered = path.with_name(f"{path.name}.{os.urandom(4).hex()}{atomic_write.PART_SUFFIX}")
    try:
        made = render_pyramid(base, rendered, jobs, progress, is_again=True)
        levels = {**read_back(slide, made.levels_dz, rendered), **kept}
        write_complete(replace(slide, levels=levels), path, is_filled=True)
    finally:
        rendered.unlink(missing_ok=True)


def _is_rendered(slide: Slide, level_dz: int, level: JpegLevel) -> bool:
    """Return whether a complete pyramid's level was rendered: such tiles share our encoder's tables.

    Full resolution is kept in any case: there is nothing to render it from.
    """
    codings = (encoding.REDUCED, encoding.FULL)
    tables = {shared_tables(slide.grid.tile_size, coding) for coding in codings}
    return level_dz < slide.max_level and level.page.jpeg_tables in tables
