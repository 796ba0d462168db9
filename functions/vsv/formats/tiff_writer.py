"""Writer of BigTIFF pages from JPEG blocks, one page after the other, in constant memory.

TIFF libraries encode the blocks that they write, or require their encoders even for blocks that are encoded already.
This module writes exactly what ``tiff.py`` reads. Sources: TIFF 6.0, its Technical Note 2, and the BigTIFF design.
"""

import struct
import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from vsv.formats.tiff import COMPRESSION_JPEG, PHOTOMETRIC_YCBCR
from vsv.formats.tiff_directories import TYPE_BYTES

_HEADER = b"II" + struct.pack("<HHHQ", 43, 8, 0, 0)
_FIRST_PAGE_AT = 8
_ASCII, _SHORT, _LONG, _UNDEFINED, _LONG8 = 2, 3, 4, 7, 16
_CODES = {_SHORT: "H", _LONG: "I", _LONG8: "Q"}
_OFFSETS, _COUNTS = {True: 324, False: 273}, {True: 325, False: 279}  # of tiles, of strips

Value = tuple[int, ...] | bytes  # bytes: stored unchanged
Tags = dict[int, tuple[int, Value]]  # field type and value by tag


@dataclass(frozen=True, slots=True)
class PageLayout:
    """The description of a page: 8-bit YCbCr in square tiles, or in strips of ``strip_rows`` without tiles.

    ``subsampling`` is how many pixels one chroma sample spans, across and down. ``chroma_position`` is TIFF's
    YCbCrPositioning; 0: the page does not have this tag.
    """

    width_px: int
    height_px: int
    jpeg_tables: bytes
    subsampling: tuple[int, int]
    tile_size: int = 0
    strip_rows: int = 0
    subfile_type: int = 0
    description: str = ""
    chroma_position: int = 0

    @property
    def blocks(self) -> int:
        """The number of the page's tiles or strips."""
        if self.tile_size:
            return -(-self.width_px // self.tile_size) * -(-self.height_px // self.tile_size)
        return -(-self.height_px // self.strip_rows)


class TiffWriter:
    """Appends pages to an empty binary file; the file is a complete TIFF after each page."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._file.write(_HEADER)
        self._link_at = _FIRST_PAGE_AT

    def write_page(self, layout: PageLayout, blocks: Iterable[bytes]) -> None:
        """Write the blocks in their order, then the page's directory; raise OSError where writing fails."""
        self.write_pages([layout], ((0, index, block) for index, block in enumerate(blocks)))

    def write_pages(self, layouts: Sequence[PageLayout], blocks: Iterable[tuple[int, int, bytes]]) -> None:
        """Write blocks of several pages in any order, each with page and index in the page, then the directories.

        Raise OSError where writing fails.
        """
        spans = [
            (array("Q", bytes(8 * layout.blocks)), array("Q", bytes(8 * layout.blocks))) for layout in layouts
        ]
        at = self._file.tell()
        for page, index, block in blocks:
            offsets, counts = spans[page]
            offsets[index], counts[index] = at, self._file.write(block)
            at += len(block)
        for layout, (offsets, counts) in zip(layouts, spans, strict=True):
            self._write_directory(_tags(layout, tuple(offsets), tuple(counts)))
        self._file.flush()

    def write_tagged(self, tags: Tags, blocks: Iterable[bytes], *, tiled: bool) -> None:
        """Write a page with any tags except the block offsets and counts, which are added; an empty block is missing.

        Raise OSError where writing fails.
        """
        offsets, counts = array("Q"), array("Q")
        at = self._align()
        for block in blocks:
            offsets.append(at if block else 0)
            counts.append(self._file.write(block))
            at += len(block)
        stored = ((_LONG8, _little_endian(numbers)) for numbers in (offsets, counts))
        self._write_directory(tags | dict(zip((_OFFSETS[tiled], _COUNTS[tiled]), stored, strict=True)))
        self._file.flush()

    def _write_directory(self, tags: Tags) -> None:
        entries = [self._entry(tag, kind, value) for tag, (kind, value) in sorted(tags.items())]
        at = self._align()
        link_at = at + 8 + 20 * len(entries)
        self._file.write(struct.pack("<Q", len(entries)) + b"".join(entries) + struct.pack("<Q", 0))
        end = self._file.tell()
        self._file.seek(self._link_at)
        self._file.write(struct.pack("<Q", at))
        self._file.seek(end)
        self._link_at = link_at

    def _entry(self, tag: int, kind: int, value: Value) -> bytes:
        """Return a directory entry; write a value longer than eight bytes to the file first."""
        data = value if isinstance(value, bytes) else struct.pack(f"<{len(value)}{_CODES[kind]}", *value)
        count = len(data) // TYPE_BYTES[kind]
        if len(data) > 8:
            at = self._align()
            self._file.write(data)
            data = struct.pack("<Q", at)
        return struct.pack("<HHQ", tag, kind, count) + data.ljust(8, b"\0")

    def _align(self) -> int:
        """Pad the file to a multiple of eight, as BigTIFF requires for its structures; return the position."""
        self._file.write(bytes(-self._file.tell() % 8))
        return self._file.tell()


def _little_endian(numbers: "array[int]") -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _tags(layout: PageLayout, offsets: Value, counts: Value) -> Tags:
    """Return the page's tags; comments give their names in TIFF 6.0."""
    tags: Tags = {
        254: (_LONG, (layout.subfile_type,)),
        256: (_LONG, (layout.width_px,)),  # ImageWidth
        257: (_LONG, (layout.height_px,)),  # ImageLength
        258: (_SHORT, (8, 8, 8)),  # BitsPerSample
        259: (_SHORT, (COMPRESSION_JPEG,)),
        262: (_SHORT, (PHOTOMETRIC_YCBCR,)),
        277: (_SHORT, (3,)),  # SamplesPerPixel
        284: (_SHORT, (1,)),  # PlanarConfiguration: interleaved
        347: (_UNDEFINED, layout.jpeg_tables),
        530: (_SHORT, layout.subsampling),  # YCbCrSubSampling
    }
    if layout.description:
        tags[270] = (_ASCII, layout.description.encode() + b"\0")
    if layout.chroma_position:
        tags[531] = (_SHORT, (layout.chroma_position,))
    if layout.tile_size:
        tags[322] = tags[323] = (_LONG, (layout.tile_size,))
        return tags | {324: (_LONG8, offsets), 325: (_LONG8, counts)}
    return tags | {278: (_LONG, (layout.strip_rows,)), 273: (_LONG8, offsets), 279: (_LONG8, counts)}
