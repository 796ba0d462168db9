"""Signs that a file is still being written: it has its final size, but not yet its bytes.

A scanner or a copying program may allocate a file, write its directories first and its tiles later. Until then the
tiles are zeros, or a hole. Only the beginnings of a bounded number of tiles are read, spread over each page.
Sources: TIFF 6.0 (LZW, section 13); RFC 1950 (zlib); ITU-T T.81 B.1.1.3 (SOI); ITU-T T.800 A.4.1 (SOC), I.5.1 (JP2).
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vsv.errors import UnreadableSlideError
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import COMPRESSION_JPEG, Page, read_pages
from vsv.formats.tiff_directories import MAX_PAGES, Reader, is_tiff
from vsv.formats.tile_offsets import TileSpans

# Tiles looked at: of a whole file, at least of each page, and at the end of each page's list.
FILE_TILES, PAGE_TILES, LAST_TILES = 512, 8, 4
HEAD_BYTES = 16
# More zeros than writers pad a tile with, or end a file with. The last bytes of the last directory are zeros, too.
END_BYTES, TAIL_BYTES = 256, 4096
_DIRECTORY_BYTES = 32
# Places of an unfinished file at which its digest shows that the writer goes on, whatever the format.
_PLACES, _PLACE_BYTES = 256, 16

_LZW, _DEFLATE, _ADOBE_DEFLATE = 5, 8, 32946
_JPEG2000 = (33003, 33005, 34712)


@dataclass(frozen=True, slots=True)
class Unwritten:
    """What is not written yet, in words for people.

    ``digest`` is of all bytes looked at, and changes as the writer goes on. ``is_tail``: the bytes that are missing
    are the last ones of the file, or tiles up to a page's first or last one, as a writer in any order leaves them.
    """

    reason: str
    digest: str
    is_tail: bool


@dataclass(slots=True)
class _Look:
    """A look at one file: the digest of what was read so far, and the file's last tile of those looked at."""

    file: OpenFile
    size: int
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    last_offset: int = -1
    is_last_missing: bool = False
    is_in_order: bool = False
    # Where the last tile ends if its data are pixels, of which zeros are black, and whether it begins with black.
    plain_end: int = 0
    is_plain_black: bool = False
    reason: str = ""

    def read(self, at: int, length: int) -> bytes:
        """Return bytes within the file, and add them to the digest."""
        data = self.file.read(at, max(0, min(length, self.size - at))) if at >= 0 else b""
        self.digest.update(b"%d:" % at + data)
        return data


