"""JPEG streams reduced to their pixels: comments, application segments and trailing bytes are removed.

Every segment's length must agree with its content, so that no segment holds bytes that no decoder reads. Bytes
between segments, legal fill bytes among them, are skipped as decoders skip them, and removed.
Sources: ITU-T T.81 annex B; JFIF 1.02; Adobe Technical Note 5116, section 18.
"""

import re

from vsv.errors import CorruptTileError
from vsv.formats.jpeg import next_marker

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
TRAILING, COMMENT = "bytes behind a picture's end", "JPEG comment"
BETWEEN = "bytes between a JPEG's segments"
_DHT, _EOI, _SOS, _DQT, _DRI, _APP0, _APP14, _COM = 0xC4, 0xD9, 0xDA, 0xDB, 0xDD, 0xE0, 0xEE, 0xFE
_FRAMES = {0xC0, 0xC1, 0xC2}
_APPLICATION = range(0xE0, 0xF0)
_MAX_SEGMENTS = 2000  # progressive pictures have a scan for each of 64 coefficients, each with its own table
_JFIF_BYTES, _ADOBE_BYTES = 14, 12
# A coded 0xFF is followed by zero or is part of a restart marker; any other byte after 0xFF ends the scan.
_SCAN_END = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")


def clean(data: bytes, *, tables: bool = False) -> tuple[bytes, frozenset[str]]:
    """Return a stream with only the bytes that decoders need for pixels, and the names of what was removed.

    ``tables``: the stream is a TIFF's JPEGTables, which hold no picture. Raises CorruptTileError for a stream that is
    not understood.
    """
    if data[:2] != SOI:
        raise CorruptTileError("it has no JPEG header")
    kept, removed, at, frames, scans = [SOI], set[str](), 2, 0, 0
    for _ in range(_MAX_SEGMENTS):
        start = next_marker(data, at)
        removed |= _names_between(data[at:start])
        at = start
        marker, end = _read_segment(data, at)
        if marker == _EOI:
            break
        frames, scans = frames + (marker in _FRAMES), scans + (marker == _SOS)
        content, names = _clean_segment(marker, data[at:end], kept)
        removed |= names
        kept.append(content)
        at = end if marker != _SOS else _copy_scan(data, end, kept)
    else:
        raise CorruptTileError("its JPEG never ends")
    if (frames, scans > 0) != ((0, False) if tables else (1, True)):
        raise CorruptTileError(
            "its JPEG is not one picture" if not tables else "its JPEG tables hold a picture"
        )
    if data[at + 2 :].strip(b"\0"):
        removed.add(TRAILING)
    return b"".join((*kept, EOI)), frozenset(removed)


def _names_between(skipped: bytes) -> set[str]:
    """Return the name of removed bytes between segments; none for fill bytes, which hold nothing (T.81, B.1.1.2)."""
    return {BETWEEN} if skipped.strip(b"\xff") else set()


def _read_segment(data: bytes, at: int) -> tuple[int, int]:
    """Return the marker at ``at`` and the end of its segment; raise CorruptTileError."""
    if len(data) < at + 2:
        raise CorruptTileError("its JPEG is damaged")
    marker = data[at + 1]
    if marker == _EOI:
        return marker, at + 2
    end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
    if end < at + 4 or end > len(data):
        raise CorruptTileError("its JPEG is damaged")
    return marker, end


def _copy_scan(data: bytes, at: int, kept: list[bytes]) -> int:
    """Append a scan to ``kept``; return the offset of the marker behind the scan."""
    end = data.find(EOI, at)
    scan = data[at:end]
    if end > 0 and scan.count(b"\xff") == scan.count(b"\xff\0"):  # true of most tiles, and ten times as fast
        kept.append(scan)
        return end
    match = _SCAN_END.search(data, at)
    if match is None:
        raise CorruptTileError("its JPEG is cut off")
    kept.append(data[at : match.start()])
    return match.end() - 2  # of several 0xFF only the last belongs to the marker


def _clean_segment(marker: int, segment: bytes, before: list[bytes]) -> tuple[bytes, set[str]]:
    """Return a segment's content in the copy, perhaps empty, and the names of what was removed from the segment.

    ``before`` are the segments kept so far: an application segment is kept once. Raises CorruptTileError.
    """
    if marker == _COM:
        return b"", {COMMENT}
    if marker in _APPLICATION:
        content = _clean_application(marker, segment)
        content = b"" if content in before else content
        return content, set() if content == segment else {f"JPEG application segment {marker - 0xE0}"}
    if marker not in {*_FRAMES, _DHT, _DQT, _DRI, _SOS} or not _is_exact(marker, segment[4:]):
        raise CorruptTileError("its JPEG holds a segment that is not understood")
    return segment, set()


def _clean_application(marker: int, segment: bytes) -> bytes:
    """Return JFIF's segment without its thumbnail, Adobe's without further bytes; empty for other applications."""
    if marker == _APP0 and segment[4:9] == b"JFIF\0" and len(segment) >= 4 + _JFIF_BYTES:
        return b"\xff\xe0\x00\x10" + segment[4:16] + b"\0\0"
    if marker == _APP14 and segment[4:9] == b"Adobe" and len(segment) >= 4 + _ADOBE_BYTES:
        return b"\xff\xee\x00\x0e" + segment[4:16]
    return b""


def _is_exact(marker: int, content: bytes) -> bool:
    """Return whether a segment's content has exactly the length that its own counts imply."""
    if marker == _DRI:
        return len(content) == 2
    if marker == _SOS:
        return len(content) > 0 and len(content) == 4 + 2 * content[0]
    if marker in _FRAMES:
        return len(content) > 5 and len(content) == 6 + 3 * content[5]
    at = 0
    while at < len(content):
        if marker == _DQT:
            at += 129 if content[at] >> 4 else 65
        else:
            at += 17 + sum(content[at + 1 : at + 17])
    return at == len(content)
