"""TIFF and BigTIFF directories, read defensively and without a library.

Only what a tile server needs: where each page's tile offsets and byte counts lie, not what they hold, so that
opening a slide costs a few small reads whatever its size. Sources: TIFF 6.0; the BigTIFF design
(AWare Systems); TIFF Technical Note 2 (JPEGTables).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from vsv.errors import UnreadableSlideError
from vsv.formats.random_access import OpenFile

# Bounds on what a header may claim. Real slides stay far below each of them.
MAX_PAGES = 256
MAX_TAGS = 512
MAX_TABLES_BYTES = 1 << 16
MAX_SIDE_PX = 1 << 22
MAX_TILE_SIDE_PX = 4096
MAX_TILES = 1 << 25
# A description is read this far. Other vendors put XML and whole label images behind it.
DESCRIPTION_BYTES = 1 << 16
_TRUNCATED = "File is incomplete (truncated). Copy it again, or rescan"

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
COMPRESSION_JPEG = 7
COMPRESSION_JPEG2000_YCBCR, COMPRESSION_JPEG2000_RGB = 33003, 33005
COMPRESSION_NAMES = {
    1: "none", 5: "LZW", 7: "JPEG", 8: "Deflate", 33003: "JPEG 2000 YCbCr", 33005: "JPEG 2000 RGB",
}  # fmt: skip
PHOTOMETRIC_GREY, PHOTOMETRIC_RGB, PHOTOMETRIC_YCBCR = 1, 2, 6

# Field types with a fixed size in bytes, TIFF 6.0 section 2 and BigTIFF's 16 to 18.
TYPE_BYTES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8,
}  # fmt: skip
INTEGER_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


@dataclass(frozen=True, slots=True)
class Array:
    """Where an array of ``count`` unsigned integers of ``item_bytes`` each lies in the file."""

    at: int
    count: int
    code: str

    @property
    def item_bytes(self) -> int:
        """Size of one item in bytes."""
        return struct.calcsize("<" + self.code)


@dataclass(frozen=True, slots=True)
class Page:
    """One TIFF directory. Sizes in pixels; ``tile_width_px`` is 0 where the page is stored in strips.

    ``icc`` is where its ICC profile lies.
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
        """Tiles in a row."""
        return -(-self.width_px // self.tile_width_px)

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-self.height_px // self.tile_height_px)


@dataclass(frozen=True, slots=True)
class Entry:
    """A tag's entry: its field type, how many values, and where they lie, inline or not."""

    type: int
    count: int
    at: int

    @property
    def length(self) -> int:
        """Length of the value in bytes; a type that nobody knows counts as bytes."""
        return TYPE_BYTES.get(self.type, 1) * self.count


class Reader:
    """Bounded reads of one file, in its byte order."""

    def __init__(self, file: OpenFile) -> None:
        self.file = file
        self.size = file.size()
        head = self.read(0, 16 if self.size >= 16 else 8)
        self.order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
        if not self.order:
            raise UnreadableSlideError("Not a supported slide file (no TIFF header)")
        magic, first = struct.unpack(self.order + "HI", head[2:8])
        if magic not in {42, 43}:
            raise UnreadableSlideError("Not a supported slide file (unknown TIFF version)")
        self.big = magic == 43
        if self.big and len(head) == 16:
            bytesize, zero, first = struct.unpack(self.order + "HHQ", head[4:16])
            if (bytesize, zero) != (8, 0):
                raise UnreadableSlideError("damaged BigTIFF header")
        self.first_page = first

    def read(self, at: int, length: int) -> bytes:
        """Read all of a stretch; raises UnreadableSlideError where the file does not have it."""
        if at < 0 or at + length > self.size:
            raise UnreadableSlideError(_TRUNCATED)
        data = self.file.read(at, length)
        if len(data) != length:
            raise UnreadableSlideError(_TRUNCATED)
        return data

    def unpack(self, code: str, at: int) -> tuple[int, ...]:
        """Read numbers, of ``struct``'s codes."""
        code = self.order + code
        return struct.unpack(code, self.read(at, struct.calcsize(code)))

    def directory(self, at: int) -> tuple[dict[int, Entry], int]:
        """Read the entries of the directory at ``at`` and where the next directory is (0: none)."""
        count_code, entry_code, next_code = ("Q", "HHQ", "Q") if self.big else ("H", "HHI", "I")
        (count,) = self.unpack(count_code, at)
        if not 0 < count <= MAX_TAGS:
            raise UnreadableSlideError("damaged TIFF directory: impossible number of tags")
        at += struct.calcsize("<" + count_code)
        entry_bytes = 20 if self.big else 12
        block = self.read(at, entry_bytes * count)
        entries = {}
        for i in range(count):
            tag, kind, n = struct.unpack_from(self.order + entry_code, block, i * entry_bytes)
            entries[tag] = self._entry(kind, n, at + i * entry_bytes)
        (following,) = self.unpack(next_code, at + entry_bytes * count)
        return entries, following

    def _entry(self, kind: int, count: int, at: int) -> Entry:
        """Find where an entry's value lies: in the entry where it fits, else where the entry points."""
        value_at, inline = (at + 12, 8) if self.big else (at + 8, 4)
        entry = Entry(kind, count, value_at)
        if entry.length > inline:
            entry = Entry(kind, count, *self.unpack("Q" if self.big else "I", value_at))
        if (
            entry.at + entry.length > self.size
        ):  # also of tags that are not read here: other readers believe them
            raise UnreadableSlideError(_TRUNCATED)
        return entry


def is_tiff(file: OpenFile) -> bool:
    """Tell whether the file begins as a TIFF or BigTIFF."""
    return file.read(0, 4) in STARTS


def read_pages(file: OpenFile) -> tuple[Page, ...]:
    """Read every page of an open TIFF file; raises UnreadableSlideError, with a reason for people."""
    reader = Reader(file)
    pages = tuple(_page(reader, i, entries) for i, entries in enumerate(directories(reader)))
    # Many directories may point at the same long list: a small file must not cost hours to follow.
    if sum(page.offsets.count for page in pages) > MAX_TILES:
        raise UnreadableSlideError("damaged TIFF: its directories claim more tiles than any slide has")
    return pages


def directories(reader: Reader) -> Iterator[dict[int, Entry]]:
    """Give each page's entries by tag; raises UnreadableSlideError."""
    at, seen = reader.first_page, set[int]()
    if at == 0:
        raise UnreadableSlideError("the file holds no image: the scan was not finished")
    while at:
        if at in seen or len(seen) >= MAX_PAGES:
            raise UnreadableSlideError("damaged TIFF: its directories run in a circle or never end")
        seen.add(at)
        entries, at = reader.directory(at)
        yield entries


def _page(reader: Reader, index: int, tags: dict[int, Entry]) -> Page:
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
    _check(page)
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
    return text.rstrip(b"\0").decode("utf-8", "replace")


def _bytes(reader: Reader, tags: dict[int, Entry], tag: int) -> bytes:
    entry = tags.get(tag)
    if entry is None:
        return b""
    if entry.length > MAX_TABLES_BYTES:
        raise UnreadableSlideError(f"damaged TIFF directory: tag {tag} claims {entry.length} bytes")
    return reader.read(entry.at, entry.length)


def _icc(tags: dict[int, Entry]) -> Array | None:
    """Find the ICC profile; what is none is left for whoever wants one to find out, and stops nothing."""
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
    array = Array(entry.at, entry.count, INTEGER_CODES[entry.type])
    if array.at + array.count * array.item_bytes > reader.size:
        raise UnreadableSlideError(_TRUNCATED)
    return array


def _check(page: Page) -> None:
    if not (0 < page.width_px <= MAX_SIDE_PX and 0 < page.height_px <= MAX_SIDE_PX):
        raise UnreadableSlideError(f"impossible image size {page.width_px}×{page.height_px}")
    if not page.is_tiled:
        return
    if not (0 < page.tile_width_px <= MAX_TILE_SIDE_PX and 0 < page.tile_height_px <= MAX_TILE_SIDE_PX):
        raise UnreadableSlideError(f"impossible tile size {page.tile_width_px}×{page.tile_height_px}")
    if min(page.offsets.count, page.byte_counts.count) < page.columns * page.rows:
        raise UnreadableSlideError("damaged TIFF directory: it lists fewer tiles than the image has")


def last_byte(file: OpenFile, page: Page) -> int:
    """Give the end of the page's furthest tile or strip in the file, to see whether the file is whole."""
    return max((offset + length for offset, length in spans(file, page)), default=0)


def spans(file: OpenFile, page: Page) -> Iterator[tuple[int, int]]:
    """Give offset and length of the page's tiles or strips in the file, in their order."""
    offsets, counts = (_all_items(file, a, page.byte_order) for a in (page.offsets, page.byte_counts))
    return zip(offsets, counts, strict=False)


def _all_items(file: OpenFile, array: Array, order: str) -> Iterator[int]:
    """Read the array piecewise: a hostile count must not cost memory."""
    step = 1 << 16
    for start in range(0, array.count, step):
        n = min(step, array.count - start)
        data = file.read(array.at + start * array.item_bytes, n * array.item_bytes)
        if len(data) != n * array.item_bytes:
            raise UnreadableSlideError(_TRUNCATED)
        yield from struct.unpack(f"{order}{n}{array.code}", data)
