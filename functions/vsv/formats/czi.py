"""Zeiss CZI: the sizes of its tiles, which OpenSlide trusts when it allocates memory for their pixels.

Source: the structures in OpenSlide's reader of the format, openslide-vendor-zeiss.c.
"""

import struct
from collections.abc import Iterator

from vsv.errors import UnreadableSlideError
from vsv.formats.random_access import OpenFile

MAX_TILE_SIDE = 1 << 14
MAX_ENTRIES = 1 << 22
_MAX_ATTACHMENTS, _MAX_DIMENSIONS = 100, 16
_SIGNATURE = b"ZISRAWFILE"
# Lengths in bytes of the parts before the lists, and of their entries.
_SEGMENT, _DIRECTORY_HEAD, _ENTRY, _DIMENSION = 32, 160, 32, 20
_ATTACHMENTS_HEAD, _ATTACHMENT, _ATTACHED_HEAD = 288, 128, 288
_BLOCK = 1 << 20
_DAMAGED = "damaged CZI file: its list of tiles is not whole"


def is_czi(file: OpenFile) -> bool:
    """Return whether the file begins as CZI files do."""
    return file.read(0, len(_SIGNATURE)) == _SIGNATURE


def check_tiles(file: OpenFile, at: int = 0) -> None:
    """Check the tiles of the CZI file at ``at``, and those of its label and macro, which are files within it.

    Raises UnreadableSlideError for tiles larger than any slide has, and for a file that is cut off.
    """
    tiles_at, _, _, attachments_at = struct.unpack("<qqiq", _read(file, at + 84, 28))
    for sides in _tiles(file, at + tiles_at):
        # A tile is stored in its size or reduced: OpenSlide never ends with one of a reduction of 0.
        if not all(0 < stored <= min(size, MAX_TILE_SIDE) for size, stored in sides):
            raise UnreadableSlideError("impossible tile size in the CZI file")
    if at == 0:
        for attached_at in _attached_files(file, attachments_at):
            check_tiles(file, attached_at)


def _tiles(file: OpenFile, at: int) -> Iterator[list[tuple[int, int]]]:
    """Yield width and height of each tile, each in full resolution and as stored; other dimensions do not matter."""
    (count,) = struct.unpack("<i", _read(file, at + _SEGMENT, 4))
    if not 0 < count <= MAX_ENTRIES:
        raise UnreadableSlideError(_DAMAGED)
    entries = _Blocks(file, at + _DIRECTORY_HEAD)
    for _ in range(count):
        (dimensions,) = struct.unpack_from("<i", entries.take(_ENTRY), _ENTRY - 4)
        if not 0 < dimensions <= _MAX_DIMENSIONS:
            raise UnreadableSlideError(_DAMAGED)
        lengths = [struct.unpack("<4s4xi4xi", entries.take(_DIMENSION)) for _ in range(dimensions)]
        sides = [(size, stored) for name, size, stored in lengths if name[:2] in {b"X\0", b"Y\0"}]
        if len(sides) != 2:
            raise UnreadableSlideError(_DAMAGED)
        yield sides


def _attached_files(file: OpenFile, at: int) -> Iterator[int]:
    (count,) = struct.unpack("<i", _read(file, at + _SEGMENT, 4))
    if not 0 <= count <= _MAX_ATTACHMENTS:
        raise UnreadableSlideError("damaged CZI file: its list of attachments is not whole")
    for number in range(count):
        entry = _read(file, at + _ATTACHMENTS_HEAD + number * _ATTACHMENT, _ATTACHMENT)
        position, kind = struct.unpack_from("<12xq20x8s", entry)
        if kind.rstrip(b"\0") == b"CZI":
            yield position + _ATTACHED_HEAD


class _Blocks:
    """Reads a list in large blocks, one entry after the other."""

    def __init__(self, file: OpenFile, at: int) -> None:
        self._file, self._at, self._block, self._used = file, at, b"", 0

    def take(self, length: int) -> bytes:
        """Return the next bytes; raise UnreadableSlideError at the end of the file."""
        if len(self._block) - self._used < length:
            more = self._file.read(self._at, _BLOCK)
            self._at += len(more)
            self._block, self._used = self._block[self._used :] + more, 0
        if len(self._block) - self._used < length:
            raise UnreadableSlideError(_DAMAGED)
        start, self._used = self._used, self._used + length
        return self._block[start : self._used]


def _read(file: OpenFile, at: int, length: int) -> bytes:
    data = file.read(at, length) if 0 <= at < file.size() else b""
    if len(data) != length:
        raise UnreadableSlideError("File is incomplete (truncated). Copy it again, or rescan")
    return data
