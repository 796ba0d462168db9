"""JPEG headers: completing a TIFF's abbreviated tile to a JPEG stream, without decoding the tile.

Sources: ITU-T T.81 annex B (markers); TIFF Technical Note 2 (abbreviated streams and JPEGTables);
Adobe Technical Note 5116, section 18 (the APP14 marker and its transform flag).
"""

from dataclasses import dataclass

from vsv.errors import CorruptTileError, MissingTablesError

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
ADOBE_RGB, ADOBE_YCBCR = 0, 1
_SOF_8BIT = {0xC0, 0xC1, 0xC2}  # baseline, extended sequential, progressive: what browsers decode
_DHT, _EOI, _SOS, _DQT, _DRI, _COM = 0xC4, 0xD9, 0xDA, 0xDB, 0xDD, 0xFE
_APPLICATION = range(0xE0, 0xF0)
# Markers that may precede the scan. A decoder could interpret any other marker (a restart marker has no length, for
# example) differently from the checks here.
_ALLOWED_MARKERS = {*_SOF_8BIT, _DHT, _DQT, _DRI, _COM, *_APPLICATION}
_RGB_COMPONENT_IDS = b"RGB"
# libjpeg has no limit; without one, a hostile tile of millions of empty comments would keep a core busy.
_MAX_HEADER_SEGMENTS = 16_384
# Padding of at most so many bytes behind the end marker is passed through, longer padding is cut off.
_MAX_PADDING_BYTES = 14
_QUANTIZATION_VALUES = 64
_MAX_CHECKED_HEADER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Frame:
    """The content of a tile's header; ``hints_at_color``: decoders would derive a colour space from the header.

    ``scan_at`` is the offset where the header ends: later bytes do not change any of these values. ``has_padding``:
    there are bytes between the header's segments. ``quantizers`` are the quantization tables that the frame needs.
    """

    width_px: int
    height_px: int
    components: int
    hints_at_color: bool
    scan_at: int
    has_padding: bool
    quantizers: frozenset[int]


def adobe_marker(transform: int) -> bytes:
    """Return an APP14 segment that states how the components are coded: 0 untransformed RGB, 1 YCbCr."""
    return b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes((transform,))


def next_marker(data: bytes, at: int) -> int:
    """Return the offset of the next marker's last 0xFF; raise CorruptTileError where there is no marker.

    Any number of fill bytes 0xFF may precede a marker (T.81, B.1.1.2); like libjpeg, skip any other bytes as well.
    """
    while (at := data.find(b"\xff", at)) >= 0:
        while data[at + 1 : at + 2] == b"\xff":
            at += 1
        if data[at + 1 : at + 2] != b"\x00":
            return at
        at += 2
    raise CorruptTileError("the tile's JPEG header is damaged")


def _segment(data: bytes, at: int) -> tuple[int, int, int]:
    """Return marker, start and end of the header segment at or after ``at``.

    SOS and EOI segments extend to the last byte.
    """
    at = next_marker(data, at)
    if len(data) < at + 2:
        raise CorruptTileError("the tile's JPEG header is damaged")
    marker = data[at + 1]
    if marker in {_SOS, _EOI}:
        return marker, at, len(data)
    if marker not in _ALLOWED_MARKERS or len(data) < at + 4:
        raise CorruptTileError("the tile's JPEG header is damaged")
    length = data[at + 2] << 8 | data[at + 3]
    end = at + 2 + length
    if length < 2 or end > len(data):
        raise CorruptTileError("the tile's JPEG header is damaged")
    return marker, at, end


def _segments(data: bytes) -> list[tuple[int, int, int]]:
    """Return marker, start and end of each header segment up to the scan or the stream's end."""
    at, segments = 2, []
    for _ in range(_MAX_HEADER_SEGMENTS):
        marker, at, end = _segment(data, at)
        segments.append((marker, at, end))
        if marker in {_SOS, _EOI}:
            return segments
        at = end
    raise CorruptTileError("the tile's JPEG header never ends")


