"""Stored levels: one TIFF page whose tiles are found by arithmetic and a few small reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from vsv.errors import CorruptTileError
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
from vsv.slides.deepzoom_grid import Grid

if TYPE_CHECKING:  # cold start: a passed-through tile needs no numpy
    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]

# libjpeg reduces while decoding by up to 8, at a fraction of the cost; what lies beyond is averaged.
MAX_DCT_SHIFT = 3
# Aperio rounds its levels' sizes down where Deep Zoom rounds up, and its ratios are then slightly off (4.0003).
# A level that is this close is the Deep Zoom level: over the whole slide it is at most this many pixels away.
LEVEL_TOLERANCE_PX = 2
# A JPEG tile larger than its raw pixels many times over is a lie in the directory, not a tile.
MAX_TILE_BYTES = 16 << 20
# Beyond what file systems hold; the operating system takes no position much above.
MAX_OFFSET = 1 << 60
# As in openslide_source.dimensions: with and without our own decoder a slide has the same tiles.
MIN_JPEG2000_TILE_PX, MAX_JPEG2000_TILE_PX = 128, 1024


@dataclass(frozen=True, slots=True)
class JpegLevel:
    """One level of square JPEG tiles, ready to be read.

    ``rgb`` tells that its components are RGB and not YCbCr.
    """

    file: OpenFile
    page: Page
    rgb: bool
    spans: TileSpans
    completer: Completer

    @property
    def width_px(self) -> int:
        """Width of the level."""
        return self.page.width_px

    @property
    def height_px(self) -> int:
        """Height of the level."""
        return self.page.height_px

    @property
    def tile_size(self) -> int:
        """Side of a tile in pixels."""
        return self.page.tile_width_px

    def jpeg(self, col: int, row: int) -> bytes:
        """Give the whole stored tile as a JPEG; raises CorruptTileError where there is none that can be shown."""
        return self.completer.complete(self.stored(row * self.page.columns + col))

    def decoded(self, col: int, row: int, shift: int) -> tuple[Pixels, int]:
        """Return a whole tile's RGB pixels, padding included, halved up to ``shift`` times, and the halvings left.

        Raise CorruptTileError.
        """
        from vsv.slides import jpeg_pixels  # noqa: PLC0415  cold start: numpy

        return jpeg_pixels.decoded(self, (col, row), shift, MAX_DCT_SHIFT)

    def stored(self, index: int) -> bytes:
        """Give what is stored of the page's tile ``index``; raises CorruptTileError where there is nothing."""
        return _stored(self.file, self.spans, index)


@dataclass(frozen=True, slots=True)
class Jpeg2000Level:
    """One level of Aperio's square JPEG 2000 tiles, which no browser shows; ``ycbcr`` tells what they hold."""

    file: OpenFile
    page: Page
    ycbcr: bool
    spans: TileSpans

    @property
    def width_px(self) -> int:
        """Width of the level."""
        return self.page.width_px

    @property
    def height_px(self) -> int:
        """Height of the level."""
        return self.page.height_px

    @property
    def tile_size(self) -> int:
        """Side of a tile in pixels."""
        return self.page.tile_width_px

    def decoded(self, col: int, row: int, shift: int) -> tuple[Pixels, int]:
        """Return a whole tile's RGB pixels, padding included, halved up to ``shift`` times, and the halvings left.

        Raise CorruptTileError.
        """
        from vsv.slides import jpeg2000_reader  # noqa: PLC0415  cold start: few slides are JPEG 2000

        return jpeg2000_reader.tile_pixels(self, col, row, shift)

    def codestream(self, col: int, row: int) -> bytes:
        """Give the stored tile; raises CorruptTileError where there is none."""
        return _stored(self.file, self.spans, row * self.page.columns + col)


Level = JpegLevel | Jpeg2000Level
Kind = TypeVar("Kind", JpegLevel, Jpeg2000Level)


