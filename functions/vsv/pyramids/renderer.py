"""Rendering of the levels that a slide's file does not hold, into one pyramid file.

``pyramid.tif`` is a BigTIFF with one page a level, finest first, of JPEG tiles in the slide's own tile size:
TIFF 6.0 with Technical Note 2, as OpenSlide, libvips and QuPath read it.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

from vsv.errors import UnavailableError
from vsv.formats.jpeg import abbreviate
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff_writer import PageLayout, TiffWriter
from vsv.pyramids.empty_tiles import CENTRED, is_marked
from vsv.pyramids.tile_headers import check_headers
from vsv.rendering import encoding, regions
from vsv.slides import pixels
from vsv.slides.damage import NOTES, Damage, write_notes
from vsv.slides.levels import MAX_DCT_SHIFT, JpegLevel, jpeg_level, matching_level
from vsv.slides.slide import Slide, tiled_pages
from vsv.storage import atomic_write

# Tiles that a task renders: enough to hide the cost of a task, few enough to keep all cores busy.
TILES_A_TASK = 16
# Tiles are a few KB each: buffering saves a system call for each, for which the threads would take turns.
_BUFFER_BYTES = 1 << 20

Progress = Callable[[int, int], None]
Result = TypeVar("Result")
# A tile's page, its place in the page, and its bytes.
Block = tuple[int, int, bytes]


@dataclass(frozen=True, slots=True)
class Rendered:
    """Result of a rendering: the Deep Zoom levels rendered, their tiles, and the file's size in bytes."""

    levels_dz: tuple[int, ...]
    tiles: int
    size_bytes: int


def missing_levels(slide: Slide) -> tuple[int, ...]:
    """Return the Deep Zoom levels that the original does not hold verbatim, finest first."""
    return tuple(dz for dz in range(slide.max_level, -1, -1) if dz not in slide.native)


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def render_pyramid(
    slide: Slide,
    path: Path,
    jobs: int | None = None,
    progress: Progress = lambda _done, _total: None,
    *,
    is_again: bool = False,
) -> Rendered:
    """Render the missing levels of ``slide`` into ``path`` by an atomic write; check every stored tile meanwhile.

    Damaged tiles are noted beside ``path``. ``is_again``: tiles were served before, and get other addresses.
    Uses ``jobs`` threads (the decoders and encoders release the GIL); calls ``progress`` with tiles done and tiles in
    total. Memory does not grow with the slide. Raises UnavailableError when the disk refuses.
    """
    missing = missing_levels(slide)
    total = sum(columns * rows for columns, rows in map(slide.grid.tile_counts, missing))
    damage = Damage(for_rendering=True)
    damage.version = slide.damage.version + is_again
    base = replace(slide, levels={dz: slide.levels[dz] for dz in slide.native}, damage=damage)
    try:
        with atomic_write.replacing(path) as part, ThreadPoolExecutor(jobs or cores()) as pool:
            _write_levels(base, missing, part, _Counter(progress, total), pool)
            check_headers(base, {base.finer_level(dz) for dz in missing} | {*missing})
            _keep_refused(slide, missing, damage)
            # Before the pyramid is there: what is served of it must not be cached where it shows damage.
            write_notes(path.with_name(NOTES), damage)
            size = part.stat().st_size
    except OSError as error:
        raise UnavailableError("the pyramid could not be written: is the disk full or read only?") from error
    return Rendered(missing, total, size)


def _keep_refused(slide: Slide, missing: tuple[int, ...], damage: Damage) -> None:
    """Note the tiles again of damaged pages that are not shown as levels: the original's damage stays told."""
    for level_dz in missing if slide.refused else ():
        for col, row in slide.damage.tiles.get(level_dz, ()):
            damage.note(level_dz, col, row)


class _Counter:
    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def add(self, tiles: int) -> None:
        self.done += tiles
        self.progress(self.done, self.total)


def _write_levels(
    slide: Slide, missing: tuple[int, ...], part: Path, counter: _Counter, pool: ThreadPoolExecutor
) -> None:
    with part.open("wb", buffering=_BUFFER_BYTES) as file:
        tiff = TiffWriter(file)
        for levels_dz in _group_levels(slide, missing):
            pages = [_layout(slide, dz, 1 if dz != missing[0] else 0) for dz in levels_dz]
            if levels_dz[0] in slide.decoded:
                _write_decoded(slide, levels_dz, pages, tiff, counter, pool)
            else:
                tiff.write_page(pages[0], _level_tiles(slide, levels_dz[0], counter, pool))
            slide = replace(slide, levels={**slide.levels, **read_back(slide, levels_dz, part)})


