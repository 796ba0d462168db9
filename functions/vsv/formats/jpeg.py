"""JPEG headers: completing a TIFF's abbreviated tile to a JPEG stream, without decoding the tile.

Sources: ITU-T T.81 annex B (markers); TIFF Technical Note 2 (abbreviated streams and JPEGTables);
Adobe Technical Note 5116, section 18 (the APP14 marker and its transform flag).
"""

from dataclasses import dataclass

from vsv.errors import CorruptTileError

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
ADOBE_RGB, ADOBE_YCBCR = 0, 1
_SOF_8BIT = {0xC0, 0xC1, 0xC2}  # baseline, extended sequential, progressive: what browsers decode
_DHT, _EOI, _SOS, _DQT, _DRI, _COM = 0xC4, 0xD9, 0xDA, 0xDB, 0xDD, 0xFE
_APPLICATION = range(0xE0, 0xF0)
# Markers that may precede the scan. A decoder could interpret any other marker (a restart marker has no length, for
# example) differently from the checks here.
_ALLOWED_MARKERS = {*_SOF_8BIT, _DHT, _DQT, _DRI, _COM, *_APPLICATION}
_RGB_COMPONENT_IDS = b"RGB"
_MAX_HEADER_SEGMENTS = 64
_MAX_CHECKED_HEADER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Frame:
    """The content of a tile's header; ``hints_at_color``: decoders would derive a colour space from the header.

    ``scan_at`` is the offset where the header ends: later bytes do not change any of these values.
    """

    width_px: int
    height_px: int
    components: int
    hints_at_color: bool
    scan_at: int


def adobe_marker(transform: int) -> bytes:
    """Return an APP14 segment that states how the components are coded: 0 untransformed RGB, 1 YCbCr."""
    return b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes((transform,))


def _segment(data: bytes, at: int) -> tuple[int, int]:
    """Return marker and end of the header segment at ``at``; SOS and EOI segments extend to the last byte."""
    if len(data) < at + 2 or data[at] != 0xFF:
        raise CorruptTileError("the tile's JPEG header is damaged")
    marker = data[at + 1]
    if marker in {_SOS, _EOI}:
        return marker, len(data)
    if marker not in _ALLOWED_MARKERS or len(data) < at + 4:
        raise CorruptTileError("the tile's JPEG header is damaged")
    length = data[at + 2] << 8 | data[at + 3]
    end = at + 2 + length
    if length < 2 or end > len(data):
        raise CorruptTileError("the tile's JPEG header is damaged")
    return marker, end


def _segments(data: bytes) -> list[tuple[int, int, int]]:
    """Return marker, start and end of each header segment up to the scan or the stream's end."""
    at, segments = 2, []
    for _ in range(_MAX_HEADER_SEGMENTS):
        marker, end = _segment(data, at)
        segments.append((marker, at, end))
        if marker in {_SOS, _EOI}:
            return segments
        at = end
    raise CorruptTileError("the tile's JPEG header never ends")


def read_frame(tile: bytes) -> Frame:
    """Read a tile's header up to its scan; raise CorruptTileError where the tile is not 8-bit JPEG."""
    if tile[:2] != SOI:
        raise CorruptTileError("the tile has no JPEG header")
    size, hints, at = None, False, 2
    for _ in range(_MAX_HEADER_SEGMENTS):
        marker, end = _segment(tile, at)
        if marker in _SOF_8BIT:
            if size is not None or end < at + 10 or tile[at + 4] != 8:
                break
            size = tile[at + 7] << 8 | tile[at + 8], tile[at + 5] << 8 | tile[at + 6], tile[at + 9]
            hints = hints or tile[at + 10 : end : 3] == _RGB_COMPONENT_IDS
        elif marker in _APPLICATION:
            hints = True
        elif marker == _SOS and size is not None:
            return Frame(*size, hints, at + 2)
        at = end
    raise CorruptTileError("the tile is not 8-bit JPEG of one frame")


