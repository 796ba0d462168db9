"""Damage costs a tile, never the slide; hostile files cost an error of ours, never more."""

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openslide import OpenSlideError
from PIL import Image
from vsv.errors import MissingTablesError, VsvError
from vsv.ingest.validation import inspect
from vsv.rendering.tiles import Tiling, render_tile
from vsv.slides import openslide_handles
from vsv.slides.slide import open_slide

from tests.support.slides.aperio import (
    JPEG2000_RGB,
    Pixels,
    Plan,
    damage_tables,
    joined,
    patch_item,
    replace_tile,
    segments,
    tile_bytes,
    write_slide,
)
from tests.support.slides.opened import opened, stored_level, tile, whole_level

PLAN = Plan(1293, 1051, bigtiff=True, downsamples=(1,))
BAD = 7  # column 1, row 1 of the 6 columns


def huge(path: Path) -> bytes:
    """Return a good tile whose header declares 65000×65000 pixels."""
    out = b"\xff\xd8"
    for marker, part in segments(tile_bytes(path, 0, BAD)):
        out += part if marker != 0xC0 else part[:5] + (65000).to_bytes(2) * 2 + part[9:]
    return out


DAMAGE = {
    "no bytes": lambda path: patch_item(path, 0, "TileByteCounts", BAD, 0),
    "impossibly many bytes": lambda path: patch_item(path, 0, "TileByteCounts", BAD, (1 << 32) - 1),
    "beyond the end": lambda path: patch_item(path, 0, "TileOffsets", BAD, path.stat().st_size - 5),
    "far beyond the end": lambda path: patch_item(path, 0, "TileOffsets", BAD, (1 << 64) - 1),
    "beyond what systems take": lambda path: patch_item(path, 0, "TileOffsets", BAD, (1 << 63) - 2),
    "garbage": lambda path: replace_tile(path, 0, BAD, b"garbage" * 500),
    "another picture": lambda path: replace_tile(path, 0, BAD, picture(64)),
    "cut off": lambda path: replace_tile(path, 0, BAD, tile_bytes(path, 0, BAD)[:3000]),
    "huge": lambda path: replace_tile(path, 0, BAD, huge(path)),
}


def picture(side_px: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side_px, side_px)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Pixels]:
    """Return an undamaged slide's bytes and pixels."""
    path = write_slide(tmp_path_factory.mktemp("whole") / "slide.svs", PLAN)
    return path.read_bytes(), stored_level(path, 0)


@pytest.fixture(params=DAMAGE)
def damaged(
    request: pytest.FixtureRequest, tmp_path: Path, whole: tuple[bytes, Pixels]
) -> tuple[Path, Pixels]:
    """Return a slide with one damaged tile, and the pixels of the undamaged slide."""
    path, before = tmp_path / "slide.svs", whole[1]
    path.write_bytes(whole[0])
    DAMAGE[request.param](path)
    return path, before


@pytest.mark.parametrize("fmt", ["jpeg", "png"])
def test_damaged_tile_is_served_as_background_and_logged(
    damaged: tuple[Path, Pixels], fmt: str, caplog: pytest.LogCaptureFixture
) -> None:
    path, before = damaged
    slide = opened(path)
    assert np.all(tile(slide, slide.max_level, 1, 1, fmt) == 255)
    assert len(caplog.records) == 1
    assert "background" in caplog.text
    assert str(path.parent) not in caplog.text
    assert np.array_equal(tile(slide, slide.max_level, 2, 1, fmt), before[256:512, 512:768])


def test_coarser_levels_lack_only_the_area_of_damaged_tile(damaged: tuple[Path, Pixels]) -> None:
    slide = opened(damaged[0])
    for shift in (1, 2, 3):
        level, side = whole_level(slide, slide.max_level - shift).astype(int), 256 >> shift
        assert np.all(level[side : 2 * side, side : 2 * side] == 255)
        for away in (slice(0, side), slice(2 * side, 3 * side)):
            assert level[away, away].mean() < 230


