"""Where a page's tiles lie in its file: a few blocks of the page's two long lists are kept, never a whole list.

Who looks at one tile looks at its neighbours next. The blocks belong to an opened slide and go with it, so that a
file that changes is read anew.
"""

from functools import lru_cache, partial
from typing import Literal

from vsv.open_file import OpenFile
from vsv.tiff import Array, Page

# A block is one or two of the page cache's pages; all of a level's are at most 256 KiB, whatever the slide's size.
BLOCK_TILES = 512
MAX_BLOCKS = 32


class TileSpans:
    """The offset and length of each tile of a page."""

    def __init__(self, file: OpenFile, page: Page) -> None:
        self._order: Literal["little", "big"] = "little" if page.byte_order == "<" else "big"
        self._widths = page.offsets.item_bytes, page.byte_counts.item_bytes
        # Not a method: the cache would hold its owner, and the file would be closed late.
        self._block = lru_cache(maxsize=MAX_BLOCKS)(partial(_block, file, page))

    def span(self, index: int) -> tuple[int, int]:
        """Give the offset and length in bytes of tile ``index``; zeros where the file ends before it."""
        number, place = divmod(index, BLOCK_TILES)
        offsets, lengths = self._block(number)
        order, (offset_bytes, length_bytes) = self._order, self._widths
        at, length_at = place * offset_bytes, place * length_bytes
        return (
            int.from_bytes(offsets[at : at + offset_bytes], order),
            int.from_bytes(lengths[length_at : length_at + length_bytes], order),
        )


def _block(file: OpenFile, page: Page, number: int) -> tuple[bytes, bytes]:
    return _items(file, page.offsets, number), _items(file, page.byte_counts, number)


def _items(file: OpenFile, array: Array, number: int) -> bytes:
    first = number * BLOCK_TILES
    size = array.item_bytes
    return file.read(array.at + first * size, max(0, min(BLOCK_TILES, array.count - first)) * size)