def find_unwritten(path: Path) -> Unwritten | None:
    """Return what of a file is not written yet; None for a complete file, and for one that is no slide.

    Raises FileMissingError and UnavailableError where the file cannot be read.
    """
    file = OpenFile(path)
    look = _Look(file, file.size())
    if look.size < HEAD_BYTES:
        return None
    tail_bytes = min(TAIL_BYTES, look.size // 2)
    is_tail_zero = not any(look.read(look.size - tail_bytes, tail_bytes))
    if not any(look.read(0, HEAD_BYTES)):
        look.reason, is_tail_zero = "the file's beginning is empty", True
    elif is_tiff(file):
        is_tail_zero |= _look_at_pages(look)
    is_in_pixels = look.plain_end >= look.size - HEAD_BYTES  # edge tiles are padded, and pixels may be black
    if not look.reason and is_tail_zero and (not is_in_pixels or look.is_plain_black):
        look.reason = "the file's end is empty"
    is_tail = (is_tail_zero and not is_in_pixels) or look.is_last_missing or look.is_in_order
    return Unwritten(look.reason, _digest(look), is_tail) if look.reason else None


def _digest(look: _Look) -> str:
    for place in range(_PLACES):
        look.read(place * look.size // _PLACES, _PLACE_BYTES)
    return look.digest.hexdigest()


def _look_at_pages(look: _Look) -> bool:
    """Note what is missing of a TIFF's pages; return whether its directories are not written."""
    if _has_empty_directory(look):
        look.reason = "the file's directories are empty"
        return True
    try:
        pages = read_pages(look.file)
    except UnreadableSlideError:
        return False  # validation says what is wrong
    budget = max(PAGE_TILES, FILE_TILES // len(pages))
    for page in pages:
        reason = _missing_tiles(look, page, budget)
        look.reason = look.reason or reason
    return False


def _has_empty_directory(look: _Look) -> bool:
    """Return whether the chain of directories leads to one that is zeros, or has no beginning."""
    seen = set[int]()
    try:
        reader = Reader(look.file)
        at = reader.first_page
        if at == 0:
            return look.size > HEAD_BYTES
        while at and at not in seen and len(seen) < MAX_PAGES:
            if at < look.size and not any(look.read(at, _DIRECTORY_BYTES)):
                return True
            seen.add(at)
            at = reader.directory(at)[1]
    except (UnreadableSlideError, struct.error):
        return False
    return False


def _missing_tiles(look: _Look, page: Page, budget: int) -> str:
    """Return which of a page's tiles or strips are missing, in words; "" where none is."""
    spans, count = TileSpans(look.file, page), min(page.offsets.count, page.byte_counts.count)
    chosen = list(_chosen(count, budget))
    missing = []
    for index in chosen:
        offset, length = spans.span(index)
        is_missing = length > 0 and not _is_written(look, page, offset, length, ends=index == count - 1)
        if length > 0 and offset > look.last_offset:
            _note_last(look, page, offset, length, is_missing=is_missing)
        if is_missing:
            missing.append(index)
    is_part = 0 < len(missing) < len(chosen)
    look.is_in_order |= is_part and missing in (chosen[: len(missing)], chosen[-len(missing) :])
    return _words(page, missing, chosen) if missing else ""


def _note_last(look: _Look, page: Page, offset: int, length: int, *, is_missing: bool) -> None:
    """Note the tile that lies furthest in the file so far."""
    is_plain = page.compression not in _CODED
    look.last_offset, look.is_last_missing = offset, is_missing
    look.plain_end = offset + length if is_plain else 0
    look.is_plain_black = is_plain and not any(look.read(offset, HEAD_BYTES))


def _chosen(count: int, budget: int) -> Iterator[int]:
    """Yield the indexes of a spread sample of tiles, and of the last ones, in order."""
    step = -(-count // budget)
    last = max(0, count - LAST_TILES)
    yield from (index for index in range(0, last, step))
    yield from range(last, count)


def _is_written(look: _Look, page: Page, offset: int, length: int, *, ends: bool) -> bool:
    """Return whether a tile begins as its compression does and, with ``ends``, ends in data.

    A file that ends before the tile is truncated, which validation says: when it grows, it is another file.
    """
    if offset + length > look.size:
        return True
    head = look.read(offset, min(HEAD_BYTES, length))
    if not _begins_as_claimed(page.compression, head):
        return False
    if not ends or page.compression not in _CODED or length <= END_BYTES:
        return True
    return any(look.read(offset + length - END_BYTES, END_BYTES))


def _begins_as_claimed(compression: int, head: bytes) -> bool:
    """Return whether a tile's first bytes are possible; any bytes are for data without a signature."""
    if compression == COMPRESSION_JPEG:
        return head.startswith(b"\xff\xd8")
    if compression in _JPEG2000:
        return head.startswith((b"\xff\x4f", b"\0\0\0\x0cjP  "))
    if compression in (_DEFLATE, _ADOBE_DEFLATE):
        return len(head) > 1 and head[0] & 15 == 8 and int.from_bytes(head[:2]) % 31 == 0
    if compression == _LZW:  # the first code is Clear: 256 in nine bits; in old files, from the lowest bit on
        return len(head) > 1 and (int.from_bytes(head[:2]) >> 7 == 256 or (head[0] == 0 and head[1] & 1 == 1))
    return True


_CODED = frozenset({COMPRESSION_JPEG, _LZW, _DEFLATE, _ADOBE_DEFLATE, *_JPEG2000})


def _words(page: Page, missing: list[int], chosen: list[int]) -> str:
    """Return which tiles are missing; the numbers count from 1, and are exact where all tiles were looked at."""
    parts = "tiles" if page.is_tiled else "strips"
    where = f" of image {page.index + 1}" if page.index else ""
    if len(missing) == 1:
        return f"{parts[:-1]} {missing[0] + 1}{where} is empty"
    at = chosen.index(missing[0])
    if missing == chosen[at : at + len(missing)]:
        return f"{parts} {missing[0] + 1} to {missing[-1] + 1}{where} are empty"
    return f"{len(missing)} of {len(chosen)} {parts}{where} that were looked at are empty"
