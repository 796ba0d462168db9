"""Readers of Aperio slides: TIFF files whose first page is full resolution and describes the scan.

Stored JPEG tiles are passed through, JPEG 2000 tiles are decoded by this package; for other codings, and for whole
regions, OpenSlide reads the pixels. Only Aperio's layout is supported: other vendors' tiles may overlap or be
positioned by tags.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from vsv.errors import CorruptTileError, UnreadableSlideError
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
from vsv.slides.source import Source

if TYPE_CHECKING:  # cold start
    from typing import Self

    from PIL import Image

    from vsv.formats.tiff import Page
    from vsv.slides.deepzoom_grid import Grid
    from vsv.slides.levels import Level
    from vsv.slides.openslide_reader import OpenSlideReader
    from vsv.slides.properties import Scan
    from vsv.slides.reader import Box, Pixels

_COLOURS = 3  # pages of one sample a pixel are a fluorescence slide's channels, not planes
_SAMPLE_TILES = 16


class AperioReader:
    """An Aperio slide with a tile coding that only OpenSlide decodes."""

    def __init__(self, source: Source) -> None:
        self.source = source

    @classmethod
    def of(cls, source: Source) -> AperioReader | None:
        """Return a reader for an Aperio slide, None for other files."""
        return cls(source) if is_aperio_slide(source.pages) else None

    @property
    def may_have_profile(self) -> bool:
        """Whether the first page has an ICC profile."""
        return self.source.pages[0].icc is not None

    def grid(self) -> Grid:
        """Return the grid of full resolution, with the sizes of slide and tiles that OpenSlide reports."""
        return self._openslide().grid()

    def levels(self, grid: Grid) -> Mapping[int, Level]:
        """Return no level: only OpenSlide can decode the tiles."""
        del grid
        return {}

    def halvings(self, shift: int) -> int:
        """Return the number of halvings between OpenSlide's level and the requested level."""
        return self._openslide().halvings(shift)

    def region(self, shift: int, box: Box) -> Pixels:
        """Return the pixels of a box, read by OpenSlide; raise CorruptTileError where they are damaged."""
        return self._openslide().region(shift, box)

    def associated_images(self) -> dict[str, Image.Image]:
        """Return label, thumbnail and macro, including those that only the subfile type identifies (GT450)."""
        from vsv.slides.associated_images import aperio_images  # noqa: PLC0415  cold start

        return aperio_images(self.source.path, self.source.pages)

    def icc_profile(self, check_size: Callable[[int], object]) -> bytes | None:
        """Return the first page's ICC profile, None without one; ``check_size`` may raise ValueError."""
        place = self.source.pages[0].icc
        if place is None:
            return None
        check_size(place.count)
        return OpenFile(self.source.path).read(place.at, place.count)

    def properties(self) -> Scan:
        """Return the properties in the first page's description."""
        from vsv.slides.properties import aperio_properties  # noqa: PLC0415  cold start

        return aperio_properties(self.source.pages[0])

    def check(self) -> tuple[int, int]:
        """Return width and height; raise UnreadableSlideError where OpenSlide cannot open the file."""
        return self._openslide().check()

    def _openslide(self) -> OpenSlideReader:
        from vsv.slides.openslide_reader import OpenSlideReader  # noqa: PLC0415  a fifth of a cold start

        refused = self.source.refused
        numbers = (level for level, page in enumerate(tiled(self.source.pages)) if page.index in refused)
        return OpenSlideReader(self.source.path, self.source.pages[0], refused=frozenset(numbers))


