"""A slide as the tile server sees it: which Deep Zoom level is stored where."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from vsv.errors import CorruptTileError, FileMissingError, UnreadableSlideError
from vsv.formats.aperio_description import is_aperio
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import Array, Page, is_tiff, read_pages
from vsv.slides.deepzoom_grid import Grid
from vsv.slides.levels import (
    Jpeg2000Level,
    JpegLevel,
    Level,
    can_decode,
    can_pass_through,
    jpeg2000_level,
    jpeg_level,
)
from vsv.storage import nfs
from vsv.storage.archive_marker import read_note

# How the first page of a pyramid says that it holds all levels, and needs no original.
COMPLETE = "vsv complete pyramid"
# Who reads what cannot be passed through, and where an ICC profile is: our own TIFF reader knows Aperio's.
Origin = Literal["aperio", "other", "ordinary"]
Kind = TypeVar("Kind", JpegLevel, Jpeg2000Level)

DEFAULT_TILE_SIZE = 256
# Aperio rounds its levels' sizes down where Deep Zoom rounds up, and its ratios are then slightly off (4.0003).
# A level that is this close is the Deep Zoom level: over the whole slide it is at most this many pixels away.
LEVEL_TOLERANCE_PX = 2
# libjpeg reduces while decoding by up to 8, at a fraction of the cost; what lies beyond is averaged.
MAX_DCT_SHIFT = 3
# The most stored tiles that are read for one tile: the coarsest levels of a slide with one level would take all.
MAX_SOURCE_TILES = 1024


@dataclass(frozen=True, slots=True)
class Slide:
    """An opened slide.

    ``levels`` holds what is stored as JPEG tiles of the grid's size, by Deep Zoom level; ``native`` tells which
    of them the original has. ``decoded`` holds an Aperio slide's levels of JPEG 2000 tiles, which are decoded here.
    Where both lack full resolution the pixels come through OpenSlide, or from an ordinary image. ``icc`` is where
    an Aperio slide's ICC profile lies. Where the pyramid is complete, ``path`` is the pyramid's, and the original is
    not looked at. ``stored_ns`` is when the original's file was written, in nanoseconds since the epoch.
    """

    path: Path
    grid: Grid
    levels: Mapping[int, JpegLevel]
    native: frozenset[int]
    stamp: str
    thumbnail: Path
    origin: Origin = "aperio"
    icc: Array | None = None
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
        of DCT scaling and resolution levels. None: through OpenSlide.
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
                raise FileMissingError("the slide's file is missing") from error
            nfs.look(slide.parent)  # another machine may have written the note a moment ago
    raise AssertionError


def open_slide(slide: Path, pyramid: Path, thumbnail: Path) -> Slide:
    """Open a slide and, where it exists, its pyramid; raises UnreadableSlideError and FileMissingError."""
    stamp, (_, stored_ns) = stamp_of(slide, pyramid), _original(slide)
    rendered, its_pages = _rendered(pyramid)
    if rendered is not None and is_complete(its_pages):
        grid = _native_grid(its_pages)
        levels, icc = _match(grid, rendered, its_pages), its_pages[0].icc
        return Slide(pyramid, grid, levels, frozenset(levels), stamp, thumbnail, icc=icc, stored_ns=stored_ns)
    file = _opened_original(slide)
    # A damaged TIFF ends here: OpenSlide would believe it, and ask for gigabytes.
    every = read_pages(file) if is_tiff(file) else ()
    pages, origin = _tiled(every), _origin(slide, every)
    is_native, is_decoded = _is_native(pages), _is_decoded(pages)
    grid = _native_grid(pages) if is_native or is_decoded else _rendered_grid(slide, origin)
    native = _match(grid, file, pages) if is_native else {}
    decoded = (
        _assigned(grid, pages, can_decode, lambda page: jpeg2000_level(file, page)) if is_decoded else {}
    )
    levels = {**({} if rendered is None else _match(grid, rendered, its_pages)), **native}
    icc = every[0].icc if origin == "aperio" else None
    return Slide(slide, grid, levels, frozenset(native), stamp, thumbnail, origin, icc, decoded, stored_ns)


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
    grid = _native_grid(pages)
    held = {matching_level(grid, page) for page in filter(can_pass_through, pages)}
    return held.issuperset(range(grid.level_count))


def _opened_original(slide: Path) -> OpenFile:
    try:
        return OpenFile(slide)
    except FileMissingError as error:
        if read_note(slide.parent) is None:
            raise
        raise UnreadableSlideError(
            "this slide's original is archived and its pyramid is damaged: unarchive the original"
        ) from error


def _origin(path: Path, pages: tuple[Page, ...]) -> Origin:
    if pages and is_aperio(pages[0].description):
        return "aperio"
    from vsv.slides.image_reader import is_plain  # noqa: PLC0415  cold start: most slides are Aperio's

    return "ordinary" if is_plain(path) else "other"


def tiled_pages(file: OpenFile) -> tuple[Page, ...]:
    """Give the tiled pages of a TIFF; none where it is damaged or none at all."""
    try:
        return _tiled(read_pages(file))
    except UnreadableSlideError:
        return ()


def _tiled(pages: tuple[Page, ...]) -> tuple[Page, ...]:
    return tuple(page for page in pages if page.is_tiled)


def _is_native(pages: tuple[Page, ...]) -> bool:
    """Tell whether full resolution can be passed through.

    Only Aperio's layout is read here: other vendors' tiles may overlap or be placed by other tags.
    """
    return bool(pages) and is_aperio(pages[0].description) and can_pass_through(pages[0])


def _is_decoded(pages: tuple[Page, ...]) -> bool:
    """Tell whether full resolution is Aperio's JPEG 2000 and can be decoded here."""
    if not (pages and is_aperio(pages[0].description) and can_decode(pages[0])):
        return False
    from vsv.formats import openjpeg  # noqa: PLC0415  cold start: few slides are JPEG 2000

    return openjpeg.available()