def _group_levels(slide: Slide, missing: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the levels in groups: those rendered in a pass over a level of JPEG 2000 tiles; all others singly."""
    groups: list[tuple[int, ...]] = []
    for dz in missing:
        if groups and dz not in slide.decoded and _is_rendered_with(slide, groups[-1][0], dz):
            groups[-1] += (dz,)
        else:
            groups.append((dz,))
    return groups


def _is_rendered_with(slide: Slide, source_dz: int, level_dz: int) -> bool:
    """Return whether a level is rendered in the pass over a source: few halvings away, or a source of one tile."""
    is_near = source_dz - level_dz <= MAX_DCT_SHIFT or slide.grid.tile_counts(source_dz) == (1, 1)
    return source_dz in slide.decoded and is_near


def _layout(slide: Slide, level_dz: int, subfile_type: int) -> PageLayout:
    size, coding = slide.grid.tile_size, encoding.rendered_coding(slide, level_dz)
    return PageLayout(
        *slide.grid.level_size(level_dz),
        shared_tables(size, coding),
        subsampling=(2, 2) if coding.chroma == "420" else (1, 1),
        tile_size=size,
        subfile_type=subfile_type,
        chroma_position=CENTRED if subfile_type == 0 and is_marked(slide) else 0,
    )


@lru_cache(maxsize=8)
def shared_tables(size: int, coding: encoding.Coding) -> bytes:
    """Return the JPEG tables that all tiles of a coding share."""
    return abbreviate(encoding.encode_jpeg(pixels.blank(size, size), coding))[0]


def _write_decoded(
    slide: Slide,
    levels_dz: tuple[int, ...],
    pages: list[PageLayout],
    tiff: TiffWriter,
    counter: _Counter,
    pool: ThreadPoolExecutor,
) -> None:
    """Write a level of JPEG 2000 tiles, each decoded once, and the levels above that level."""
    from vsv.pyramids.jpeg2000_renderer import Tree  # noqa: PLC0415  cold start: few slides are JPEG 2000

    tree = Tree.of(slide, levels_dz)
    pages[0] = replace(pages[0], subsampling=tree.subsampling)
    tiff.write_pages(
        pages, _count_tiles(_run_in_order(pool, tree.tasks(), ahead=2 * pool._max_workers), counter)
    )


def _count_tiles(runs: Iterator[list[Block]], counter: _Counter) -> Iterator[Block]:
    for blocks in runs:
        counter.add(len(blocks))
        yield from blocks


def read_back(slide: Slide, levels_dz: tuple[int, ...], part: Path) -> dict[int, JpegLevel]:
    """Read the levels just written: later levels may be rendered from them; raise UnavailableError for a bad one."""
    file = OpenFile(part)
    pages = {matching_level(slide.grid, page): page for page in tiled_pages(file)}
    if not pages.keys() >= set(levels_dz):
        raise UnavailableError("the pyramid could not be read back after writing: check the disk")
    return {dz: jpeg_level(file, pages[dz]) for dz in levels_dz}


def _level_tiles(slide: Slide, level_dz: int, counter: _Counter, pool: ThreadPoolExecutor) -> Iterator[bytes]:
    """Yield a level's encoded tiles in file order, rendered at most a few tasks ahead of the writer."""
    columns, rows = slide.grid.tile_counts(level_dz)
    tasks = (
        partial(_render_run, slide, level_dz, row, range(col, min(col + TILES_A_TASK, columns)))
        for row in range(rows)
        for col in range(0, columns, TILES_A_TASK)
    )
    for tiles in _run_in_order(pool, tasks, ahead=2 * pool._max_workers):
        counter.add(len(tiles))
        yield from tiles


def _run_in_order(
    pool: ThreadPoolExecutor, tasks: Iterator[Callable[[], list[Result]]], ahead: int
) -> Iterator[list[Result]]:
    waiting: deque[Future[list[Result]]] = deque()
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
    return abbreviate(encoding.encode_jpeg(tile, encoding.rendered_coding(slide, level_dz)))[1]
