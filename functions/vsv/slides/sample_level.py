"""One stored level of samples of any depth: boxes of a sample, read from the page's tiles or strips."""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from vsv.errors import CorruptTileError
from vsv.formats.jpeg import Completer, tables_prefix
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import COMPRESSION_JPEG
from vsv.formats.tiff_samples import MAX_BLOCK_BYTES, NONE, SamplePage, Samples, decode_block
from vsv.formats.tile_offsets import TileSpans
from vsv.slides.block_cache import BlockCache
from vsv.slides.reader import Box

# Rows of long uncompressed strips are read in parts of this size.
PART_BYTES = 4 << 20
_blocks = BlockCache()


class SampleLevel:
    """A page whose samples are read block by block; blocks without bytes hold zeros."""

    def __init__(self, file: OpenFile, page: SamplePage) -> None:
        self.file, self.page = file, page
        self.width_px, self.height_px = page.page.width_px, page.page.height_px
        self._spans, self._key = TileSpans(file, page.page), object()
        self._block_width, self._block_height = page.block_size
        is_cut = not page.page.is_tiled and page.page.compression == NONE
        self._part_rows = max(1, PART_BYTES // page.row_bytes) if is_cut else self._block_height

    def read(self, sample: int, box: Box) -> Samples:
        """Return a sample of each pixel of a box, (height, width); raise CorruptTileError for a damaged block."""
        left, top, right, bottom = box
        out = np.empty((bottom - top, right - left), self.page.dtype)
        for x0, y0, x1, y1 in self.blocks(box):
            block = self._block(sample, x0, y0, y1)
            inner = max(x0, left), max(y0, top), min(x1, right), min(y1, bottom)
            part = block[inner[1] - y0 : inner[3] - y0, inner[0] - x0 : inner[2] - x0]
            out[inner[1] - top : inner[3] - top, inner[0] - left : inner[2] - left] = part
        return out

    def selected_blocks(self, step: int) -> Iterator[Box]:
        """Yield every ``step``-th block of the level, from the middle of the first ``step`` on."""
        return islice(self.blocks((0, 0, self.width_px, self.height_px)), step // 2, None, step)

    @property
    def block_count(self) -> int:
        """The number of blocks of the level, or a few less: strips that are read in parts may have a shorter part."""
        return -(-self.width_px // self._block_width) * -(-self.height_px // self._part_rows)

    def blocks(self, box: Box) -> Iterator[Box]:
        """Yield the boxes of the blocks that a box touches, cut to the level."""
        left, top, right, bottom = box
        while top < bottom:
            first = top - top % self._block_height
            first += (top - first) // self._part_rows * self._part_rows
            end = min(
                first + self._part_rows,
                first - first % self._block_height + self._block_height,
                self.height_px,
            )
            for x in range(left // self._block_width * self._block_width, right, self._block_width):
                yield x, first, min(x + self._block_width, self.width_px), end
            top = end

    def _block(self, sample: int, x: int, top: int, bottom: int) -> Samples:
        plane, inside = (sample, 0) if self.page.page.planar == 2 else (0, sample)
        key = self._key, plane, x, top
        return _blocks.get(key, lambda: self._decode(plane, x, top, bottom))[..., inside]

    def _decode(self, plane: int, x: int, top: int, bottom: int) -> Samples:
        page, columns = self.page.page, -(-self.width_px // self._block_width)
        rows_of_blocks = -(-self.height_px // self._block_height)
        row = top // self._block_height
        index = (plane * rows_of_blocks + row) * columns + x // self._block_width
        at, length = self._spans.span(index) if index < page.offsets.count else (0, 0)
        rows = self._block_height if page.is_tiled else bottom - top
        if length == 0:
            return np.zeros((rows, self._block_width, self.page.samples_of_block), self.page.dtype)
        skipped = (top - row * self._block_height) * self.page.row_bytes
        if page.compression == NONE:
            length = min(length - skipped, rows * self.page.row_bytes)
        if not 0 < length <= MAX_BLOCK_BYTES:
            raise CorruptTileError("the tile's length is impossible")
        data = self.file.read(at + skipped, length)
        return (
            self._decode_jpeg(data)
            if page.compression == COMPRESSION_JPEG
            else decode_block(self.page, data, rows)
        )

    def _decode_jpeg(self, data: bytes) -> Samples:
        """Return the samples of a grey JPEG tile."""
        import simplejpeg  # noqa: PLC0415

        prefix = tables_prefix(self.page.page.jpeg_tables, rgb=False)
        size = self._block_width, self._block_height
        try:
            whole = Completer(prefix, size, 1, rgb=False).complete(data)
            grey: Samples = simplejpeg.decode_jpeg(whole, colorspace="GRAY", strict=False)
        except ValueError as error:
            raise CorruptTileError("the tile's JPEG is damaged") from error
        return grey