def read_frame(tile: bytes) -> Frame:
    """Read a tile's header up to its scan; raise CorruptTileError where the tile is not 8-bit JPEG."""
    if tile[:2] != SOI:
        raise CorruptTileError("the tile has no JPEG header")
    size, hints, has_padding, at, quantizers = None, False, False, 2, frozenset[int]()
    for _ in range(_MAX_HEADER_SEGMENTS):
        marker, start, end = _segment(tile, at)
        has_padding = has_padding or start != at
        if marker in _SOF_8BIT:
            if size is not None or end < start + 10 or tile[start + 4] != 8:
                break
            size, ids = _size(tile, start), tile[start + 10 : end : 3]
            quantizers = frozenset(tile[start + 12 : end : 3])
            hints = hints or ids == _RGB_COMPONENT_IDS
        elif marker in _APPLICATION:
            hints = True
        elif marker == _SOS and size is not None:
            return Frame(*size, hints, start + 2, has_padding, quantizers)
        at = end
    raise CorruptTileError("the tile is not 8-bit JPEG of one frame")


def _size(tile: bytes, at: int) -> tuple[int, int, int]:
    """Return width, height and number of components of the frame header at ``at``."""
    return tile[at + 7] << 8 | tile[at + 8], tile[at + 5] << 8 | tile[at + 6], tile[at + 9]


def _quantizers(data: bytes) -> set[int]:
    """Return the numbers of the quantization tables that a stream's header defines."""
    numbers = set()
    for marker, start, end in _segments(data):
        at = start + 4 if marker == _DQT else end
        while at < end:
            numbers.add(data[at] & 15)
            at += 1 + _QUANTIZATION_VALUES * (2 if data[at] >> 4 else 1)
    return numbers


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
        self._quantizers = _quantizers(prefix + EOI)
        # The tiles of a level usually have the same header: a header that passed the check is compared, not read
        # again.
        self._checked_header: bytes | None = None

    def complete(self, tile: bytes) -> bytes:
        """Return a tile as a complete JPEG; raise CorruptTileError where it is no JPEG of the level's tile size."""
        checked_header = self._checked_header
        if checked_header is not None and tile.startswith(checked_header):
            return b"".join((self._prefix, memoryview(_until_end(tile, len(checked_header)))[2:]))
        frame = self._check(tile)
        tile = _until_end(tile, frame.scan_at)
        if frame.hints_at_color and self._components == 3:
            marker = adobe_marker(ADOBE_RGB if self._rgb else ADOBE_YCBCR)
            return self._prefix + marker + _without(_APPLICATION, tile)
        return self._prefix + (_without(range(0), tile) if frame.has_padding else tile[2:])

    def _check(self, tile: bytes) -> Frame:
        """Check a tile's header; return the header."""
        frame = read_frame(tile)
        if (frame.width_px, frame.height_px) != self._size_px:
            raise CorruptTileError(f"the tile's JPEG says {frame.width_px}×{frame.height_px}")
        if frame.components != self._components:
            raise CorruptTileError(
                f"the tile's JPEG has {frame.components} components and not {self._components}"
            )
        if not frame.quantizers <= _quantizers(tile) | self._quantizers:
            raise MissingTablesError("the tile's JPEG needs tables that the file does not hold")
        is_plain = not frame.hints_at_color and not frame.has_padding
        if is_plain and frame.scan_at <= _MAX_CHECKED_HEADER_BYTES:
            self._checked_header = tile[: frame.scan_at]
        return frame


def _until_end(tile: bytes, scan_at: int) -> bytes:
    """Return a tile up to its end marker, with little padding; raise CorruptTileError where it has none."""
    if tile.endswith(EOI):
        return tile
    # A scan's data has no FF D9: FF is followed by 00 or a restart marker.
    end = tile.rfind(EOI, scan_at) + len(EOI)
    if end < len(EOI):
        raise CorruptTileError("the tile's JPEG is cut off")
    return tile if len(tile) - end <= _MAX_PADDING_BYTES else tile[:end]


def _without(markers: range, tile: bytes) -> bytes:
    """Return a tile without SOI, segments of these markers and bytes between the header's segments."""
    return b"".join(tile[at:end] for marker, at, end in _segments(tile) if marker not in markers)


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
