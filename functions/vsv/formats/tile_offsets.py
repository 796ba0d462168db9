"""Where a page's tiles lie in its file: a few blocks of the page's two long lists are kept, never a whole list.

Who looks at one tile looks at its neighbours next. The blocks belong to an opened slide and go with it, so that a
file that changes is read anew.
"""

import sys
from array import array
from functools import lru_cache, partial

from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import Array, Page

# A block is one or two of the page cache's pages; all of a level's are at most 256 KiB, whatever the slide's size.
BLOCK_TILES = 512
MAX_BLOCKS = 32


class TileSpans:
    """The offset and length of each tile of a page."""

    def __init__(self, file: OpenFile, page: Page) -> None:
        # Not a method: the cache would hold its owner, and the file would be closed late.
        self._block = lru_cache(maxsize=MAX_BLOCKS)(partial(_block, file, page))

    def span(self, index: int) -> tuple[int, int]:
        """Give the offset and length in bytes of tile ``index``; zeros where the file ends before it."""
        offsets, lengths = self._block(index // BLOCK_TILES)
        place = index % BLOCK_TILES
        return offsets[place], lengths[place]


def _block(file: OpenFile, page: Page, number: int) -> tuple["array[int]", "array[int]"]:
    return _items(file, page, page.offsets, number), _items(file, page, page.byte_counts, number)


def _items(file: OpenFile, page: Page, listed: Array, number: int) -> "array[int]":
    first, size = number * BLOCK_TILES, listed.item_bytes
    data = file.read(listed.at + first * size, max(0, min(BLOCK_TILES, listed.count - first)) * size)
    items = array(listed.code, data.ljust(BLOCK_TILES * size, b"\0"))
    if page.byte_order != ("<" if sys.byteorder == "little" else ">"):
        items.byteswap()
    return items
