"""Stored levels: each is one TIFF page whose tiles are found by arithmetic and a few small reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from vsv.errors import CorruptTileError, EmptyTileError
from vsv.formats.jpeg import Completer, tables_prefix
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import (
    COMPRESSION_JPEG,
    COMPRESSION_JPEG2000_RGB,
    COMPRESSION_JPEG2000_YCBCR,
    PHOTOMETRIC_GREY,
    PHOTOMETRIC_RGB,
    PHOTOMETRIC_YCBCR,
    Page,
)
from vsv.formats.tile_offsets import TileSpans
from vsv.slides.deepzoom_grid import Grid, shrunk

if TYPE_CHECKING:  # cold start: a passed-through tile needs no numpy
    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]

# libjpeg reduces by up to 8 during decoding, at a fraction of the cost; further halvings are averaged.
MAX_DCT_SHIFT = 3
# Aperio rounds level sizes down where Deep Zoom rounds up, so that its ratios are slightly off (4.0003).
# A level within this tolerance is the Deep Zoom level: it deviates by at most this many pixels over the whole slide.
LEVEL_TOLERANCE_PX = 2
# Description of a complete pyramid's first page: the pyramid holds all levels and needs no original.
COMPLETE = "vsv complete pyramid"
# A JPEG tile many times larger than its raw pixels means a damaged directory.
MAX_TILE_BYTES = 16 << 20
# Beyond the largest files of file systems; the operating system accepts no offset much larger.
MAX_OFFSET = 1 << 60
# Larger tiles than browsers should load are cut into smaller ones.
MAX_JPEG_TILE_PX = 4096
# As in openslide_reader.dimensions: a slide has the same tiles with and without the JPEG 2000 decoder.
MIN_JPEG2000_TILE_PX, MAX_JPEG2000_TILE_PX = 128, 1024


@dataclass(frozen=True, slots=True)
class JpegLevel:
    """One level of square JPEG tiles, prepared for reading.

    ``rgb`` says that the components are RGB and not YCbCr.
    """

    file: OpenFile
    page: Page
    rgb: bool
    spans: TileSpans
    completer: Completer

    @property
    def width_px(self) -> int:
        """Width of the level in pixels."""
        return self.page.width_px

    @property
    def height_px(self) -> int:
        """Height of the level in pixels."""
        return self.page.height_px

    @property
    def tile_size(self) -> int:
        """Side of a tile in pixels."""
        return self.page.tile_width_px

    def jpeg(self, col: int, row: int) -> bytes:
        """Return a stored tile as a complete JPEG; raise CorruptTileError where the tile is missing or damaged."""
        return self.completer.complete(self.stored(row * self.page.columns + col))

    def decoded(self, col: int, row: int, shift: int, *, is_tolerant: bool = False) -> tuple[Pixels, int]:
        """Return a whole tile's RGB pixels, padding included, halved up to ``shift`` times, and the halvings left.

        Raise CorruptTileError where the tile is missing or damaged; ``is_tolerant``: only where nothing is decoded.
        """
        from vsv.slides import jpeg_pixels  # noqa: PLC0415  cold start: numpy

        return jpeg_pixels.decoded(self, (col, row), shift, MAX_DCT_SHIFT, is_tolerant=is_tolerant)

    def stored(self, index: int) -> bytes:
        """Return the stored bytes of the page's tile ``index``; raise CorruptTileError where the tile is missing."""
        return _stored(self.file, self.spans, index)


@dataclass(frozen=True, slots=True)
class Jpeg2000Level:
    """One level of Aperio's square JPEG 2000 tiles, which browsers cannot show; ``ycbcr``: YCbCr and not RGB."""

    file: OpenFile
    page: Page
    ycbcr: bool
    spans: TileSpans

    @property
    def width_px(self) -> int:
        """Width of the level in pixels."""
        return self.page.width_px

    @property
    def height_px(self) -> int:
        """Height of the level in pixels."""
        return self.page.height_px

    @property
    def tile_size(self) -> int:
        """Side of a tile in pixels."""
        return self.page.tile_width_px

    def decoded(self, col: int, row: int, shift: int, *, is_tolerant: bool = False) -> tuple[Pixels, int]:
        """Return a whole tile's RGB pixels, padding included, halved up to ``shift`` times, and the halvings left.

        Raise CorruptTileError where the tile is missing or damaged: JPEG 2000 has no damage that could be tolerated.
        """
        del is_tolerant
        from vsv.slides import jpeg2000_reader  # noqa: PLC0415  cold start: few slides are JPEG 2000

        return jpeg2000_reader.tile_pixels(self, col, row, shift)

    def codestream(self, col: int, row: int) -> bytes:
        """Return a stored tile's bytes; raise CorruptTileError where the tile is missing."""
        return _stored(self.file, self.spans, row * self.page.columns + col)


Level = JpegLevel | Jpeg2000Level
Kind = TypeVar("Kind", JpegLevel, Jpeg2000Level)


