"""Pages of TIFF and BigTIFF files, read defensively and without a library.

A page holds only what a tile server needs: where the lists of tile offsets and byte counts are in the file, not their
content, so that opening a slide of any size costs a few small reads. Sources: TIFF 6.0; the BigTIFF design
(AWare Systems); TIFF Technical Note 2 (JPEGTables).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from vsv.errors import UnreadableSlideError
from vsv.formats.random_access import OpenFile
from vsv.formats.text_encoding import decode_text
from vsv.formats.tiff_directories import INTEGER_CODES, TYPE_BYTES, Entry, Reader, directories

# Limits of the values that a page may have. Real slides stay far below each of them.
MAX_TABLES_BYTES = 1 << 16
MAX_TEXTS_BYTES = 1 << 25  # descriptions and JPEG tables of all pages
MAX_SIDE_PX = 1 << 22
# A decoded tile of so many pixels takes 270 MB: less than an ordinary image may take.
MAX_TILE_PX = 1 << 26
MAX_TILES = 1 << 25
# How many bytes of a description are read. Other vendors append XML and whole label images.
DESCRIPTION_BYTES = 1 << 16
_TRUNCATED = "File is incomplete (truncated). Copy it again, or rescan"

COMPRESSION_JPEG = 7
COMPRESSION_JPEG2000_YCBCR, COMPRESSION_JPEG2000_RGB = 33003, 33005
COMPRESSION_NAMES = {
    1: "none", 5: "LZW", 7: "JPEG", 8: "Deflate", 33003: "JPEG 2000 YCbCr", 33005: "JPEG 2000 RGB",
}  # fmt: skip
PHOTOMETRIC_GREY, PHOTOMETRIC_RGB, PHOTOMETRIC_YCBCR = 1, 2, 6


@dataclass(frozen=True, slots=True)
class Array:
    """The location in the file of an array of ``count`` unsigned integers of ``item_bytes`` each.

    ``high`` holds the high bits of the only item, in NDPI files above 4 GiB.
    """

    at: int
    count: int
    code: str
    high: int = 0

    @property
    def item_bytes(self) -> int:
        """Size of one item in bytes."""
        return struct.calcsize("<" + self.code)


@dataclass(frozen=True, slots=True)
class Page:
    """One TIFF directory. Sizes in pixels; ``tile_width_px`` is 0 where the page is stored in strips.

    ``icc`` is the location of the page's ICC profile.
    """

    index: int
    width_px: int
    height_px: int
    tile_width_px: int
    tile_height_px: int
    bits_per_sample: int
    samples: int
    compression: int
    photometric: int
    planar: int
    subfile_type: int
    description: str
    jpeg_tables: bytes
    offsets: Array
    byte_counts: Array
    byte_order: str
    icc: Array | None = None

    @property
    def is_tiled(self) -> bool:
        """Whether the pixels are stored as tiles."""
        return self.tile_width_px > 0

    @property
    def columns(self) -> int:
        """Number of tiles in a row."""
        return -(-self.width_px // self.tile_width_px)

    @property
    def rows(self) -> int:
        """Number of rows of tiles."""
        return -(-self.height_px // self.tile_height_px)


def read_pages(file: OpenFile) -> tuple[Page, ...]:
    """Return every page of an open TIFF file; raise UnreadableSlideError, with a reason for people."""
    reader, texts = Reader(file), 0
    pages: list[Page] = []
    for index, entries in enumerate(directories(reader)):
        pages.append(page_of(reader, index, entries))
        texts += len(pages[-1].description) + len(pages[-1].jpeg_tables)
        # Many directories may point at the same long text, too, of which each would be kept.
        if texts > MAX_TEXTS_BYTES:
            raise UnreadableSlideError("damaged TIFF: its directories have longer texts than any slide has")
    # Many directories may point at the same long list: reading a small file must not take hours.
    if sum(page.offsets.count for page in pages) > MAX_TILES:
        raise UnreadableSlideError("damaged TIFF: its directories claim more tiles than any slide has")
    return tuple(pages)


def page_of(reader: Reader, index: int, tags: dict[int, Entry]) -> Page:
    """Return a directory as a page; raise UnreadableSlideError where the directory is damaged."""
    tiled = 322 in tags
    page = Page(
        index=index,
        width_px=_number(reader, tags, 256),
        height_px=_number(reader, tags, 257),
        tile_width_px=_number(reader, tags, 322, 0),
        tile_height_px=_number(reader, tags, 323, 0),
        bits_per_sample=_number(reader, tags, 258, 1),
        samples=_number(reader, tags, 277, 1),
        compression=_number(reader, tags, 259, 1),
        photometric=_number(reader, tags, 262, PHOTOMETRIC_GREY),
        planar=_number(reader, tags, 284, 1),
        subfile_type=_number(reader, tags, 254, 0),
        description=_description(reader, tags),
        jpeg_tables=_bytes(reader, tags, 347),
        offsets=_array(reader, tags, 324 if tiled else 273),
        byte_counts=_array(reader, tags, 325 if tiled else 279),
        byte_order=reader.order,
        icc=_icc(tags),
    )
    _check_sizes(page)
    return page


def _number(reader: Reader, tags: dict[int, Entry], tag: int, default: int | None = None) -> int:
    entry = tags.get(tag)
    if entry is None:
        if default is None:
            raise UnreadableSlideError(f"damaged TIFF directory: tag {tag} is missing")
        return default
    if entry.type not in INTEGER_CODES or entry.count < 1:
        raise UnreadableSlideError(f"damaged TIFF directory: tag {tag} is not a number")
    return reader.unpack(INTEGER_CODES[entry.type], entry.at)[0]


def _description(reader: Reader, tags: dict[int, Entry]) -> str:
    entry = tags.get(270)
    if entry is None:
        return ""
    text = reader.read(entry.at, min(entry.count, DESCRIPTION_BYTES))
    return decode_text(text.rstrip(b"\0"), cut=entry.count > DESCRIPTION_BYTES)


def _bytes(reader: Reader, tags: dict[int, Entry], tag: int) -> bytes:
    entry = tags.get(tag)
    if entry is None:
        return b""
    if entry.length > MAX_TABLES_BYTES:
        raise UnreadableSlideError(f"damaged TIFF directory: tag {tag} claims {entry.length} bytes")
    return reader.read(entry.at, entry.length)


def _icc(tags: dict[int, Entry]) -> Array | None:
    """Return the location of the ICC profile, None without one; the profile's content is checked when it is used."""
    entry = tags.get(34675)
    if entry is None or TYPE_BYTES.get(entry.type) != 1:
        return None
    return Array(entry.at, entry.count, "B")