class StoredLevelsReader(AperioReader):
    """An Aperio slide whose tiles this package reads itself.

    ``planes`` holds the tiled pages of each focal plane, where the slide has several; ``plane`` is the index of the
    plane that is shown, by default the middle one.
    """

    def __init__(self, source: Source, plane: int | None = None) -> None:
        super().__init__(source)
        self.planes: tuple[tuple[Page, ...], ...] = ()
        self.plane = 0
        if has_planes(source.shown_pages):
            from vsv.slides.focal_planes import focal_planes, middle  # noqa: PLC0415  cold start: few slides have any

            self.planes = focal_planes(tiled(source.shown_pages))
            self.plane = middle(self.planes) if plane is None else plane

    def at_plane(self, plane: int) -> Self:
        """Return a reader of another of the slide's focal planes."""
        return type(self)(self.source, plane)

    @property
    def level_pages(self) -> tuple[Page, ...]:
        """The tiled pages of the focal plane that is shown."""
        return self.planes[self.plane] if self.planes else tiled(self.source.shown_pages)

    def grid(self) -> Grid:
        """Return the grid of the stored tiles."""
        return native_grid(self.source.pages)

    def check(self) -> tuple[int, int]:
        """Return width and height if OpenSlide opens the file, or else if some of the tiles can be decoded here.

        OpenSlide refuses whole slides for the order of their pages, which does not matter here. Raise
        UnreadableSlideError.
        """
        try:
            return super().check()
        except UnreadableSlideError:
            grid = self.grid()
            level = self.levels(grid).get(grid.max_level)
            if level is None or not _any_decodes(level):
                raise
            return grid.width_px, grid.height_px


class AperioJpegReader(StoredLevelsReader):
    """An Aperio slide whose JPEG tiles can be passed through, or a complete pyramid, which has the same layout."""

    @classmethod
    def of(cls, source: Source) -> AperioJpegReader | None:
        """Return a reader for an Aperio slide of JPEG tiles, None for other files."""
        pages = tiled(source.pages)
        fits = (
            is_aperio_slide(source.pages) and pages and is_aperio_slide(pages) and can_pass_through(pages[0])
        )
        return cls(source) if fits else None

    def levels(self, grid: Grid) -> Mapping[int, Level]:
        """Return the stored levels that match a level of this grid."""
        return levels_on(
            grid, self.level_pages, can_pass_through, lambda page: jpeg_level(self.source.file, page)
        )


class AperioJpeg2000Reader(StoredLevelsReader):
    """An Aperio slide whose JPEG 2000 tiles are decoded by this package."""

    @classmethod
    def of(cls, source: Source) -> AperioJpeg2000Reader | None:
        """Return a reader for an Aperio slide of JPEG 2000 tiles; None for other files, and without the decoder."""
        pages = tiled(source.pages)
        fits = is_aperio_slide(source.pages) and pages and is_aperio_slide(pages) and can_decode(pages[0])
        return cls(source) if fits and has_decoder() else None

    def levels(self, grid: Grid) -> Mapping[int, Level]:
        """Return the stored levels that match a level of this grid."""
        return levels_on(
            grid, self.level_pages, can_decode, lambda page: jpeg2000_level(self.source.file, page)
        )


def has_planes(pages: tuple[Page, ...]) -> bool:
    """Return whether further tiled pages have the size and coding of the first: focal planes in colour."""
    first, *others = tiled(pages) or (None,)
    if first is None or first.samples < _COLOURS:
        return False
    same = (first.width_px, first.height_px, first.samples)
    return any((page.width_px, page.height_px, page.samples) == same for page in others)


def _any_decodes(level: Level) -> bool:
    """Return whether any of a few tiles, spread over a level, can be decoded."""
    columns, rows = level.page.columns, level.page.rows
    for part in range(_SAMPLE_TILES):
        index = part * (columns * rows - 1) // (_SAMPLE_TILES - 1)
        try:
            level.decoded(index % columns, index // columns, 0)
        except CorruptTileError:
            continue
        return True
    return False


def is_aperio_slide(pages: tuple[Page, ...]) -> bool:
    """Return whether the first of these pages has an Aperio description."""
    return bool(pages) and is_aperio(pages[0].description)


def has_decoder() -> bool:
    """Return whether this package can decode JPEG 2000."""
    from vsv.formats import openjpeg  # noqa: PLC0415  cold start: few slides are JPEG 2000

    return openjpeg.available()
