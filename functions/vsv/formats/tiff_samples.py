"""Samples of TIFF pages beyond 8 bits, or of several channels: what the tags say, and the decoding of a block.

A block is a tile or a strip. Sources: TIFF 6.0, sections 8, 9, 14 and 19 (samples, PackBits, predictor,
SampleFormat); the TIFF Technical Notes for Deflate and SubIFDs.
"""

from __future__ import annotations

import sys
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vsv.errors import CorruptTileError
from vsv.formats.tiff import COMPRESSION_JPEG, Page, page_of
from vsv.formats.tiff_directories import INTEGER_CODES, Entry, Reader, directories

if TYPE_CHECKING:
    from vsv.formats.random_access import OpenFile

Samples = npt.NDArray[np.generic]

UNSIGNED, SIGNED, FLOAT, _UNDEFINED = 1, 2, 3, 4
HORIZONTAL = 2  # the predictor: differences of neighbouring samples
NONE, DEFLATE, BY_LIBTIFF = 1, (8, 32946), (5, 32773, 34925, 50000)
JPEG2000 = (33003, 33004, 33005, 34712)
MAX_SAMPLES, MAX_SUB_DIRECTORIES, MAX_BLOCK_BYTES = 256, 16, 256 << 20
MAX_DESCRIPTION_BYTES = 8 << 20
_PACKED_BITS = range(9, 16)
_BLACK_OR_WHITE_OR_RGB = (0, 1, 2)
_ALPHA = (1, 2)