def _native_grid(pages: tuple[Page, ...]) -> Grid:
    return Grid(pages[0].width_px, pages[0].height_px, pages[0].tile_width_px)


def _rendered_grid(path: Path, origin: Origin) -> Grid:
    from vsv.slides import image_reader, openslide_reader  # noqa: PLC0415  cold start: most slides never need them

    if origin == "ordinary":
        return Grid(*image_reader.dimensions(path), DEFAULT_TILE_SIZE)
    width_px, height_px, tile_size = openslide_reader.dimensions(path)
    return Grid(width_px, height_px, tile_size or DEFAULT_TILE_SIZE)


def _match(grid: Grid, file: OpenFile, pages: tuple[Page, ...]) -> dict[int, JpegLevel]:
    return _assigned(grid, pages, can_pass_through, lambda page: jpeg_level(file, page))


def _assigned(
    grid: Grid, pages: tuple[Page, ...], usable: Callable[[Page], bool], prepare: Callable[[Page], Kind]
) -> dict[int, Kind]:
    """Assign pages to the Deep Zoom levels that they hold."""
    found: dict[int, Kind] = {}
    for page in filter(usable, pages):
        level_dz = matching_level(grid, page)
        if level_dz is None or level_dz in found:
            continue
        try:
            found[level_dz] = prepare(page)
        except CorruptTileError:
            continue  # the level is rendered from the others instead
    return found


def matching_level(grid: Grid, page: Page) -> int | None:
    """Give the Deep Zoom level that a tiled page holds, or None."""
    if page.tile_width_px != grid.tile_size:
        return None
    for level_dz in range(grid.max_level, -1, -1):
        width_px, height_px = grid.level_size(level_dz)
        slack = LEVEL_TOLERANCE_PX if max(width_px, height_px) > grid.tile_size else 0
        if abs(page.width_px - width_px) <= slack and abs(page.height_px - height_px) <= slack:
            return level_dz
    return None
