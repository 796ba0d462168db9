"""Geometry of a slide's file, which the numbers in its descriptions must agree with: no other number is kept there.

An accession number can stand where a width belongs. A canvas, the area that was scanned, is somewhat larger than the
picture cut from it; only a canvas whose excess is too small to identify anybody is kept.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from vsv.formats.tiff import Page

# In pixels. Scanners cut off up to a stripe at the right, and a hundred lines at the top.
_MAX_MARGIN, _MAX_OFFSET = 2047, 999
_MAX_TILE, _TILE_STEP = 2048, 16
_MAX_QUALITY, _MAX_MAGNIFICATION, _MAX_UM_PER_PX = 100, 400, 100
_SIZE = re.compile(r"(\d{1,7})x(\d{1,7})", re.ASCII)
_REGION = re.compile(r"\[(\d{1,7}),(\d{1,7})[ ,](\d{1,7})x(\d{1,7})\]", re.ASCII)
_TILE = re.compile(r"\((\d{1,4})x(\d{1,4})\)", re.ASCII)
_QUALITY = re.compile(r"Q=(\d{1,3})", re.ASCII)

Size = tuple[int, int]


class Geometry(NamedTuple):
    """The sizes of a file's pages and tiles, in pixels."""

    pages: frozenset[Size]
    tiles: frozenset[Size]

    def known_words(self, words: list[str]) -> list[str]:
        """Return those words of a geometry line whose numbers are the file's."""
        sizes = self._sizes_in(words)
        return [word for word in words if self._is_known(word, sizes)]

    def sides_in(self, words: Iterable[str]) -> tuple[frozenset[int], frozenset[int]]:
        """Return the widths and heights that a description may name: the pages', and its canvas's."""
        sizes = self._sizes_in(words)
        return frozenset(width for width, _ in sizes), frozenset(height for _, height in sizes)

    def _sizes_in(self, words: Iterable[str]) -> frozenset[Size]:
        words = list(words)
        regions = [region for word in words if (region := self._region(word)) is not None]
        named = (_numbers(_SIZE.fullmatch(word)) for word in words)
        canvases = {
            (size[0], size[1])
            for size in named
            if size and any(_is_canvas(size, region) for region in regions)
        }
        return self.pages | canvases

    def _region(self, word: str) -> tuple[int, ...] | None:
        """Return the offset and size of a region that is a page of the file; None for other words."""
        region = _numbers(_REGION.fullmatch(word))
        if region is None or (region[2], region[3]) not in self.pages or max(region[:2]) > _MAX_OFFSET:
            return None
        return region

    def _is_known(self, word: str, sizes: frozenset[Size]) -> bool:
        if size := _numbers(_SIZE.fullmatch(word)):
            return size in sizes
        if _REGION.fullmatch(word):
            return self._region(word) is not None
        if tile := _numbers(_TILE.fullmatch(word)):
            return tile in self.tiles or _is_usual_tile(tile)
        quality = _numbers(_QUALITY.fullmatch(word))
        return quality is None or quality[0] <= _MAX_QUALITY


def geometry_of(pages: Iterable[Page]) -> Geometry:
    """Return the geometry of a file's pages."""
    pages = tuple(pages)
    return Geometry(
        frozenset((page.width_px, page.height_px) for page in pages),
        frozenset((page.tile_width_px, page.tile_height_px) for page in pages if page.is_tiled),
    )


def is_possible(key: str, value: float, sides: tuple[frozenset[int], frozenset[int]]) -> bool:
    """Return whether the number of a kept key can be what the key says."""
    if key == "OriginalWidth":
        return value in sides[0]
    if key.lower() == "originalheight":
        return value in sides[1]
    return 0 < value <= (_MAX_MAGNIFICATION if key == "AppMag" else _MAX_UM_PER_PX)


def _numbers(match: re.Match[str] | None) -> tuple[int, ...] | None:
    return tuple(map(int, match.groups())) if match else None


def _is_canvas(size: tuple[int, ...], region: tuple[int, ...]) -> bool:
    return all(0 <= excess <= _MAX_MARGIN for excess in _excess(size, region))


def _excess(size: tuple[int, ...], region: tuple[int, ...]) -> Iterator[int]:
    """Yield what a canvas has at the right of and below a region."""
    return (size[axis] - region[axis] - region[axis + 2] for axis in range(2))


def _is_usual_tile(tile: tuple[int, ...]) -> bool:
    return tile[0] == tile[1] <= _MAX_TILE and tile[0] % _TILE_STEP == 0