def test_other_tilings_show_undamaged_area_of_damaged_slide(damaged: tuple[Path, Pixels]) -> None:
    path, before = damaged
    slide = opened(path)
    found = tile(slide, slide.max_level, 0, 0, "png", Tiling(512))
    assert np.all(found[256:, 256:] == 255)
    assert np.array_equal(found[:256], before[:256, :512])


@pytest.mark.parametrize("tables", [b"XX", b"\xff\xd8\xff\xc0", b"\xff\xd8\xff\xdb\xff\xff"])
def test_level_with_damaged_tables_is_rendered_from_finer_level(tmp_path: Path, tables: bytes) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(1293, 1051))
    whole = opened(path)
    expected = whole_level(whole, whole.max_level - 2).astype(float)
    damage_tables(path, 2, tables)
    slide = opened(path)
    assert slide.native == {slide.max_level}
    assert np.abs(whole_level(slide, slide.max_level - 2) - expected).mean() < 4


def test_damaged_tables_at_full_resolution_leave_other_levels_unchanged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(1293, 1051))
    whole = opened(path)
    expected = whole_level(whole, whole.max_level - 2)
    damage_tables(path, 0, b"XX")
    slide = opened(path)
    assert np.array_equal(whole_level(slide, slide.max_level - 2), expected)
    assert np.all(tile(slide, slide.max_level, 0, 0) == 255)
    assert "background" in caplog.text


def test_damaged_jpeg_2000_tile_is_served_as_background(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(1293, 771, codec=JPEG2000_RGB, downsamples=(1,)))
    before = stored_level(path, 0)
    replace_tile(path, 0, BAD, b"garbage" * 100)
    slide = opened(path)
    assert np.all(tile(slide, slide.max_level, 1, 1, "png") == 255)
    assert "background" in caplog.text
    assert np.array_equal(tile(slide, slide.max_level, 2, 1, "png"), before[256:512, 512:768])
    assert np.array_equal(tile(slide, slide.max_level, 0, 0, "png"), before[:256, :256])


def test_openslide_error_in_another_thread_does_not_blank_other_tiles(tmp_path: Path) -> None:
    """OpenSlide's object refuses everything after its first error, and threads share it."""
    path = write_slide(tmp_path / "a.svs", Plan(1293, 771, codec=JPEG2000_RGB, downsamples=(1,)))
    before = stored_level(path, 0)
    replace_tile(path, 0, BAD, b"garbage" * 100)
    slide = opened(path)
    shared = openslide_handles.open_shared(path)
    with pytest.raises(OpenSlideError):
        shared.read_region((256, 256), 0, (256, 256))
    assert np.array_equal(tile(slide, slide.max_level, 2, 1, "png"), before[256:512, 512:768])