@dataclass(frozen=True, slots=True)
class SamplePage:
    """A page with the tags that describe its samples; ``sub_directories`` are the offsets of its smaller levels."""

    page: Page
    bits: tuple[int, ...]
    sample_format: int
    predictor: int
    rows_per_strip: int
    alpha_samples: int
    sub_directories: tuple[int, ...]

    @property
    def colour_samples(self) -> int:
        """Number of samples of a pixel that are no opacity."""
        return self.page.samples - self.alpha_samples

    @property
    def samples_of_block(self) -> int:
        """Number of a pixel's samples that a block holds."""
        return 1 if self.page.planar == 2 else self.page.samples

    @property
    def block_size(self) -> tuple[int, int]:
        """Width and height of a whole block in pixels."""
        page = self.page
        return (
            (page.tile_width_px, page.tile_height_px)
            if page.is_tiled
            else (page.width_px, self.rows_per_strip)
        )

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The type of decoded samples, in the machine's byte order; packed samples get the next larger type."""
        kind = "i" if self.sample_format == SIGNED else "u"
        return np.dtype(f"{kind}{-(-self.bits[0] // 8)}")

    @property
    def limits(self) -> tuple[int, int]:
        """The lowest and the highest value that the type of decoded samples has."""
        bits = 8 * self.dtype.itemsize
        return (
            (-(1 << bits - 1), (1 << bits - 1) - 1) if self.sample_format == SIGNED else (0, (1 << bits) - 1)
        )

    @property
    def row_bytes(self) -> int:
        """Length of a row of a decoded block in bytes."""
        return -(-self.block_size[0] * self.samples_of_block * self.bits[0] // 8)

    def problem(self) -> str | None:
        """Return why the page's samples cannot be read, a text for people; None where they can be."""
        page = self.page
        checks = (
            (
                self.sample_format > SIGNED,
                "of floating point" if self.sample_format == FLOAT else "of complex numbers",
            ),
            (len(set(self.bits)) > 1, f"whose samples differ in bits ({', '.join(map(str, self.bits[:8]))})"),
            (not self._has_known_bits(), f"of {self.bits[0]} bits"),
            (
                page.photometric not in _BLACK_OR_WHITE_OR_RGB,
                f"of TIFF's photometric interpretation {page.photometric}",
            ),
            (self.predictor not in {1, HORIZONTAL}, f"with predictor {self.predictor}"),
            (not self._is_decodable(), f"of {self.bits[0]} bits with TIFF compression {page.compression}"),
            (page.samples > MAX_SAMPLES, f"of {page.samples} samples"),
            (
                self.row_bytes * self.block_size[1] > MAX_BLOCK_BYTES and page.compression != NONE,
                "in strips too large",
            ),
        )
        return next(
            (
                f"pixels {what} are not shown: save it as RGB, or as whole numbers of 16 bits"
                for fails, what in checks
                if fails
            ),
            None,
        )

    def _has_known_bits(self) -> bool:
        is_packed = self.bits[0] in _PACKED_BITS and self.sample_format == UNSIGNED and self.predictor == 1
        return self.bits[0] in {8, 16, 32} or is_packed

    def _is_decodable(self) -> bool:
        compression, bits = self.page.compression, self.bits[0]
        if compression == COMPRESSION_JPEG:
            return (
                self.page.is_tiled
                and self.samples_of_block == 1
                and (bits, self.sample_format) == (8, UNSIGNED)
            )
        if compression in JPEG2000:
            from vsv.formats import openjpeg  # noqa: PLC0415  few slides are JPEG 2000

            return self.page.is_tiled and openjpeg.available()
        return compression in {NONE, *DEFLATE, *BY_LIBTIFF}


def sample_pages(file: OpenFile, pages: tuple[Page, ...]) -> list[SamplePage]:
    """Return a TIFF's pages with the tags of their samples; raise UnreadableSlideError."""
    reader = Reader(file)
    return [_sample_page(reader, page, tags) for page, tags in zip(pages, directories(reader), strict=False)]


def first_sample_page(file: OpenFile, page: Page) -> SamplePage:
    """Return a TIFF's first page with the tags of its samples, without reading the others."""
    reader = Reader(file)
    return _sample_page(reader, page, next(directories(reader)))


def sub_pages(file: OpenFile, page: SamplePage) -> list[SamplePage]:
    """Return the pages that a page's SubIFDs hold: its smaller levels; raise UnreadableSlideError."""
    reader = Reader(file)
    found = (reader.directory(at)[0] for at in page.sub_directories)
    return [_sample_page(reader, page_of(reader, page.page.index, tags), tags) for tags in found]


def long_description(file: OpenFile) -> bytes:
    """Return the whole description of the first page, of which a ``Page`` holds the beginning; empty without one."""
    reader = Reader(file)
    entry = next(directories(reader)).get(270)
    if entry is None or entry.length > MAX_DESCRIPTION_BYTES:
        return b""
    return reader.read(entry.at, entry.length).rstrip(b"\0")


def _sample_page(reader: Reader, page: Page, tags: dict[int, Entry]) -> SamplePage:
    extra = _numbers(reader, tags.get(338), MAX_SAMPLES)
    formats = (
        UNSIGNED if kind == _UNDEFINED else kind for kind in _numbers(reader, tags.get(339), MAX_SAMPLES)
    )
    return SamplePage(
        page,
        bits=_numbers(reader, tags.get(258), min(page.samples, MAX_SAMPLES)) or (1,),
        sample_format=max(formats, default=UNSIGNED),
        predictor=next(iter(_numbers(reader, tags.get(317), 1)), 1),
        rows_per_strip=max(
            1, min(next(iter(_numbers(reader, tags.get(278), 1)), page.height_px), page.height_px)
        ),
        alpha_samples=min(sum(kind in _ALPHA for kind in extra), page.samples - 1),
        sub_directories=_numbers(reader, tags.get(330), MAX_SUB_DIRECTORIES),
    )


def _numbers(reader: Reader, entry: Entry | None, most: int) -> tuple[int, ...]:
    """Return the first numbers of a tag, none where the tag is missing or does not hold any."""
    if entry is None or entry.type not in INTEGER_CODES:
        return ()
    return reader.unpack(INTEGER_CODES[entry.type] * min(entry.count, most), entry.at)


def decode_block(page: SamplePage, data: bytes, rows: int) -> Samples:
    """Return a block's samples, (rows, columns, samples); raise CorruptTileError where the block is damaged."""
    columns, count = page.block_size[0], page.samples_of_block
    if page.page.compression in JPEG2000:
        return _decode_jpeg2000(page, data, rows)
    raw = _decompress(page.page.compression, data, page.row_bytes, rows)
    if page.bits[0] in _PACKED_BITS:
        return _unpack(page, raw, rows)
    order = page.page.byte_order.replace("<", "little").replace(">", "big")
    stored = np.frombuffer(raw, page.dtype).reshape(rows, columns, count)
    samples = stored if order == sys.byteorder else stored.byteswap()
    if page.predictor == HORIZONTAL:
        return np.cumsum(samples, axis=1, dtype=page.dtype)
    return samples


def _unpack(page: SamplePage, raw: bytes, rows: int) -> Samples:
    """Return samples of 9 to 15 bits, which follow each other without gaps within a row, high bits first."""
    columns, count, bits = page.block_size[0], page.samples_of_block, page.bits[0]
    single = np.unpackbits(np.frombuffer(raw, np.uint8).reshape(rows, -1), axis=1)[
        :, : columns * count * bits
    ]
    weights = 1 << np.arange(bits - 1, -1, -1, dtype=np.uint16)
    return (single.reshape(rows, columns, count, bits) @ weights).astype(page.dtype)


def _decompress(compression: int, data: bytes, row_bytes: int, rows: int) -> bytes:
    expected = row_bytes * rows
    if compression in DEFLATE:
        try:
            raw = zlib.decompressobj().decompress(data, expected)
        except zlib.error as error:
            raise CorruptTileError("the tile's Deflate is damaged") from error
    else:
        raw = data if compression == NONE else _by_libtiff(compression, data, row_bytes, rows)
    if len(raw) < expected:
        raise CorruptTileError("the tile is cut off")
    return raw[:expected]


def _by_libtiff(compression: int, data: bytes, row_bytes: int, rows: int) -> bytes:
    """Decompress by Pillow's libtiff: the block is presented as a TIFF of bytes, with a single strip."""
    import io  # noqa: PLC0415

    from PIL import TiffImagePlugin  # noqa: PLC0415

    numbers = {256: row_bytes, 257: rows, 258: 8, 259: compression, 262: 1, 277: 1, 278: rows}
    tags = {**numbers, 273: 8 + 2 + 12 * 9 + 4, 279: len(data)}
    entries = b"".join(
        tag.to_bytes(2, "little") + b"\4\0\1\0\0\0" + value.to_bytes(4, "little")
        for tag, value in sorted(tags.items())
    )
    whole = b"II*\0\10\0\0\0" + len(tags).to_bytes(2, "little") + entries + bytes(4) + data
    try:
        with TiffImagePlugin.TiffImageFile(io.BytesIO(whole)) as image:
            return image.tobytes()
    except Exception as error:  # damaged data make Pillow's decoders raise any exception
        raise CorruptTileError("the tile's compressed data is damaged") from error


def _decode_jpeg2000(page: SamplePage, data: bytes, rows: int) -> Samples:
    from vsv.formats import openjpeg  # noqa: PLC0415

    columns, count = page.block_size[0], page.samples_of_block
    # The first marker segment: the picture's right and bottom, its left and top, and the number of components.
    size = [int.from_bytes(data[at : at + 4]) for at in (8, 12, 16, 20)]
    shape = size[0] - size[2], size[1] - size[3], int.from_bytes(data[40:42])
    if data[:4] != b"\xff\x4f\xff\x51" or shape != (columns, rows, count):
        raise CorruptTileError("the tile's JPEG 2000 header does not fit its page")
    return np.moveaxis(openjpeg.decode_deep(data, count), 0, 2).astype(page.dtype)
