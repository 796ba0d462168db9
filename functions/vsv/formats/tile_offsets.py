"""Offsets and lengths of a page's tiles: a cache of a few blocks of the page's two long lists, never of a whole list.

Viewers usually request neighbouring tiles next. The blocks belong to an opened slide and are dropped with the slide,
so that a changed file is read again.
"""

import sys
from array import array
from functools import lru_cache, partial

from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import Array, Page

# A block takes one or two pages of the page cache; all blocks of a level take at most 256 KiB for any slide.
BLOCK_TILES = 512
MAX_BLOCKS = 32


class TileSpans:
    """The offset and length of each tile of a page."""

    def __init__(self, file: OpenFile, page: Page) -> None:
        # Not a cached method: its cache would reference this object, and the file would be closed late.
        self._block = lru_cache(maxsize=MAX_BLOCKS)(partial(_block, file, page))

    def span(self, index: int) -> tuple[int, int]:
        """Return offset and length in bytes of tile ``index``; zeros where the file ends before the list does."""
        offsets, lengths = self._block(index // BLOCK_TILES)
        position = index % BLOCK_TILES
        return offsets[position], lengths[position]


def _block(file: OpenFile, page: Page, number: int) -> tuple["array[int]", "array[int]"]:
    return _items(file, page, page.offsets, number), _items(file, page, page.byte_counts, number)


def _items(file: OpenFile, page: Page, listed: Array, number: int) -> "array[int]":
    first, size = number * BLOCK_TILES, listed.item_bytes
    data = file.read(listed.at + first * size, max(0, min(BLOCK_TILES, listed.count - first)) * size)
    items = array(listed.code, data.ljust(BLOCK_TILES * size, b"\0"))
    if page.byte_order != ("<" if sys.byteorder == "little" else ">"):
        items.byteswap()
    return items
