"""NGR, the uncompressed pictures of Hamamatsu's VMU: sizes that OpenSlide trusts when it allocates memory.

Source: the header as OpenSlide reads it, openslide-vendor-hamamatsu.c.
"""

import struct
from pathlib import Path

from vsv.errors import UnreadableSlideError

_HEADER = struct.Struct("<2s2x3i8xi")
_MAX_SIDE, _MAX_COLUMN = 1 << 22, 1 << 14
_SAMPLE_BYTES = 6  # three of 16 bits a pixel


def check_ngr(path: Path) -> None:
    """Raise UnreadableSlideError for a picture of impossible sizes, or of fewer bytes than its sizes need."""
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
    if len(head) < _HEADER.size or head[:2] != b"GN":
        raise UnreadableSlideError(f"{path.name} is no picture of a VMU slide")
    _, width, height, column, start = _HEADER.unpack(head)
    is_possible = 0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE and 0 < column <= _MAX_COLUMN
    if not is_possible or start < _HEADER.size:
        raise UnreadableSlideError(f"{path.name} has impossible sizes")
    if path.stat().st_size < start + width * height * _SAMPLE_BYTES:
        raise UnreadableSlideError(f"{path.name} is incomplete (truncated). Copy it again, or rescan")
