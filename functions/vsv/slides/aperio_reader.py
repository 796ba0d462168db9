"""Aperio's slides: TIFF whose first page is full resolution and describes the scan.

Stored JPEG tiles are passed through, JPEG 2000 tiles are decoded here; for other codings, and for whole regions,
OpenSlide reads the pixels. Only Aperio's layout is read here: other vendors' tiles may overlap or be placed by tags.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vsv.formats.aperio_description import is_aperio
from vsv.formats.random_access import OpenFile
from vsv.slides.levels import (
    can_decode,
    can_pass_through,
    jpeg2000_level,
    jpeg_level,
    levels_on,
    native_grid,
    tiled,
)
from vsv.slides.reader import Source

if TYPE_CHECKING:  # cold start
    from PIL import Image

    from vsv.formats.tiff import Page
    from vsv.slides.deepzoom_grid import Grid
    from vsv.slides.levels import Level
    from vsv.slides.openslide_reader import OpenSlideReader
    from vsv.slides.properties import Scan
    from vsv.slides.reader import Box, Pixels


@dataclass(frozen=True, eq=False)
class AperioReader:
    """An Aperio slide whose tiles are coded in a way that only OpenSlide decodes."""

    source: Source

    @classmethod
    def of(cls, source: Source) -> AperioReader | None:
        """Return the reader of an Aperio slide, None for other files."""
        return cls(source) if is_aperio_slide(source.pages) else None

    @property
    def may_have_profile(self) -> bool:
        """Whether the first page has an ICC profile."""
        return self.source.pages[0].icc is not None

    def grid(self) -> Grid:
        """Return the size of full resolution, and the side of a tile as OpenSlide reports them."""
        return self._openslide().grid()

    def levels(self, grid: Grid) -> Mapping[int, Level]:
        """Return no level: no tile can be read here."""
        del grid
        return {}

    def halvings(self, shift: int) -> int:
        """Return how many halvings lie between OpenSlide's level and the one wanted."""
        return self._openslide().halvings(shift)

    def region(self, shift: int, box: Box) -> Pixels:
        """Return a box by OpenSlide; raise CorruptTileError."""
        return self._openslide().region(shift, box)

    def associated_images(self) -> dict[str, Image.Image]:
        """Return label, thumbnail and macro, those as well that only their subfile type names (GT450)."""
        from vsv.slides.associated_images import aperio_images  # noqa: PLC0415  cold start

        return aperio_images(self.source.path, self.source.pages)

    def icc_profile(self, check_size: Callable[[int], object]) -> bytes | None:
        """Return the profile of the first page; None where there is none. Raise ValueError by ``check_size``."""
        place = self.source.pages[0].icc
        if place is None:
            return None
        check_size(place.count)
        return OpenFile(self.source.path).read(place.at, place.count)

    def properties(self) -> Scan:
        """Return what the first page's description says."""
        from vsv.slides.properties import aperio_properties  # noqa: PLC0415  cold start

        return aperio_properties(self.source.pages[0])

    def check(self) -> tuple[int, int]:
        """Return width and height as OpenSlide opens the file; raise UnreadableSlideError."""
        return self._openslide().check()

    def _openslide(self) -> OpenSlideReader:
        from vsv.slides.openslide_reader import OpenSlideReader  # noqa: PLC0415  cold start: a fifth of it

        return OpenSlideReader(self.source.path, self.source.pages[0])


class AperioJpegReader(AperioReader):
    """An Aperio slide whose JPEG tiles can be shown as they are stored, or a complete pyramid, which is like one."""

    @classmethod
    def of(cls, source: Source) -> AperioJpegReader | None:
        """Return the reader of an Aperio slide of JPEG tiles, None for other files."""
        pages = tiled(source.pages)
        fits = (
            is_aperio_slide(source.pages) and pages and is_aperio_slide(pages) and can_pass_through(pages[0])
        )
        return cls(source) if fits else None

    def grid(self) -> Grid:
        """Return the grid of the stored tiles."""
        return native_grid(self.source.pages)

    def levels(self, grid: Grid) -> Mapping[int, Level]:
        """Return the stored levels that are levels of this grid."""
        return levels_on(
            grid, self.source.pages, can_pass_through, lambda page: jpeg_level(self.source.file, page)
        )


class AperioJpeg2000Reader(AperioReader):
    """An Aperio slide whose JPEG 2000 tiles are decoded here."""

    @classmethod
    def of(cls, source: Source) -> AperioJpeg2000Reader | None:
        """Return the reader of an Aperio slide of JPEG 2000 tiles; None for others, and without the decoder."""
        pages = tiled(source.pages)
        fits = is_aperio_slide(source.pages) and pages and is_aperio_slide(pages) and can_decode(pages[0])
        return cls(source) if fits and _has_decoder() else None

    def grid(self) -> Grid:
        """Return the grid of the stored tiles."""
        return native_grid(self.source.pages)

    def levels(self, grid: Grid) -> Mapping[int, Level]:
        """Return the stored levels that are levels of this grid."""
        return levels_on(
            grid, self.source.pages, can_decode, lambda page: jpeg2000_level(self.source.file, page)
        )


def is_aperio_slide(pages: tuple[Page, ...]) -> bool:
    """Return whether the first of these pages is described as Aperio does."""
    return bool(pages) and is_aperio(pages[0].description)


def _has_decoder() -> bool:
    from vsv.formats import openjpeg  # noqa: PLC0415  cold start: few slides are JPEG 2000

    return openjpeg.available()