def _stored(file: OpenFile, spans: TileSpans, index: int) -> bytes:
    offset, length = spans.span(index)
    if length == 0:
        raise EmptyTileError("the tile is empty")
    if length > MAX_TILE_BYTES:
        raise CorruptTileError("the tile's length is impossible")
    data = file.read(offset, length) if offset < MAX_OFFSET else b""
    if len(data) != length:
        raise CorruptTileError("the tile lies beyond the end of the file")
    return data


def can_pass_through(page: Page) -> bool:
    """Return whether browsers can show the page's tiles as they are stored."""
    return (
        page.is_tiled
        and page.compression == COMPRESSION_JPEG
        and page.tile_width_px == page.tile_height_px
        and page.tile_width_px % 16 == 0
        and page.tile_width_px <= MAX_JPEG_TILE_PX
        and page.bits_per_sample == 8
        and (page.samples, page.photometric)
        in {(3, PHOTOMETRIC_RGB), (3, PHOTOMETRIC_YCBCR), (1, PHOTOMETRIC_GREY)}
        and page.planar == 1
    )


def jpeg_level(file: OpenFile, page: Page) -> JpegLevel:
    """Return a page of JPEG tiles as a level; raise CorruptTileError where its JPEG tables are damaged."""
    rgb = page.photometric == PHOTOMETRIC_RGB
    prefix, size_px = tables_prefix(page.jpeg_tables, rgb=rgb), (page.tile_width_px, page.tile_height_px)
    completer = Completer(prefix, size_px, page.samples, rgb=rgb)
    return JpegLevel(file, page, rgb, TileSpans(file, page), completer)


def can_decode(page: Page) -> bool:
    """Return whether the page holds Aperio's kind of JPEG 2000 tiles, on a grid that OpenSlide reports as well."""
    return (
        page.is_tiled
        and page.compression in {COMPRESSION_JPEG2000_YCBCR, COMPRESSION_JPEG2000_RGB}
        and page.tile_width_px == page.tile_height_px
        and page.tile_width_px % 16 == 0
        and MIN_JPEG2000_TILE_PX <= page.tile_width_px <= MAX_JPEG2000_TILE_PX
        and (page.bits_per_sample, page.samples, page.planar) == (8, 3, 1)
    )


def jpeg2000_level(file: OpenFile, page: Page) -> Jpeg2000Level:
    """Return a page of JPEG 2000 tiles as a level."""
    ycbcr = page.compression == COMPRESSION_JPEG2000_YCBCR
    return Jpeg2000Level(file, page, ycbcr, TileSpans(file, page))


def tiled(pages: tuple[Page, ...]) -> tuple[Page, ...]:
    """Return the tiled pages among a TIFF's pages."""
    return tuple(page for page in pages if page.is_tiled)


def native_grid(pages: tuple[Page, ...]) -> Grid:
    """Return the grid of the first tiled page, which is full resolution."""
    first = tiled(pages)[0]
    return Grid(first.width_px, first.height_px, first.tile_width_px)


def levels_on(
    grid: Grid, pages: tuple[Page, ...], usable: Callable[[Page], bool], prepare: Callable[[Page], Kind]
) -> dict[int, Kind]:
    """Return the levels of usable pages by Deep Zoom level; leave out pages that cannot be prepared."""
    levels: dict[int, Kind] = {}
    for level_dz, page in _matches(grid, filter(usable, tiled(pages))):
        if level_dz in levels:
            continue
        try:
            levels[level_dz] = prepare(page)
        except CorruptTileError:
            continue  # the level is rendered from the other levels instead
    return levels


def _matches(grid: Grid, pages: Iterable[Page]) -> list[tuple[int, Page]]:
    """Return the pages that are levels of the grid, and which; of several for one level, the nearest in size first.

    A tiled thumbnail may be within the tolerance of a level; of two pages of a level's size the first counts.
    """
    found = [(level_dz, page) for page in pages if (level_dz := matching_level(grid, page)) is not None]
    if len(found) > len({level_dz for level_dz, _ in found}):
        found.sort(key=lambda match: _deviation_px(grid, *match))
    return found


def _deviation_px(grid: Grid, level_dz: int, page: Page) -> int:
    """Return by how many pixels a page's sides differ from the level's, rounded down or up."""
    shift = grid.max_level - level_dz
    sides = (page.width_px, grid.width_px), (page.height_px, grid.height_px)
    return sum(min(abs(side - (full >> shift)), abs(side - shrunk(full, shift))) for side, full in sides)


def matching_level(grid: Grid, page: Page) -> int | None:
    """Return the Deep Zoom level that a tiled page holds, None where there is none."""
    if page.tile_width_px != grid.tile_size:
        return None
    for level_dz in range(grid.max_level, -1, -1):
        width_px, height_px = grid.level_size(level_dz)
        tolerance = LEVEL_TOLERANCE_PX if max(width_px, height_px) > grid.tile_size else 0
        if abs(page.width_px - width_px) <= tolerance and abs(page.height_px - height_px) <= tolerance:
            return level_dz
    return None
