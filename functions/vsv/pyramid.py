"""Rendering the levels that a slide lacks into one file.

``pyramid.tif`` is a BigTIFF with one page a level, finest first, of JPEG tiles on the slide's own tile size:
TIFF 6.0 with Technical Note 2, as OpenSlide, libvips and QuPath read it.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vsv import durable, pixels, regions
from vsv.errors import UnavailableError
from vsv.jpeg import abbreviate
from vsv.levels import JpegLevel, jpeg_level
from vsv.open_file import OpenFile
from vsv.slide import Slide, matching_level, tiled_pages
from vsv.tiff_writer import PageLayout, TiffWriter

# Tiles that one task renders: enough to hide the cost of a task, few enough to keep all cores at work.
TILES_A_TASK = 16

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Rendered:
    """What rendering did: tiles and bytes written, and the Deep Zoom levels they are in."""

    levels_dz: tuple[int, ...]
    tiles: int
    size_bytes: int


def missing_levels(slide: Slide) -> tuple[int, ...]:
    """Give the Deep Zoom levels that the original cannot give verbatim, finest first."""
    return tuple(dz for dz in range(slide.max_level, -1, -1) if dz not in slide.native)


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def render_pyramid(
    slide: Slide, path: Path, jobs: int | None = None, progress: Progress = lambda _done, _total: None
) -> Rendered:
    """Render the missing levels of ``slide`` into ``path``, which appears whole or not at all.

    ``jobs`` threads (the decoders and encoders leave the GIL); ``progress`` is told tiles done and tiles in all.
    Memory does not grow with the slide. Raises UnavailableError when the disk refuses.
    """
    wanted = missing_levels(slide)
    total = sum(columns * rows for columns, rows in map(slide.grid.tile_counts, wanted))
    base = replace(slide, levels={dz: slide.levels[dz] for dz in slide.native})
    try:
        with durable.replacing(path) as part, ThreadPoolExecutor(jobs or cores()) as pool:
            _write_levels(base, wanted, part, _Counter(progress, total), pool)
            size = part.stat().st_size
    except OSError as error:
        raise UnavailableError("the pyramid could not be written: is the disk full or read only?") from error
    return Rendered(wanted, total, size)


class _Counter:
    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def add(self, tiles: int) -> None:
        self.done += tiles
        self.progress(self.done, self.total)


def _write_levels(
    slide: Slide, wanted: tuple[int, ...], part: Path, counter: _Counter, pool: ThreadPoolExecutor
) -> None:
    with part.open("wb") as file:
        tiff = TiffWriter(file)
        for index, level_dz in enumerate(wanted):
            _write_level(slide, level_dz, index, tiff, counter, pool)
            slide = replace(slide, levels={**slide.levels, level_dz: _written_level(slide, level_dz, part)})


def _write_level(
    slide: Slide,
    level_dz: int,
    index: int,
    tiff: TiffWriter,
    counter: _Counter,
    pool: ThreadPoolExecutor,
) -> None:
    width_px, height_px = slide.grid.level_size(level_dz)
    size = slide.grid.tile_size
    coding = pixels.rendered_coding(slide, level_dz)
    tables, _ = abbreviate(pixels.encode_jpeg(pixels.blank(size, size), coding))
    layout = PageLayout(
        width_px,
        height_px,
        tables,
        subsampling=(2, 2) if coding.chroma == "420" else (1, 1),
        tile_size=size,
        subfile_type=1 if index else 0,
    )
    tiff.write_page(layout, _level_tiles(slide, level_dz, counter, pool))


def _written_level(slide: Slide, level_dz: int, part: Path) -> JpegLevel:
    """Read back the level just written: the next ones may be rendered from it, and a bad one ends here."""
    file = OpenFile(part)
    for page in reversed(tiled_pages(file)):
        if matching_level(slide.grid, page) == level_dz:
            return jpeg_level(file, page)
    raise UnavailableError("the pyramid could not be read back after writing: check the disk")


def _level_tiles(slide: Slide, level_dz: int, counter: _Counter, pool: ThreadPoolExecutor) -> Iterator[bytes]:
    """Yield a level's encoded tiles in file order; a few tasks ahead of the writer, never more."""
    columns, rows = slide.grid.tile_counts(level_dz)
    tasks = (
        partial(_render_run, slide, level_dz, row, range(col, min(col + TILES_A_TASK, columns)))
        for row in range(rows)
        for col in range(0, columns, TILES_A_TASK)
    )
    for tiles in _in_order(pool, tasks, ahead=2 * pool._max_workers):
        counter.add(len(tiles))
        yield from tiles


def _in_order(
    pool: ThreadPoolExecutor, tasks: Iterator[Callable[[], list[bytes]]], ahead: int
) -> Iterator[list[bytes]]:
    waiting: deque[Future[list[bytes]]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(task))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _render_run(slide: Slide, level_dz: int, row: int, cols: range) -> list[bytes]:
    return [_render_tile(slide, level_dz, col, row) for col in cols]


def _render_tile(slide: Slide, level_dz: int, col: int, row: int) -> bytes:
    size = slide.grid.tile_size
    tile = pixels.extend(regions.level_tile(slide, level_dz, col, row), size, size)
    return abbreviate(pixels.encode_jpeg(tile, pixels.rendered_coding(slide, level_dz)))[1]