def _array(reader: Reader, tags: dict[int, Entry], tag: int) -> Array:
    entry = tags.get(tag)
    if entry is None or entry.type not in INTEGER_CODES:
        raise UnreadableSlideError(f"damaged TIFF directory: tag {tag} is missing or not a list of numbers")
    if not 0 < entry.count <= MAX_TILES:
        raise UnreadableSlideError(f"damaged TIFF directory: tag {tag} claims {entry.count} tiles")
    array = Array(entry.at, entry.count, INTEGER_CODES[entry.type], entry.high)
    if array.at + array.count * array.item_bytes > reader.size:
        raise UnreadableSlideError(_TRUNCATED)
    return array


def _check_sizes(page: Page) -> None:
    if not (0 < page.width_px <= MAX_SIDE_PX and 0 < page.height_px <= MAX_SIDE_PX):
        raise UnreadableSlideError(f"impossible image size {page.width_px}×{page.height_px}")
    if not page.is_tiled:
        return
    if not 0 < page.tile_width_px * page.tile_height_px <= MAX_TILE_PX:
        raise UnreadableSlideError(
            f"its tiles have {page.tile_width_px}×{page.tile_height_px} pixels: "
            f"a tile may have {MAX_TILE_PX:,} in all"
        )
    if min(page.offsets.count, page.byte_counts.count) < page.columns * page.rows:
        raise UnreadableSlideError("damaged TIFF directory: it lists fewer tiles than the image has")


def last_byte(file: OpenFile, page: Page) -> int:
    """Return the end of the page's furthest tile or strip in the file, which a complete file includes."""
    return max((offset + length for offset, length in spans(file, page)), default=0)


def spans(file: OpenFile, page: Page) -> Iterator[tuple[int, int]]:
    """Return offset and length in the file of the page's tiles or strips, in their order."""
    offsets, counts = (_all_items(file, a, page.byte_order) for a in (page.offsets, page.byte_counts))
    return zip(offsets, counts, strict=False)


def _all_items(file: OpenFile, array: Array, order: str) -> Iterator[int]:
    """Yield the items of an array, read in pieces: a hostile count must not cost memory."""
    step = 1 << 16
    for start in range(0, array.count, step):
        n = min(step, array.count - start)
        data = file.read(array.at + start * array.item_bytes, n * array.item_bytes)
        if len(data) != n * array.item_bytes:
            raise UnreadableSlideError(_TRUNCATED)
        items = struct.unpack(f"{order}{n}{array.code}", data)
        yield from items if not array.high else (array.high << 32 | item for item in items)
