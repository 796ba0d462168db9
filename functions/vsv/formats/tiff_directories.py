"""TIFF and BigTIFF headers and directories: the entries of each page's tags, read defensively and without a library.

Hamamatsu's NDPI is classic TIFF that may be larger than 4 GiB: offsets of directories have eight bytes, and the high
bits of each tag's offset or value follow the directory. Sources: TIFF 6.0; the BigTIFF design (AWare Systems);
OpenSlide's page "Hamamatsu format".
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from vsv.errors import UnreadableSlideError
from vsv.formats.random_access import OpenFile

# Limits of the directories that a file may have. Stacks of focal planes and time series have thousands. Directories
# of a hostile file may overlap, so that all tags together are limited as well.
MAX_PAGES = 1 << 14
MAX_TAGS = 512
MAX_ALL_TAGS = 1 << 19

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# Sizes of the field types in bytes: TIFF 6.0 section 2, and BigTIFF's types 16 to 18.
TYPE_BYTES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8,
}  # fmt: skip
INTEGER_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
# Tags from here on are private to programs (TIFF 6.0, section 8). Readers know of them the ICC profile and NDPI's.
_FIRST_PRIVATE = 32768
_NDPI = 65420  # in every NDPI file's first directory
_READ_PRIVATE = frozenset((34675, *range(_NDPI, 65481)))
_TRUNCATED = "File is incomplete (truncated). Copy it again, or rescan"


@dataclass(frozen=True, slots=True)
class Entry:
    """A tag's entry: its field type, the number of values, and their offset in the file, inline or not.

    ``high`` holds the high 32 bits of the only value, in NDPI files above 4 GiB.
    """

    type: int
    count: int
    at: int
    high: int = 0

    @property
    def length(self) -> int:
        """Length of the values in bytes; an unknown type counts as bytes."""
        return TYPE_BYTES.get(self.type, 1) * self.count


class Reader:
    """Reads within the bounds of one file, in the file's byte order."""

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
        self.ndpi = False
        if not self.big and self.size >> 32:
            self._find_ndpi(head)

    def _find_ndpi(self, head: bytes) -> None:
        """Note whether this is an NDPI file above 4 GiB: at the 64-bit offset is a directory with NDPI's tag."""
        (first,) = struct.unpack(self.order + "Q", head[4:12])
        self.ndpi = True
        try:
            self.ndpi = _NDPI in self.directory(first)[0]
        except UnreadableSlideError:
            self.ndpi = False
        if self.ndpi:
            self.first_page = first

    def read(self, at: int, length: int) -> bytes:
        """Return exactly ``length`` bytes from ``at``; raise UnreadableSlideError where the file has fewer."""
        if at < 0 or at + length > self.size:
            raise UnreadableSlideError(_TRUNCATED)
        data = self.file.read(at, length)
        if len(data) != length:
            raise UnreadableSlideError(_TRUNCATED)
        return data

    def unpack(self, code: str, at: int) -> tuple[int, ...]:
        """Return the numbers at ``at``, described by ``struct`` codes."""
        code = self.order + code
        return struct.unpack(code, self.read(at, struct.calcsize(code)))

    def directory(self, at: int) -> tuple[dict[int, Entry], int]:
        """Return the entries of the directory at ``at`` by tag, and the offset of the next directory (0: none)."""
        count_code, entry_code, next_code = ("Q", "HHQ", "Q") if self.big else ("H", "HHI", "I")
        (count,) = self.unpack(count_code, at)
        if not 0 < count <= MAX_TAGS:
            raise UnreadableSlideError("damaged TIFF directory: impossible number of tags")
        at += struct.calcsize("<" + count_code)
        entry_bytes = 20 if self.big else 12
        end = at + entry_bytes * count
        block = self.read(at, entry_bytes * count)
        (following,) = self.unpack("Q" if self.ndpi else next_code, end)
        high = self.unpack(f"{count}I", end + 8) if self.ndpi else (0,) * count
        entries = {}
        for i in range(count):
            tag, kind, n = struct.unpack_from(self.order + entry_code, block, i * entry_bytes)
            entries[tag] = self._entry(tag, kind, n, at + i * entry_bytes, high[i])
        return entries, following

    def _entry(self, tag: int, kind: int, count: int, at: int, high: int) -> Entry:
        """Return an entry and its value's offset: within the entry where the value fits, else where it points."""
        value_at, inline = (at + 12, 8) if self.big else (at + 8, 4)
        entry = Entry(kind, count, value_at, high if count == 1 else 0)
        if entry.length > inline:
            (offset,) = self.unpack("Q" if self.big else "I", value_at)
            entry = Entry(kind, count, high << 32 | offset)
        if entry.at + entry.length <= self.size:
            return entry
        # Checked for tags that are not read here as well: other readers trust them. A private tag that no reader
        # knows may be cut off: what the file has of its value counts.
        if tag < _FIRST_PRIVATE or tag in _READ_PRIVATE:
            raise UnreadableSlideError(_TRUNCATED)
        return Entry(kind, max(0, self.size - entry.at) // TYPE_BYTES.get(kind, 1), min(entry.at, self.size))


def is_tiff(file: OpenFile) -> bool:
    """Return whether the file begins with the signature of TIFF or BigTIFF."""
    return file.read(0, 4) in SIGNATURES


def directories(reader: Reader) -> Iterator[dict[int, Entry]]:
    """Yield each page's entries by tag; raise UnreadableSlideError where the chain of directories is damaged."""
    at, seen, tags = reader.first_page, set[int](), 0
    if at == 0:
        raise UnreadableSlideError("the file holds no image: the scan was not finished")
    while at:
        if at in seen:
            raise UnreadableSlideError("damaged TIFF: its directories run in a circle")
        seen.add(at)
        entries, at = reader.directory(at)
        tags += len(entries)
        if len(seen) > MAX_PAGES or tags > MAX_ALL_TAGS:
            raise UnreadableSlideError(f"the file holds too many images: up to {MAX_PAGES:,} can be read")
        yield entries
