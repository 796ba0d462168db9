"""JPEG 2000 headers: checks of a codestream's decoding cost, made before any decoder reads the codestream.

Source: ITU-T T.800 (ISO/IEC 15444-1), annex A: marker segments.
"""

import struct
from dataclasses import dataclass

from vsv.errors import CorruptTileError

_SOC = b"\xff\x4f"
_SOT, _SOD, _SIZE, _COD, _COC = 0xFF90, 0xFF93, 0xFF51, 0xFF52, 0xFF53
_FIRST_MARKER = 0xFF01
_MAX_SEGMENTS = 64
# An Aperio tile is a single JPEG 2000 tile; other writers divide their tiles, but never into this many.
_MAX_TILES = 64
_MAX_PARTS = 1024
_COMPONENTS, _EIGHT_BITS = 3, 7  # Ssiz: unsigned, bit depth minus one
_SPANS = {(1, 1), (2, 1), (2, 2)}
_MAX_DECOMPOSITIONS = 32  # the limit of the standard
# Each precinct of each quality layer is a packet, and a few header bytes can declare millions of packets.
_MAX_LAYERS = 64
_MAX_PRECINCTS = 4096
_USER_PRECINCTS = 1
_COMPONENT_TRANSFORM, _IRREVERSIBLE = 1, 0


@dataclass(frozen=True, slots=True)
class Codestream:
    """The properties that a codestream's header declares.

    ``chroma`` is how many pixels, across and down, a sample of the second and third component spans;
    ``decompositions`` how many times the tile can be halved while it is decoded. ``transformed``: the codestream
    holds YCbCr as in JPEG, which a decoder finally converts to other colours (annex G.3, the irreversible transform).
    """

    chroma: tuple[int, int]
    decompositions: int
    transformed: bool


def read_codestream(data: bytes, side_px: int) -> Codestream:
    """Read a tile's headers; raise CorruptTileError unless it is ``side_px`` square with three 8-bit components.

    Headers, those of tile-parts included, that would make a decoder spend more than such a tile needs are refused.
    """
    if data[:2] != _SOC:
        raise CorruptTileError("the tile has no JPEG 2000 header")
    segments, at = _segments(data, 2, _SOT)
    try:
        chroma = _chroma(segments[_SIZE], side_px)
        decompositions = _decompositions(segments[_COD], side_px)
        # Decoders refuse the transform for components of several sizes.
        transformed = chroma == (1, 1) and (segments[_COD][4], segments[_COD][9]) == (
            _COMPONENT_TRANSFORM,
            _IRREVERSIBLE,
        )
    except (KeyError, IndexError, struct.error) as error:
        raise CorruptTileError("the tile's JPEG 2000 header is damaged") from error
    if _COC in segments:
        raise CorruptTileError("the tile's components are coded in different ways")
    _check_parts(data, at)
    return Codestream(chroma, decompositions, transformed)


def _segments(data: bytes, at: int, last: int) -> tuple[dict[int, bytes], int]:
    """Return the contents by marker of the segments from ``at`` to the marker ``last``, and that marker's offset."""
    segments: dict[int, bytes] = {}
    for _ in range(_MAX_SEGMENTS):
        if len(data) < at + 4:
            break
        marker, length = struct.unpack_from(">HH", data, at)
        if marker == last:
            return segments, at
        if marker < _FIRST_MARKER or length < 2 or at + 2 + length > len(data):
            break
        if marker in segments and marker in {_SIZE, _COD}:
            break
        segments[marker] = data[at + 4 : at + 2 + length]
        at += 2 + length
    raise CorruptTileError("the tile's JPEG 2000 header is damaged")


def _chroma(geometry: bytes, side_px: int) -> tuple[int, int]:
    """Check a tile's size and components; return how many pixels a sample of the second and third component spans."""
    _, right, bottom, left, top, tile_width, tile_height, x, y, count = struct.unpack_from(">H8IH", geometry)
    if (left, top, right, bottom, x, y) != (0, 0, side_px, side_px, 0, 0):
        raise CorruptTileError("the tile's JPEG 2000 has another size than the file says")
    if (
        not (tile_width and tile_height)
        or -(-side_px // tile_width) * -(-side_px // tile_height) > _MAX_TILES
    ):
        raise CorruptTileError("the tile is cut into too many parts")
    if count != _COMPONENTS:
        raise CorruptTileError(f"the tile has {count} components and not {_COMPONENTS}")
    depths, across, down = zip(*struct.iter_unpack("3B", geometry[36:45]), strict=True)
    if set(depths) != {_EIGHT_BITS}:
        raise CorruptTileError("the tile is not of 8 bits")
    luma, *chroma = zip(across, down, strict=True)
    if luma != (1, 1) or chroma[0] != chroma[1] or chroma[0] not in _SPANS:
        raise CorruptTileError("the tile's components have impossible sizes")
    return chroma[0]


def _decompositions(cod: bytes, side_px: int) -> int:
    """Check a tile's coding parameters; return the number of decompositions."""
    flags, _, layers, _, count, block_width, block_height = struct.unpack_from(">BBH4B", cod)
    if count > _MAX_DECOMPOSITIONS or max(block_width, block_height) > 8 or block_width + block_height > 8:
        raise CorruptTileError("the tile's code blocks are impossible")
    if not 0 < layers <= _MAX_LAYERS:
        raise CorruptTileError("the tile has too many quality layers")
    if flags & _USER_PRECINCTS and _precincts(cod[10 : 11 + count], count, side_px) > _MAX_PRECINCTS:
        raise CorruptTileError("the tile has too many precincts")
    return int(count)


def _precincts(exponents: bytes, decompositions: int, side_px: int) -> int:
    """Return the number of a component's precincts; raise IndexError where their sizes are missing."""
    total = 0
    for resolution in range(decompositions + 1):
        side = -(-side_px >> (decompositions - resolution))
        across, down = exponents[resolution] & 15, exponents[resolution] >> 4
        total += -(-side >> across) * -(-side >> down)
    return total


def _check_parts(data: bytes, at: int) -> None:
    """Check that no tile-part redefines the coding parameters; raise CorruptTileError otherwise."""
    for _ in range(_MAX_PARTS):
        if data[at : at + 2] != _SOT.to_bytes(2) or len(data) < at + 12:
            return  # the end, or bytes at which a decoder will stop
        (length,) = struct.unpack_from(">I", data, at + 6)
        segments, _ = _segments(data, at + 12, _SOD)
        if not segments.keys().isdisjoint({_COD, _COC}):
            raise CorruptTileError("the tile's parts are coded in different ways")
        if length == 0:
            return  # the last tile-part
        at += max(12, length)
    raise CorruptTileError("the tile is cut into too many parts")
