"""A slide as the tile server sees it: which Deep Zoom level is stored where."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vsv.errors import FileMissingError, UnreadableSlideError
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import Page, read_pages
from vsv.slides.aperio_reader import AperioJpegReader
from vsv.slides.deepzoom_grid import Grid
from vsv.slides.levels import (
    MAX_DCT_SHIFT,
    Jpeg2000Level,
    JpegLevel,
    Level,
    can_pass_through,
    jpeg_level,
    levels_on,
    matching_level,
    native_grid,
    tiled,
)
from vsv.slides.properties import COMPLETE
from vsv.slides.reader import SlideReader, Source
from vsv.slides.readers import reader_of
from vsv.storage import nfs
from vsv.storage.archive_marker import read_note

# The most stored tiles that are read for one tile: the coarsest levels of a slide with one level would take all.
MAX_SOURCE_TILES = 1024


@dataclass(frozen=True, slots=True)
class Slide:
    """An opened slide.

    ``levels`` holds what is stored as JPEG tiles of the grid's size, by Deep Zoom level; ``native`` tells which
    of them the original has. ``decoded`` holds an Aperio slide's levels of JPEG 2000 tiles, which are decoded here.
    Where both lack full resolution ``reader`` reads the pixels. Where the pyramid is complete, ``path`` is the
    pyramid's, and the original is not looked at. ``stored_ns`` is when the original's file was written, in
    nanoseconds since the epoch.
    """

    path: Path
    grid: Grid
    levels: Mapping[int, JpegLevel]
    native: frozenset[int]
    stamp: str
    thumbnail: Path
    reader: SlideReader
    decoded: Mapping[int, Jpeg2000Level] = field(default_factory=dict)
    stored_ns: int = 0

    @property
    def is_stale(self) -> bool:
        """Tell whether a file was removed under it that cannot be read on."""
        levels: tuple[Level, ...] = (*self.levels.values(), *self.decoded.values())
        return any(level.file.is_stale for level in levels)

    @property
    def max_level(self) -> int:
        """The Deep Zoom level of full resolution."""
        return self.grid.max_level

    def source_level(self, level_dz: int) -> int | None:
        """Choose the stored level to render from: this one, else the nearest finer one that the original has.

        A rendered level has lost a little already, so it serves only where the originals are beyond the reach
        of DCT scaling and resolution levels. None: by the reader.
        """
        if level_dz in self.levels or level_dz in self.decoded:
            return level_dz
        original = self.native | self.decoded.keys()
        finer = sorted(found for found in self.levels.keys() | original if found > level_dz)
        near = [found for found in finer if found in original and found - level_dz <= MAX_DCT_SHIFT]
        return next(iter(near or finer), None)

    def source(self, level_dz: int) -> Level:
        """Give a stored level, as a JPEG where it is one."""
        return self.levels.get(level_dz) or self.decoded[level_dz]

    def is_dear(self, level_dz: int, shift: int) -> bool:
        """Tell whether a tile of a level would take too many tiles of the level ``shift`` halvings finer."""
        columns, rows = self.grid.tile_counts(level_dz + shift)
        return min(columns, 1 << shift) * min(rows, 1 << shift) > MAX_SOURCE_TILES

    def is_provisional(self, level_dz: int) -> bool:
        """Tell whether the level's tiles will look different once the pyramid is there."""
        if level_dz in self.levels:
            return False
        source_dz = self.source_level(level_dz)
        if source_dz is None or source_dz not in self.levels:
            return True
        return self.is_dear(level_dz, source_dz - level_dz)


def stamp_of(slide: Path, pyramid: Path) -> str:
    """Give a text that changes when either file does; raises FileMissingError without the slide.

    An archived original is what it was: the text changes neither when it goes nor when it comes back.
    """
    size, modified = _original(slide)
    try:
        rendered = f"-{os.stat(pyramid).st_mtime_ns:x}"  # noqa: PTH116
    except OSError:
        rendered = ""
    return f"{size:x}-{modified:x}{rendered}"


def _original(slide: Path) -> tuple[int, int]:
    """Give size and modification time of the original, here or archived; raises FileMissingError."""
    for again in (True, False):
        try:
            found = os.stat(slide)  # noqa: PTH116  Path.stat costs three times as much, on every tile
            return found.st_size, found.st_mtime_ns
        except OSError as error:
            if (note := read_note(slide.parent)) is not None:
                return note.size, note.modified
            if not again:
                raise FileMissingError("the slide's file is not in its place") from error
            nfs.revalidate(slide.parent)  # another machine may have written the note a moment ago
    raise AssertionError


def open_slide(slide: Path, pyramid: Path, thumbnail: Path) -> Slide:
    """Open a slide and, where it exists, its pyramid; raises UnreadableSlideError and FileMissingError."""
    stamp, (_, stored_ns) = stamp_of(slide, pyramid), _original(slide)
    rendered, its_pages = _rendered(pyramid)
    if rendered is not None and is_complete(its_pages):
        grid, levels = native_grid(its_pages), _match(native_grid(its_pages), rendered, its_pages)
        reader: SlideReader = AperioJpegReader(Source(pyramid, rendered, its_pages))
        return Slide(pyramid, grid, levels, frozenset(levels), stamp, thumbnail, reader, stored_ns=stored_ns)
    reader = _original_reader(slide)
    grid = reader.grid()
    stored = reader.levels(grid)
    native = {dz: level for dz, level in stored.items() if isinstance(level, JpegLevel)}
    decoded = {dz: level for dz, level in stored.items() if isinstance(level, Jpeg2000Level)}
    levels = {**({} if rendered is None else _match(grid, rendered, its_pages)), **native}
    return Slide(slide, grid, levels, frozenset(native), stamp, thumbnail, reader, decoded, stored_ns)


def _rendered(pyramid: Path) -> tuple[OpenFile | None, tuple[Page, ...]]:
    try:
        file = OpenFile(pyramid)
    except FileMissingError:
        return None, ()
    return file, tiled_pages(file)


def is_complete(pages: tuple[Page, ...]) -> bool:
    """Tell whether these pages of a pyramid hold every level, and need no original."""
    if not pages or not pages[0].description.startswith(COMPLETE):
        return False
    grid = native_grid(pages)
    held = {matching_level(grid, page) for page in filter(can_pass_through, pages)}
    return held.issuperset(range(grid.level_count))


def _original_reader(slide: Path) -> SlideReader:
    try:
        return reader_of(slide)
    except FileMissingError as error:
        if read_note(slide.parent) is None:
            raise
        raise UnreadableSlideError(
            "this slide's original is archived and its pyramid is damaged: restore the original"
        ) from error


def tiled_pages(file: OpenFile) -> tuple[Page, ...]:
    """Give the tiled pages of a TIFF; none where it is damaged or none at all."""
    try:
        return tiled(read_pages(file))
    except UnreadableSlideError:
        return ()


def _match(grid: Grid, file: OpenFile, pages: tuple[Page, ...]) -> dict[int, JpegLevel]:
    return levels_on(grid, pages, can_pass_through, lambda page: jpeg_level(file, page))
