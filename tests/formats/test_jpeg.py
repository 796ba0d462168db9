"""Abbreviated tiles made whole: the bytes pass, the colours are the TIFF's, and nothing hostile gets to a decoder."""

import io

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from vsv.errors import CorruptTileError, MissingTablesError
from vsv.formats.jpeg import ADOBE_RGB, ADOBE_YCBCR, Completer, abbreviate, adobe_marker, tables_prefix

from tests.support.slides.aperio import Pixels, encode_tile, joined, segments, split_tables, texture

SIDE = 64
TILE = texture(SIDE, SIDE)
JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
APP0, DQT, DHT, SOF0, SOS = 0xE0, 0xDB, 0xC4, 0xC0, 0xDA


def decoded(jpeg: bytes) -> Pixels:
    with Image.open(io.BytesIO(jpeg)) as image:
        return np.asarray(image.convert("RGB"))


def made_whole(tables: bytes, tile: bytes, *, rgb: bool) -> bytes:
    return Completer(tables_prefix(tables, rgb=rgb), (SIDE, SIDE), 3, rgb=rgb).complete(tile)


def difference(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(float) - other).mean())


def with_segment(jpeg: bytes, segment: bytes) -> bytes:
    return jpeg[:2] + segment + jpeg[2:]


@pytest.mark.parametrize("chroma", ["444", "422", "420"])
def test_completer_inserts_shared_tables_and_keeps_decoded_pixels(chroma: str) -> None:
    whole = encode_tile(TILE, chroma)
    assert np.array_equal(decoded(made_whole(*split_tables(whole), rgb=False)), decoded(whole))


def test_completer_adds_adobe_marker_to_rgb_tiles_without_marker() -> None:
    whole = made_whole(*split_tables(encode_tile(TILE, "rgb", 95)), rgb=True)
    assert adobe_marker(ADOBE_RGB) in whole
    assert difference(decoded(whole), TILE) < 2


def test_completer_keeps_scan_bytes_unchanged() -> None:
    tables, tile = split_tables(encode_tile(TILE, "rgb"))
    assert made_whole(tables, tile, rgb=True).endswith(tile[2:])


@pytest.mark.parametrize("where", ["tile", "tables"])
@pytest.mark.parametrize("marker", [adobe_marker(ADOBE_YCBCR), JFIF], ids=["adobe", "jfif"])
def test_completer_ignores_ycbcr_markers_in_rgb_tiles(where: str, marker: bytes) -> None:
    tables, tile = split_tables(encode_tile(TILE, "rgb", 95))
    parts = {"tables": tables, "tile": tile}
    parts[where] = with_segment(parts[where], marker)
    assert difference(decoded(made_whole(parts["tables"], parts["tile"], rgb=True)), TILE) < 2


@pytest.mark.parametrize("where", ["tile", "tables"])
def test_completer_ignores_rgb_markers_in_ycbcr_tiles(where: str) -> None:
    tables, tile = split_tables(encode_tile(TILE, "444", 95))
    parts = {"tables": tables, "tile": tile}
    parts[where] = with_segment(parts[where], adobe_marker(ADOBE_RGB))
    assert difference(decoded(made_whole(parts["tables"], parts["tile"], rgb=False)), TILE) < 2


def test_completer_ignores_rgb_component_ids_in_ycbcr_tiles() -> None:
    tables, tile = split_tables(encode_tile(TILE, "444", 95))
    parts = []
    for marker, part in segments(tile):
        data = bytearray(part)
        if marker in {SOF0, SOS}:
            start, stop, step = (10, 19, 3) if marker == SOF0 else (5, 11, 2)
            data[start:stop:step] = b"RGB"
        parts.append((marker, bytes(data)))
    assert difference(decoded(made_whole(tables, joined(parts), rgb=False)), TILE) < 2


def test_abbreviate_reverses_complete() -> None:
    whole = encode_tile(TILE, "420")
    tables, tile = abbreviate(whole)
    assert {marker for marker, _ in segments(tile)} == {SOF0, SOS}
    assert np.array_equal(decoded(made_whole(tables, tile, rgb=False)), decoded(whole))


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"no JPEG", encode_tile(TILE, "420")[:200]]
)
def test_abbreviate_refuses_bytes_that_are_not_a_whole_jpeg(data: bytes) -> None:
    with pytest.raises(CorruptTileError):
        abbreviate(data)


GOOD_TABLES, GOOD_TILE = split_tables(encode_tile(TILE, "420"))