def _stored(file: OpenFile, spans: TileSpans, index: int) -> bytes:
    offset, length = spans.span(index)
    if not 0 < length <= MAX_TILE_BYTES:
        raise CorruptTileError("the tile is empty" if length == 0 else "the tile's length is impossible")
    data = file.read(offset, length) if offset < MAX_OFFSET else b""
    if len(data) != length:
        raise CorruptTileError("the tile lies beyond the end of the file")
    return data


def can_pass_through(page: Page) -> bool:
    """Tell whether browsers can show the page's tiles as they are stored."""
    return (
        page.is_tiled
        and page.compression == COMPRESSION_JPEG
        and page.tile_width_px == page.tile_height_px
        and page.tile_width_px % 16 == 0
        and page.bits_per_sample == 8
        and (page.samples, page.photometric)
        in {(3, PHOTOMETRIC_RGB), (3, PHOTOMETRIC_YCBCR), (1, PHOTOMETRIC_GREY)}
        and page.planar == 1
    )


def jpeg_level(file: OpenFile, page: Page) -> JpegLevel:
    """Prepare a page for reading; raises CorruptTileError where its JPEG tables are damaged."""
    rgb = page.photometric == PHOTOMETRIC_RGB
    prefix, size_px = tables_prefix(page.jpeg_tables, rgb=rgb), (page.tile_width_px, page.tile_height_px)
    completer = Completer(prefix, size_px, page.samples, rgb=rgb)
    return JpegLevel(file, page, rgb, TileSpans(file, page), completer)


def can_decode(page: Page) -> bool:
    """Tell whether the page holds JPEG 2000 tiles as Aperio stores them, on a grid that OpenSlide shows as well."""
    return (
        page.is_tiled
        and page.compression in {COMPRESSION_JPEG2000_YCBCR, COMPRESSION_JPEG2000_RGB}
        and page.tile_width_px == page.tile_height_px
        and page.tile_width_px % 16 == 0
        and MIN_JPEG2000_TILE_PX <= page.tile_width_px <= MAX_JPEG2000_TILE_PX
        and (page.bits_per_sample, page.samples, page.planar) == (8, 3, 1)
    )


def jpeg2000_level(file: OpenFile, page: Page) -> Jpeg2000Level:
    """Prepare a page of JPEG 2000 tiles for reading."""
    ycbcr = page.compression == COMPRESSION_JPEG2000_YCBCR
    return Jpeg2000Level(file, page, ycbcr, TileSpans(file, page))


def tiled(pages: tuple[Page, ...]) -> tuple[Page, ...]:
    """Return those of a TIFF's pages that are made of tiles."""
    return tuple(page for page in pages if page.is_tiled)


def native_grid(pages: tuple[Page, ...]) -> Grid:
    """Return the grid of the first tiled page, full resolution."""
    first = tiled(pages)[0]
    return Grid(first.width_px, first.height_px, first.tile_width_px)


def levels_on(
    grid: Grid, pages: tuple[Page, ...], usable: Callable[[Page], bool], prepare: Callable[[Page], Kind]
) -> dict[int, Kind]:
    """Return the levels that usable pages hold, by Deep Zoom level; a page that cannot be prepared is left out."""
    found: dict[int, Kind] = {}
    for page in filter(usable, tiled(pages)):
        level_dz = matching_level(grid, page)
        if level_dz is None or level_dz in found:
            continue
        try:
            found[level_dz] = prepare(page)
        except CorruptTileError:
            continue  # the level is rendered from the others instead
    return found


def matching_level(grid: Grid, page: Page) -> int | None:
    """Return the Deep Zoom level that a tiled page holds, or None."""
    if page.tile_width_px != grid.tile_size:
        return None
    for level_dz in range(grid.max_level, -1, -1):
        width_px, height_px = grid.level_size(level_dz)
        slack = LEVEL_TOLERANCE_PX if max(width_px, height_px) > grid.tile_size else 0
        if abs(page.width_px - width_px) <= slack and abs(page.height_px - height_px) <= slack:
            return level_dz
    return None
