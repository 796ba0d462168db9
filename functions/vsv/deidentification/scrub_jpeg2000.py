"""JPEG 2000 codestreams without comments and without bytes behind their end.

A comment is overwritten with zeros and not removed, because the codestream counts its own bytes.
Source: ITU-T T.800, annex A: marker segments.
"""

import struct

from vsv.deidentification.scrub_jpeg import TRAILING
from vsv.errors import CorruptTileError

COMMENT = "JPEG 2000 comment"
_SOC, _EOC, _SOT_BYTES = b"\xff\x4f", b"\xff\xd9", b"\xff\x90"
_SOT, _SOD, _COM = 0xFF90, 0xFF93, 0xFF64
# The image and tile sizes, COD, COC, TLM, PLM, PLT, QCD, QCC, RGN, POC, PPM, PPT, CRG
_KNOWN = {
    0xFF51, 0xFF52, 0xFF53, 0xFF55, 0xFF57, 0xFF58, 0xFF5C, 0xFF5D, 0xFF5E, 0xFF5F, 0xFF60, 0xFF61, 0xFF63,
}  # fmt: skip
_MAX_SEGMENTS, _MAX_PARTS = 64, 1024


def clean(data: bytes) -> tuple[bytes, frozenset[str]]:
    """Return a codestream with blank comments and no trailing bytes, and the names of what was removed.

    Raises CorruptTileError for a codestream that is not understood.
    """
    if data[:2] != _SOC:
        raise CorruptTileError("it has no JPEG 2000 header")
    out, removed = bytearray(data), set[str]()
    at = _blank_comments(out, 2, _SOT, removed)
    for _ in range(_MAX_PARTS):
        if out[at : at + 2] != _SOT_BYTES:
            break
        at = _clean_part(out, at, removed)
    if at < len(out) and out[at : at + 2] != _EOC:
        raise CorruptTileError("its JPEG 2000 is damaged")
    if out[at + 2 :].strip(b"\0"):
        removed.add(TRAILING)
    return bytes(out[: at + 2]), frozenset(removed)


def _clean_part(out: bytearray, at: int, removed: set[str]) -> int:
    """Blank the comments of the tile-part at ``at``; return the offset of the next tile-part, or of the end."""
    if len(out) < at + 12:
        raise CorruptTileError("its JPEG 2000 is damaged")
    (length,) = struct.unpack_from(">I", out, at + 6)
    data_at = _blank_comments(out, at + 12, _SOD, removed) + 2
    # The last tile-part may leave its length open. Coded bytes hold no end marker: after 0xFF they are below 0x90.
    end = at + length if length else out.find(_EOC, data_at)
    if not data_at <= end <= len(out):
        raise CorruptTileError("its JPEG 2000 is cut off")
    return end


def _blank_comments(out: bytearray, at: int, last: int, removed: set[str]) -> int:
    """Overwrite the comments among the segments from ``at``; return the offset of the marker ``last``."""
    for _ in range(_MAX_SEGMENTS):
        if len(out) < at + 4:
            break
        marker, length = struct.unpack_from(">HH", out, at)
        if marker == last:
            return at
        if length < 2 or at + 2 + length > len(out) or marker not in {*_KNOWN, _COM}:
            break
        if marker == _COM and any(out[at + 4 : at + 2 + length]):
            out[at + 4 : at + 2 + length] = bytes(length - 2)
            removed.add(COMMENT)
        at += 2 + length
    raise CorruptTileError("its JPEG 2000 is damaged")
