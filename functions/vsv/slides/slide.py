"""Slides for the tile server: where each Deep Zoom level of a slide is stored."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vsv.errors import FileMissingError, UnreadableSlideError
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import Page, read_pages
from vsv.slides.aperio_reader import AperioJpegReader, AperioReader
from vsv.slides.damage import NOTES, Damage, read_notes
from vsv.slides.deepzoom_grid import Grid
from vsv.slides.levels import (
    COMPLETE,
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
from vsv.slides.page_names import undescribed_levels
from vsv.slides.readers import reader_of
from vsv.slides.source import Source
from vsv.storage import nfs
from vsv.storage.archive_marker import read_note
from vsv.storage.refused_pages import read_refused

if TYPE_CHECKING:  # cold start: the protocol is for type checkers alone
    from vsv.slides.channel_set import ChannelSet
    from vsv.slides.reader import SlideReader

# The most stored tiles that are read for one tile: a coarse level of a slide with one level would need all tiles.
MAX_SOURCE_TILES = 1024


@dataclass(frozen=True, slots=True)
class Slide:
    """An opened slide.

    ``levels`` holds by Deep Zoom level the levels stored as JPEG tiles of the grid's size; ``native`` says which of
    them are in the original. ``decoded`` holds an Aperio slide's levels of JPEG 2000 tiles, which this package
    decodes. Where both lack full resolution, ``reader`` reads the pixels. Where the pyramid is complete, ``path`` is
    the pyramid's path, and the original is not read. ``stored_ns`` is the modification time of the original's file,
    in nanoseconds since the epoch. ``refused`` are the numbers of the file's pages that are not shown as levels;
    ``is_noted`` says that they were read from the note in the slide's claim. ``damage`` holds the tiles known to be
    damaged.
    """

    path: Path
    grid: Grid
    levels: Mapping[int, JpegLevel]
    native: frozenset[int]
    stamp: str
    thumbnail: Path
    reader: "SlideReader"
    decoded: Mapping[int, Jpeg2000Level] = field(default_factory=dict)
    stored_ns: int = 0
    refused: frozenset[int] = frozenset()
    is_noted: bool = False
    damage: Damage = field(default_factory=Damage)

    @property
    def is_stale(self) -> bool:
        """Whether a file of the slide was removed while open and can no longer be read."""
        levels: tuple[Level, ...] = (*self.levels.values(), *self.decoded.values())
        return any(level.file.is_stale for level in levels)

    @property
    def max_level(self) -> int:
        """Number of the full-resolution Deep Zoom level."""
        return self.grid.max_level

    @property
    def has_channels(self) -> bool:
        """Whether the original's pixels are channels in windows: deep samples, or fluorescence."""
        return getattr(self.reader, "is_drawn_from_channels", False)  # of one reader alone

    @property
    def channels(self) -> "ChannelSet | None":
        """The measured channels; None for a slide of 8-bit RGB."""
        return getattr(self.reader, "channels")() if self.has_channels else None  # noqa: B009  not in the protocol

    def source_level(self, level_dz: int) -> int | None:
        """Return the stored level to render from: the level itself, else a finer one; None: the reader must read."""
        if level_dz in self.levels or level_dz in self.decoded:
            return level_dz
        return self.finer_level(level_dz)

    def finer_level(self, level_dz: int) -> int | None:
        """Return the nearest finer stored level of the original, None where there is none.

        A rendered level has lost some quality already, so it is used only where the original's levels are beyond the
        range of DCT scaling and resolution levels.
        """
        original = self.native | self.decoded.keys()
        finer = sorted(level for level in self.levels.keys() | original if level > level_dz)
        near = [level for level in finer if level in original and level - level_dz <= MAX_DCT_SHIFT]
        return next(iter(near or finer), None)

    def next_finer_level(self, level_dz: int) -> int | None:
        """Return the nearest finer stored level, rendered or of the original; None where there is none."""
        return min((dz for dz in self.levels.keys() | self.decoded.keys() if dz > level_dz), default=None)

    def source(self, level_dz: int) -> Level:
        """Return a stored level: its JPEG level where there is one, else its JPEG 2000 level."""
        return self.levels.get(level_dz) or self.decoded[level_dz]

    def is_expensive(self, level_dz: int, shift: int) -> bool:
        """Return whether a tile of a level needs too many tiles of the level that is ``shift`` halvings finer."""
        columns, rows = self.grid.tile_counts(level_dz + shift)
        return min(columns, 1 << shift) * min(rows, 1 << shift) > MAX_SOURCE_TILES

    def is_provisional(self, level_dz: int) -> bool:
        """Return whether the level's tiles will look different once the pyramid is rendered."""
        if level_dz in self.levels:
            return False
        source_dz = self.source_level(level_dz)
        if source_dz is None or source_dz not in self.levels:
            return True
        return self.is_expensive(level_dz, source_dz - level_dz)

    def shows_damage(self, box_l0: tuple[int, int, int, int]) -> bool:
        """Return whether a box, in pixels of full resolution, touches a tile that is known to be damaged.

        A damaged tile of a reduced level shows the pixels of a finer level, and counts only where that is damaged.
        """
        if not self.damage:
            return False
        stored = self.levels.keys() | self.decoded.keys()
        seen = [dz for dz in tuple(self.damage.tiles) if dz == self.max_level or dz not in stored]
        return self.damage.is_full or any(self._touches(dz, box_l0) for dz in seen)

    def damaged_boxes(self, most: int) -> list[tuple[int, int, int, int]]:
        """Return left, top, width and height of damaged places at full resolution, about ``most`` of each level."""
        boxes: list[tuple[int, int, int, int]] = []
        for level_dz in sorted(self.damage.tiles, reverse=True):
            side_l0 = self.grid.tile_size << (self.max_level - level_dz)
            for row, first, end in self.damage.runs(level_dz)[: most + 1]:
                left, top = first * side_l0, row * side_l0
                width = min(end * side_l0, self.grid.width_px) - left
                boxes.append((left, top, width, min(side_l0, self.grid.height_px - top)))
        return boxes

    def _touches(self, level_dz: int, box_l0: tuple[int, int, int, int]) -> bool:
        side_l0 = self.grid.tile_size << (self.max_level - level_dz)
        left, top, right, bottom = box_l0
        columns, rows = (
            range(left // side_l0, -(-right // side_l0)),
            range(top // side_l0, -(-bottom // side_l0)),
        )
        return self.damage.touches(level_dz, columns, rows)


def stamp_of(slide: Path, pyramid: Path) -> str:
    """Return a text that changes with either file or the notes; raise FileMissingError without the slide's file.

    The text does not change when an original is archived or restored.
    """
    size, modified = _original(slide)
    return f"{size:x}-{modified:x}{_time_of(pyramid)}{_time_of(pyramid.with_name(NOTES))}"


def _time_of(path: Path) -> str:
    """Return a file's modification time as part of a stamp; empty where there is no file."""
    try:
        return f"-{os.stat(path).st_mtime_ns:x}"  # noqa: PTH116
    except OSError:
        return ""


def _original(slide: Path) -> tuple[int, int]:
    """Return size and modification time of the original, stored or archived; raise FileMissingError."""
    for can_retry in (True, False):
        try:
            stat = os.stat(slide)  # noqa: PTH116  Path.stat takes three times as long, for every tile
            return stat.st_size, stat.st_mtime_ns
        except OSError as error:
            if (note := read_note(slide.parent)) is not None:
                return note.size, note.modified
            if not can_retry:
                raise FileMissingError("the slide's file is missing") from error
            nfs.revalidate(slide.parent)  # another machine may have written the archive marker a moment ago
    raise AssertionError


def open_slide(slide: Path, pyramid: Path, thumbnail: Path, refused: frozenset[int] | None = None) -> Slide:
    """Open a slide and, where it exists, its pyramid; raise UnreadableSlideError or FileMissingError.

    Pages that look like levels are levels only where they show what full resolution shows: by ``refused``, else by
    the note in the slide's claim. Without a note, pages are levels that Aperio's software has described as such.
    """
    stamp, (_, stored_ns) = stamp_of(slide, pyramid), _original(slide)
    damage = read_notes(pyramid.with_name(NOTES))
    rendered, pages = _rendered(pyramid)
    noted = read_refused(slide.parent) if refused is None else refused
    if rendered is not None and is_complete(pages):
        opened = _open_complete(pyramid, rendered, pages)
    else:
        opened = _open_original(slide, rendered, pages, noted)
    opened = replace(opened, stamp=stamp, thumbnail=thumbnail, stored_ns=stored_ns)
    return replace(opened, is_noted=noted is not None, damage=damage)


def _open_complete(pyramid: Path, file: OpenFile, pages: tuple[Page, ...]) -> Slide:
    grid = native_grid(pages)
    levels = _match(grid, file, pages)
    reader: SlideReader = AperioJpegReader(Source(pyramid, file, pages))
    return Slide(pyramid, grid, levels, frozenset(levels), "", pyramid, reader)


def _open_original(
    slide: Path, rendered: OpenFile | None, pages: tuple[Page, ...], noted: frozenset[int] | None
) -> Slide:
    """Open an original with its rendered levels.

    Without a note, levels that an earlier version has rendered are not used where it may have used refused pages.
    """
    reader = _original_reader(slide, noted or frozenset())
    pages_read = reader.source.pages if isinstance(reader, AperioReader) else ()
    refused = undescribed_levels(pages_read) if noted is None else noted
    if noted is None and refused:
        reader, rendered = _original_reader(slide, refused), None
    grid = reader.grid()
    stored = reader.levels(grid)
    jpeg = {dz: level for dz, level in stored.items() if isinstance(level, JpegLevel)}
    decoded = {dz: level for dz, level in stored.items() if isinstance(level, Jpeg2000Level)}
    levels = {**({} if rendered is None else _match(grid, rendered, pages)), **jpeg}
    return Slide(slide, grid, levels, frozenset(jpeg), "", slide, reader, decoded, refused=refused)


def _rendered(pyramid: Path) -> tuple[OpenFile | None, tuple[Page, ...]]:
    try:
        file = OpenFile(pyramid)
    except FileMissingError:
        return None, ()
    return file, tiled_pages(file)


def is_complete(pages: tuple[Page, ...]) -> bool:
    """Return whether these pages of a pyramid hold every level, so that no original is needed."""
    if not pages or not pages[0].description.startswith(COMPLETE):
        return False
    grid = native_grid(pages)
    stored = {matching_level(grid, page) for page in filter(can_pass_through, pages)}
    return stored.issuperset(range(grid.level_count))


def _original_reader(slide: Path, refused: frozenset[int]) -> "SlideReader":
    try:
        return reader_of(slide, refused=refused)
    except FileMissingError as error:
        if read_note(slide.parent) is None:
            raise
        raise UnreadableSlideError(
            "this slide's original is archived and its pyramid is damaged: unarchive the original"
        ) from error


def tiled_pages(file: OpenFile) -> tuple[Page, ...]:
    """Return the tiled pages of a TIFF; none where the file is damaged or is not a TIFF."""
    try:
        return tiled(read_pages(file))
    except UnreadableSlideError:
        return ()


def _match(grid: Grid, file: OpenFile, pages: tuple[Page, ...]) -> dict[int, JpegLevel]:
    return levels_on(grid, pages, can_pass_through, lambda page: jpeg_level(file, page))