def tables_prefix(jpeg_tables: bytes, *, rgb: bool) -> bytes:
    """Return the bytes that replace a tile's SOI: SOI, the colour marker where needed, the shared tables.

    Without a colour marker, decoders take three components for YCbCr, so only RGB needs the marker. Only the table
    segments of ``jpeg_tables`` are copied: decoders would obey a second colour marker, and would take a frame for the
    tile's. Raise CorruptTileError where ``jpeg_tables`` is not a JPEG stream of tables.
    """
    marker = adobe_marker(ADOBE_RGB) if rgb else b""
    if not jpeg_tables:
        return SOI + marker
    if not jpeg_tables.startswith(SOI):
        raise CorruptTileError("the JPEG tables are damaged")
    segments = list(_segments(jpeg_tables))
    if segments[-1][0] != _EOI or any(kind in _SOF_8BIT for kind, _, _ in segments):
        raise CorruptTileError("the JPEG tables hold an image")
    return SOI + marker + b"".join(jpeg_tables[at:end] for kind, at, end in segments if kind in {_DQT, _DHT})


class Completer:
    """Completes one level's abbreviated tiles to JPEG streams; the coded pixels stay byte for byte the same.

    The TIFF's photometric tag decides the colour space, as in OpenSlide, regardless of hints in a tile's own header.
    """

    def __init__(self, prefix: bytes, size_px: tuple[int, int], components: int, *, rgb: bool) -> None:
        self._prefix, self._size_px, self._components, self._rgb = prefix, size_px, components, rgb
        # The tiles of a level usually have the same header: a header that passed the check is compared, not read
        # again.
        self._checked_header: bytes | None = None

    def complete(self, tile: bytes) -> bytes:
        """Return a tile as a complete JPEG; raise CorruptTileError where it is no JPEG of the level's tile size."""
        checked_header = self._checked_header
        hints = False if checked_header is not None and tile.startswith(checked_header) else self._check(tile)
        if not tile.endswith(EOI) and EOI not in tile[-16:]:
            raise CorruptTileError("the tile's JPEG is cut off")
        if hints and self._components == 3:
            marker = adobe_marker(ADOBE_RGB if self._rgb else ADOBE_YCBCR)
            return self._prefix + marker + _without_application_data(tile)
        return b"".join((self._prefix, memoryview(tile)[2:]))

    def _check(self, tile: bytes) -> bool:
        """Check a tile's header; return whether the header hints at a colour space."""
        frame = read_frame(tile)
        if (frame.width_px, frame.height_px) != self._size_px:
            raise CorruptTileError(f"the tile's JPEG says {frame.width_px}×{frame.height_px}")
        if frame.components != self._components:
            raise CorruptTileError(
                f"the tile's JPEG has {frame.components} components and not {self._components}"
            )
        if not frame.hints_at_color and frame.scan_at <= _MAX_CHECKED_HEADER_BYTES:
            self._checked_header = tile[: frame.scan_at]
        return frame.hints_at_color


def _without_application_data(tile: bytes) -> bytes:
    """Return a tile without application segments (JFIF, Adobe) and without SOI."""
    return b"".join(tile[at:end] for marker, at, end in _segments(tile) if marker not in _APPLICATION)


def abbreviate(data: bytes) -> tuple[bytes, bytes]:
    """Split a complete JPEG into its tables and an abbreviated tile: the inverse of ``complete``.

    Application segments (JFIF) are dropped. Raise CorruptTileError where the stream is not a JPEG.
    """
    read_frame(data)
    tables, rest = [SOI], [SOI]
    for marker, at, end in _segments(data):
        if marker in {_DQT, _DHT}:
            tables.append(data[at:end])
        elif marker not in _APPLICATION:
            rest.append(data[at:end])
    return b"".join((*tables, EOI)), b"".join(rest)
