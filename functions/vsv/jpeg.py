"""JPEG headers: making a TIFF's abbreviated tile a complete JPEG, without decoding it.

Sources: ITU-T T.81 annex B (markers); TIFF Technical Note 2 (abbreviated streams and JPEGTables);
Adobe Technical Note 5116, section 18 (the APP14 marker and its transform flag).
"""

from dataclasses import dataclass

from vsv.errors import CorruptTileError

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
ADOBE_RGB, ADOBE_YCBCR = 0, 1
_SOF_8BIT = {0xC0, 0xC1, 0xC2}  # baseline, extended sequential, progressive: what browsers decode
_DHT, _SOS, _DQT, _APP14 = 0xC4, 0xDA, 0xDB, 0xEE
_MAX_HEADER_SEGMENTS = 64


@dataclass(frozen=True, slots=True)
class Frame:
    """What a tile's header says; ``adobe_transform_at`` is the flag's position, 0 where there is none."""

    width_px: int
    height_px: int
    components: int
    adobe_transform_at: int


def adobe_marker(transform: int) -> bytes:
    """Give an APP14 segment that states how the components are coded: 0 RGB as it is, 1 YCbCr."""
    return b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes((transform,))


def read_frame(tile: bytes) -> Frame:
    """Walk a tile's header up to its scan; raises CorruptTileError where it is not 8-bit JPEG."""
    if tile[:2] != SOI:
        raise CorruptTileError("the tile does not begin as a JPEG")
    at, adobe_at = 2, 0
    frame = None
    for _ in range(_MAX_HEADER_SEGMENTS):
        if len(tile) < at + 4 or tile[at] != 0xFF:
            break
        marker = tile[at + 1]
        if marker == _SOS and frame is not None:
            return Frame(*frame, adobe_at)
        if marker in _SOF_8BIT:
            frame = _frame_size(tile, at)
        elif marker == _APP14 and tile[at + 4 : at + 9] == b"Adobe":
            adobe_at = at + 15
        at += 2 + (tile[at + 2] << 8 | tile[at + 3])
    raise CorruptTileError("the tile's JPEG header is damaged")


def _frame_size(tile: bytes, at: int) -> tuple[int, int, int]:
    if len(tile) < at + 10 or tile[at + 4] != 8:
        raise CorruptTileError("the tile is not 8-bit JPEG")
    return tile[at + 7] << 8 | tile[at + 8], tile[at + 5] << 8 | tile[at + 6], tile[at + 9]


def tables_prefix(jpeg_tables: bytes, *, rgb: bool) -> bytes:
    """Give what replaces a tile's SOI: SOI, the colour marker where it is needed, the shared tables.

    Without the marker, decoders take three components for YCbCr, so it is needed for RGB only.
    Raises CorruptTileError where the tables are not a JPEG stream.
    """
    if jpeg_tables and not (jpeg_tables.startswith(SOI) and EOI in jpeg_tables[-4:]):
        raise CorruptTileError("the JPEG tables are damaged")
    tables = jpeg_tables[2 : jpeg_tables.rindex(EOI)] if jpeg_tables else b""
    return SOI + (adobe_marker(ADOBE_RGB) if rgb else b"") + tables


def complete(tile: bytes, prefix: bytes, width_px: int, height_px: int, *, rgb: bool) -> bytes:
    """Make a whole JPEG of an abbreviated tile; the coded pixels stay byte for byte what they were.

    The TIFF's photometric tag decides the colour space, as in OpenSlide; a tile's own Adobe marker that says
    otherwise is corrected. Raises CorruptTileError where the tile is not a JPEG of the promised size.
    """
    frame = read_frame(tile)
    if (frame.width_px, frame.height_px) != (width_px, height_px):
        raise CorruptTileError(f"the tile's JPEG says {frame.width_px}×{frame.height_px}")
    if EOI not in tile[-16:]:
        raise CorruptTileError("the tile's JPEG is cut off")
    if frame.adobe_transform_at and frame.components == 3:
        transform = ADOBE_RGB if rgb else ADOBE_YCBCR
        at = frame.adobe_transform_at
        tile = tile[:at] + bytes((transform,)) + tile[at + 1 :]
    return prefix + tile[2:]


def abbreviate(data: bytes) -> tuple[bytes, bytes]:
    """Split a complete JPEG into its tables and an abbreviated tile: the inverse of ``complete``.

    Application segments (JFIF) are dropped. Raises CorruptTileError where the stream is not a JPEG.
    """
    tables, rest, at = [SOI], [SOI], 2
    while data[at + 1] != _SOS:
        end = at + 2 + (data[at + 2] << 8 | data[at + 3])
        if data[at] != 0xFF or end + 4 > len(data):
            raise CorruptTileError("the encoder's JPEG is damaged")
        if data[at + 1] in {_DQT, _DHT}:
            tables.append(data[at:end])
        elif not 0xE0 <= data[at + 1] <= 0xEF:
            rest.append(data[at:end])
        at = end
    return b"".join((*tables, EOI)), b"".join((*rest, data[at:]))
