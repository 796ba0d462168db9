"""Levels that are rendered again, because earlier ones show white in place of tiles that a finer level has.

The tiles get other addresses: caches keep a tile for a year.
"""

import os
from dataclasses import replace
from pathlib import Path

from vsv.errors import UnavailableError
from vsv.formats.random_access import OpenFile
from vsv.pyramids.renderer import Progress, render_pyramid, shared_tables
from vsv.pyramids.self_contained import write_complete
from vsv.rendering import encoding
from vsv.slides.levels import JpegLevel, jpeg_level, matching_level
from vsv.slides.slide import Slide, tiled_pages
from vsv.storage.atomic_write import PART_SUFFIX


def render_again(slide: Slide, path: Path, jobs: int | None, progress: Progress) -> None:
    """Render the levels of ``path`` again; those of a complete pyramid from its own finer levels.

    Raises UnavailableError when the disk refuses.
    """
    if slide.path == path:
        _renew_complete(slide, path, jobs, progress)
    else:
        render_pyramid(slide, path, jobs, progress, is_again=True)


def _renew_complete(slide: Slide, path: Path, jobs: int | None, progress: Progress) -> None:
    """Replace a complete pyramid by one whose rendered levels are rendered again from the stored ones."""
    kept = {dz: level for dz, level in slide.levels.items() if not _is_rendered(slide, dz, level)}
    base = replace(slide, levels=kept, native=frozenset(kept))
    rendered = path.with_name(f"{path.name}.{os.urandom(4).hex()}{PART_SUFFIX}")
    try:
        render_pyramid(base, rendered, jobs, progress, is_again=True)
        levels = {**_levels_of(slide, rendered), **kept}
        if len(levels) < slide.grid.level_count:
            raise UnavailableError("the pyramid could not be read back after writing: check the disk")
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


def _levels_of(slide: Slide, path: Path) -> dict[int, JpegLevel]:
    file = OpenFile(path)
    matched = {matching_level(slide.grid, page): page for page in tiled_pages(file)}
    return {dz: jpeg_level(file, page) for dz, page in matched.items() if dz is not None}