def opens_or_refuses(path: Path) -> None:
    """Do all that is done with a file from outside; only errors of ours may come out."""
    try:
        inspect(path, path.stat().st_size)
    except VsvError as error:
        assert str(path.parent) not in str(error)
    try:
        slide = open_slide(path, path.with_name("none.tif"), path.with_name("none.jpeg"))
        for level_dz in {0, slide.max_level // 2, slide.max_level}:
            if not slide.is_expensive(level_dz, slide.max_level - level_dz):
                render_tile(slide, level_dz, 0, 0, "jpeg")
    except VsvError as error:
        assert str(path.parent) not in str(error)


SMALL = {
    "svs": Plan(193, 131, tile=64, downsamples=(1, 2)),
    "big": Plan(193, 131, tile=64, downsamples=(1,), bigtiff=True, chroma="420"),
}


@pytest.fixture(scope="module", params=SMALL)
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = write_slide(tmp_path_factory.mktemp("small") / "slide.svs", SMALL[request.param])
    return path.read_bytes()


hostile = settings(
    max_examples=120,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@given(
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=12), data=st.data()
)
@hostile
def test_slide_with_flipped_bytes_opens_or_raises_only_vsv_errors(
    small: bytes, tmp_path: Path, flips: list[tuple[float, int]], data: st.DataObject
) -> None:
    changed = bytearray(small)
    spots = directory_bytes(small)
    for where, value in flips:
        everywhere = data.draw(st.booleans())
        at = int(where * (len(changed) - 1)) if everywhere else spots[int(where * (len(spots) - 1))]
        changed[at] = value
    path = tmp_path / "slide.svs"
    path.write_bytes(changed)
    opens_or_refuses(path)


@cache
def directory_bytes(data: bytes) -> list[int]:
    """Return the positions of the bytes in and around the tables and tags, where damage matters."""
    marks = [at for at in range(len(data) - 4) if data[at : at + 4] in {b"Aper", b"\x00\x01\x03\x00"}]
    return sorted({near for at in [0, *marks] for near in range(max(0, at - 60), min(len(data), at + 200))})


@given(length=st.floats(0, 1))
@settings(hostile, max_examples=40)
def test_truncated_slide_opens_or_raises_only_vsv_errors(small: bytes, tmp_path: Path, length: float) -> None:
    path = tmp_path / "slide.svs"
    path.write_bytes(small[: int(length * (len(small) - 1))])
    opens_or_refuses(path)


@given(
    data=st.binary(max_size=300),
    start=st.sampled_from([b"", b"II*\0\x08\0\0\0", b"II+\0\x08\0\0\0\x10\0\0\0"]),
)
@settings(hostile, max_examples=60)
def test_arbitrary_bytes_open_or_raise_only_vsv_errors(tmp_path: Path, data: bytes, start: bytes) -> None:
    path = tmp_path / "slide.svs"
    path.write_bytes(start + data)
    opens_or_refuses(path)


def test_inspect_refuses_every_truncation(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "slide.svs"
    for length in (*range(0, len(small), len(small) // 25), len(small) - 1):
        path.write_bytes(small[:length])
        with pytest.raises(VsvError):
            inspect(path, length)
    path.write_bytes(small)
    inspect(path, len(small))


def filled(data: bytes) -> bytes:
    """Put fill bytes before each marker of a tile's header."""
    return b"\xff\xd8" + b"".join(b"\xff\xff" + part for _, part in segments(data))


def commented(data: bytes) -> bytes:
    """Write a tile with more header segments than any encoder writes."""
    return data[:2] + b"\xff\xfe\x00\x04ab" * 200 + data[2:]


LEGAL = {"padded": lambda data: data + bytes(15), "filled": filled, "commented": commented}


@pytest.mark.parametrize("change", LEGAL.values(), ids=LEGAL)
def test_unusual_but_legal_tiles_have_openslides_pixels(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    path = write_slide(tmp_path / "a.svs", PLAN)
    replace_tile(path, 0, BAD, change(tile_bytes(path, 0, BAD)))
    slide = opened(path)
    expected = stored_level(path, 0)[256:512, 256:512]
    assert np.array_equal(tile(slide, slide.max_level, 1, 1), expected)
    assert np.array_equal(tile(slide, slide.max_level, 1, 1, "png"), expected)


def test_tile_without_its_quantization_table_is_refused_and_not_sent_as_an_image(tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs", PLAN)
    parts = []
    for marker, part in segments(tile_bytes(path, 0, BAD)):
        parts.append((marker, part[:12] + b"\x03" + part[13:] if marker == 0xC0 else part))
    replace_tile(path, 0, BAD, joined(parts))
    slide = opened(path)
    with pytest.raises(OpenSlideError, match="Quantization table 0x03"):
        stored_level(path, 0)
    with pytest.raises(MissingTablesError):
        render_tile(slide, slide.max_level, 1, 1, "jpeg")
    assert render_tile(slide, slide.max_level, 2, 1, "jpeg")