def before_each_segment(tile: bytes, between: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(between + part for _, part in segments(tile))


@pytest.mark.parametrize("padding", [b"\0", bytes(15), bytes(5000), b"\xff" * 20, b"\xff\x00" * 20])
def test_completer_accepts_padding_of_any_length_after_end_marker(padding: bytes) -> None:
    whole = made_whole(GOOD_TABLES, GOOD_TILE + padding, rgb=False)
    assert np.array_equal(decoded(whole), decoded(encode_tile(TILE, "420")))
    assert len(whole) <= len(made_whole(GOOD_TABLES, GOOD_TILE, rgb=False)) + 14


@pytest.mark.parametrize("between", [b"\xff", b"\xff" * 9, b"\x00\x00", b"\x12\xff\x00\xff"])
@pytest.mark.parametrize("where", ["tile", "tables"])
def test_completer_drops_fill_and_stray_bytes_before_markers(between: bytes, where: str) -> None:
    parts = {"tables": GOOD_TABLES, "tile": GOOD_TILE}
    if where == "tile":
        parts["tile"] = before_each_segment(GOOD_TILE, between)
    else:
        parts["tables"] = before_each_segment(GOOD_TABLES[:-2] + GOOD_TILE[2:], between)
        parts["tables"] = parts["tables"][: parts["tables"].index(b"\xff\xc0") - len(between)] + b"\xff\xd9"
    plain = made_whole(GOOD_TABLES, GOOD_TILE, rgb=False)
    assert made_whole(parts["tables"], parts["tile"], rgb=False) == plain


def test_completer_accepts_hundreds_of_header_segments() -> None:
    tile = with_segment(GOOD_TILE, b"\xff\xfe\x00\x04ab" * 300)
    assert np.array_equal(
        decoded(made_whole(GOOD_TABLES, tile, rgb=False)), decoded(encode_tile(TILE, "420"))
    )


def test_completer_refuses_tile_whose_only_end_marker_is_in_its_header() -> None:
    tile = with_segment(GOOD_TILE[:-40], b"\xff\xfe\x00\x04\xff\xd9")
    with pytest.raises(CorruptTileError, match="cut off"):
        made_whole(GOOD_TABLES, tile, rgb=False)


def test_completer_refuses_tile_without_its_quantization_tables() -> None:
    huffman_only = joined([part for part in segments(GOOD_TABLES[:-2] + GOOD_TILE[2:]) if part[0] == 0xC4])
    for tables in (b"", huffman_only + b"\xff\xd9"):
        with pytest.raises(MissingTablesError):
            made_whole(tables, GOOD_TILE, rgb=False)


def with_frame(
    width_px: int, height_px: int, precision: int = 8, marker: int = SOF0, count: int = 3
) -> bytes:
    """Rewrite the tile's frame header."""
    parts = []
    for found, part in segments(GOOD_TILE):
        data = bytearray(part)
        if found == SOF0:
            data[1], data[4], data[9] = marker, precision, count
            data[5:9] = height_px.to_bytes(2) + width_px.to_bytes(2)
        parts.append((found, bytes(data)))
    return joined(parts)


def hidden_behind_a_restart_marker() -> bytes:
    """Lay two trails: a walk that takes FFD0 for a segment lands on the small frame, a decoder on the huge one."""
    small, huge = with_frame(SIDE, SIDE)[2:], with_frame(65000, 65000)[2:]
    length = int.from_bytes(huge[:2])
    return b"\xff\xd8\xff\xd0" + huge + bytes(length - len(huge)) + small


@pytest.mark.parametrize(
    "tile",
    [
        b"",
        bytes(100),
        b"\xff\xd8\xff\xd9",
        GOOD_TILE[:100],
        GOOD_TILE[:-40],
        GOOD_TILE[2:],
        with_frame(65000, 65000),
        with_frame(SIDE, 2 * SIDE),
        with_frame(0, 0),
        with_frame(SIDE, SIDE, precision=12),
        with_frame(SIDE, SIDE, marker=0xC3),
        with_frame(SIDE, SIDE, marker=0xC9),
        with_frame(SIDE, SIDE, count=1),
        with_frame(SIDE, SIDE, count=4),
        with_segment(GOOD_TILE, b"\xff\xfe\x00\x00"),
        with_segment(GOOD_TILE, b"\xff\xfe\xff\xff"),
        with_segment(GOOD_TILE, b"\xff\xfe\x00\x02" * 100_000),
        with_segment(with_frame(65000, 65000), GOOD_TILE[2:21]),
        hidden_behind_a_restart_marker(),
    ],
)
def test_completer_refuses_damaged_and_hostile_tiles(tile: bytes) -> None:
    with pytest.raises(CorruptTileError):
        made_whole(GOOD_TABLES, tile, rgb=False)


@pytest.mark.parametrize(
    "tables",
    [
        b"no tables",
        bytes(100),
        GOOD_TABLES[:50] + GOOD_TABLES[-2:],
        with_frame(65000, 65000),
        with_segment(GOOD_TABLES, with_frame(65000, 65000)[2:]),
        with_segment(GOOD_TABLES, b"\xff\xd0"),
        with_segment(GOOD_TABLES, b"\xff\xd8"),
        with_segment(GOOD_TABLES, b"\xff\xdb\x00\x01"),
    ],
)
def test_tables_prefix_refuses_segments_other_than_tables(tables: bytes) -> None:
    with pytest.raises(CorruptTileError):
        tables_prefix(tables, rgb=False)


def test_completer_accepts_empty_tables_when_tile_has_its_own_tables() -> None:
    assert np.array_equal(
        decoded(made_whole(b"", encode_tile(TILE, "420"), rgb=False)), decoded(encode_tile(TILE, "420"))
    )


def test_tables_prefix_ignores_bytes_after_end_marker() -> None:
    assert tables_prefix(GOOD_TABLES + bytes(9), rgb=False) == tables_prefix(GOOD_TABLES, rgb=False)


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda tail: GOOD_TILE[:60] + tail))
def test_completer_raises_only_corrupt_tile_error_for_arbitrary_bytes(data: bytes) -> None:
    for make in (lambda: made_whole(GOOD_TABLES, data, rgb=True), lambda: tables_prefix(data, rgb=True)):
        try:
            make()
        except CorruptTileError:
            continue


@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=8))
@settings(max_examples=300)
def test_completer_accepts_flipped_bytes_only_with_declared_tile_size(flips: list[tuple[int, int]]) -> None:
    tile = bytearray(GOOD_TILE)
    for at, value in flips:
        tile[at % len(tile)] = value
    try:
        whole = made_whole(GOOD_TABLES, bytes(tile), rgb=False)
        height_px, width_px, _, _ = simplejpeg.decode_jpeg_header(whole, strict=False)
    except (CorruptTileError, ValueError):
        return
    assert (width_px, height_px) == (SIDE, SIDE)
