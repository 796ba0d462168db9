"""JPEG 2000 slides decoded here: OpenSlide's pixels, resolution levels for skipped levels, no header believed."""

import struct
import sys
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import openslide
import pytest
import simplejpeg
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from vsv.errors import CorruptTileError
from vsv.formats import openjpeg
from vsv.formats.jpeg2000 import read_codestream
from vsv.pyramids import renderer
from vsv.pyramids.renderer import render_pyramid
from vsv.slides import jpeg2000_reader, openslide_handles
from vsv.slides.pixels import tile_pixels

from tests.support import paths
from tests.support.slides.aperio import (
    JPEG2000_RGB,
    JPEG2000_YCBCR,
    Pixels,
    Plan,
    replace_tile,
    texture,
    tile_bytes,
    write_slide,
)
from tests.support.slides.opened import (
    box_mean,
    decibels,
    decoded,
    grey_levels_apart,
    opened,
    stored_level,
    tile,
    whole_level,
)

# Written by opj_compress from ``texture(256, 256)``: YCbCr, chroma of half the width, as scanners write 33003.
TILE_422 = paths.TILE_422.read_bytes()
PLANS = {
    "ycbcr": Plan(645, 523, codec=JPEG2000_YCBCR),
    "ycbcr, lossy": Plan(645, 523, codec=JPEG2000_YCBCR, lossy=True),
    "rgb": Plan(645, 523, codec=JPEG2000_RGB),
    "rgb, transformed": Plan(645, 523, codec=JPEG2000_RGB, lossy=True),
    "bigtiff, other order": Plan(645, 523, codec=JPEG2000_RGB, bigtiff=True, byteorder=">"),
    "240 pixels, one level": Plan(645, 523, tile=240, codec=JPEG2000_RGB, downsamples=(1,)),
    "three levels": Plan(2053, 1027, tile=128, codec=JPEG2000_RGB, downsamples=(1, 4, 16)),
}

pytestmark = pytest.mark.skipif(
    not openjpeg.available() and sys.platform != "linux", reason="this Pillow has no OpenJPEG of its own"
)


def slide_422(path: Path, downsamples: tuple[int, ...] = (1,)) -> Path:
    write_slide(path, Plan(645, 523, codec=JPEG2000_YCBCR, downsamples=downsamples))
    for index in range(9):
        replace_tile(path, 0, index, TILE_422)
    return path


@pytest.fixture(params=[*PLANS, "4:2:2"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "4:2:2":
        return slide_422(tmp_path / "a.svs")
    return write_slide(tmp_path / "a.svs", PLANS[request.param])


@pytest.fixture
def no_openslide(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("OpenSlide was asked")

    monkeypatch.setattr(openslide_handles, "open_shared", refuse)


def test_pillow_and_imagecodecs_bundle_openjpeg() -> None:
    assert openjpeg.available()
    assert len([path for package in openjpeg.PACKAGES for path in openjpeg.bundled(package)]) == 2


@pytest.mark.usefixtures("no_openslide")
def test_full_resolution_equals_openslide_pixels_without_openslide(path: Path) -> None:
    slide = opened(path)
    assert slide.max_level in slide.decoded
    assert slide.native == frozenset()
    found, expected = whole_level(slide, slide.max_level), stored_level(path, 0)
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.usefixtures("no_openslide")
def test_stored_lower_levels_are_decoded_and_used(tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs", PLANS["three levels"])
    slide = opened(path)
    top = slide.max_level
    assert set(slide.decoded) == {top, top - 2, top - 4}
    for stored, level_dz in enumerate((top, top - 2, top - 4)):
        with tifffile.TiffFile(path) as tiff:
            expected = tiff.series[0].levels[stored].asarray() if stored else stored_level(path, 0)
        height, width = expected.shape[:2]
        assert np.abs(whole_level(slide, level_dz)[:height, :width].astype(int) - expected).max() <= 1
        assert slide.source_level(level_dz - 1) == level_dz


@pytest.mark.parametrize("shift", [1, 2, 3])
@pytest.mark.parametrize("name", ["rgb", "rgb, transformed", "ycbcr, lossy"])
def test_skipped_levels_are_close_to_a_box_mean(tmp_path: Path, name: str, shift: int) -> None:
    path = write_slide(tmp_path / "a.svs", PLANS[name])
    level = opened(path).decoded[opened(path).max_level]
    found = tile_pixels(level, 0, 0, shift)
    assert grey_levels_apart(found, box_mean(stored_level(path, 0)[:256, :256], shift)) <= 1.6


def test_skipped_level_is_decoded_with_reduced_resolution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    original = openjpeg.decode
    monkeypatch.setattr(
        openjpeg, "decode", lambda data, reduce=0: (asked.append(reduce), original(data, reduce))[1]
    )
    path = write_slide(tmp_path / "a.svs", Plan(1024, 1024, codec=JPEG2000_RGB, downsamples=(1,)))
    slide = opened(path)
    for shift in range(4):
        asked.clear()
        tile(slide, slide.max_level - shift, 0, 0)
        assert asked == [[0], [1] * 4, [1] * 16, [2] * 16][shift]


@pytest.mark.parametrize("reduce", [0, 1, 2, 5])
def test_reduced_decoding_equals_that_of_pillow(tmp_path: Path, reduce: int) -> None:
    data = tile_bytes(write_slide(tmp_path / "a.svs", PLANS["rgb, transformed"]), 0, 0)
    (tmp_path / "a.j2k").write_bytes(data)
    with Image.open(tmp_path / "a.j2k") as image:
        image.reduce = reduce
        expected = np.asarray(image).astype(int)
    assert np.abs(np.dstack(openjpeg.decode(data, reduce)) - expected).max() <= 1


def test_codestream_without_resolution_levels_is_averaged(tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs", PLANS["rgb"])
    flat = imagecodecs.jpeg2k_encode(
        texture(256, 256), codecformat="j2k", mct=False, reversible=True, resolutions=1
    )
    replace_tile(path, 0, 0, flat)
    slide = opened(path)
    found = tile_pixels(slide.decoded[slide.max_level], 0, 0, 3)
    assert grey_levels_apart(found, box_mean(texture(256, 256), 3)) < 0.6


def recoded(pixels: Pixels) -> Pixels:
    """Do to pixels what the coding of rendered levels does."""
    return decoded(simplejpeg.encode_jpeg(pixels, 80, colorsubsampling="420"))


@pytest.mark.usefixtures("no_openslide")
def test_pyramid_of_jpeg_2000_slide_is_close_to_original_pixels(path: Path, tmp_path: Path) -> None:
    render_pyramid(opened(path), tmp_path / "p.tif", jobs=2)
    slide, full = opened(path, tmp_path / "p.tif"), stored_level(path, 0)
    assert set(slide.levels) == set(range(slide.max_level + 1))
    assert decibels(whole_level(slide, slide.max_level), full) > 36
    stored = max(slide.decoded.keys() - {slide.max_level}, default=slide.max_level)
    for shift in range(1, slide.max_level - stored or 4):
        found, expected = whole_level(slide, slide.max_level - shift), box_mean(full, shift)
        assert grey_levels_apart(found, expected) < grey_levels_apart(recoded(expected), expected) + 0.7
    with tifffile.TiffFile(tmp_path / "p.tif") as tiff:
        assert grey_levels_apart(tiff.pages[0].asarray(), full) < 3


def test_pyramid_keeps_chroma_subsampling(tmp_path: Path) -> None:
    path = slide_422(tmp_path / "a.svs")
    render_pyramid(opened(path), tmp_path / "p.tif", jobs=1)
    with tifffile.TiffFile(tmp_path / "p.tif") as tiff:
        assert tiff.pages[0].tags["YCbCrSubSampling"].value == (2, 1)
    with openslide.OpenSlide(tmp_path / "p.tif") as reference:
        picture = np.asarray(reference.read_region((0, 0), 0, (645, 523)).convert("RGB"))
    assert grey_levels_apart(picture, stored_level(path, 0)) < 3


@pytest.mark.parametrize("codec", [JPEG2000_RGB, JPEG2000_YCBCR])
def test_pyramid_pages_declare_the_chroma_subsampling_of_their_tiles(tmp_path: Path, codec: int) -> None:
    plan = replace(PLANS["three levels"], codec=codec)
    render_pyramid(opened(write_slide(tmp_path / "a.svs", plan)), tmp_path / "p.tif", jobs=1)
    with tifffile.TiffFile(tmp_path / "p.tif") as tiff:
        for page in tiff.pages:
            tiff.filehandle.seek(page.dataoffsets[0])
            data = tiff.filehandle.read(page.databytecounts[0])
            said, frame = page.tags["YCbCrSubSampling"].value, data.index(b"\xff\xc0")
            assert divmod(data[frame + 11], 16) == said


@pytest.mark.parametrize("width", [2, 6, 130, 514, 1026])
@pytest.mark.parametrize("upright", [True, False])
def test_pyramid_edges_contain_no_tile_padding(tmp_path: Path, width: int, upright: bool) -> None:
    picture = np.zeros((140, width, 3), np.uint8)
    picture[:, -1] = 255
    picture = picture if upright else np.ascontiguousarray(picture.swapaxes(0, 1))
    plan = Plan(*picture.shape[1::-1], tile=128, codec=JPEG2000_RGB, downsamples=(1,))
    path = write_slide(tmp_path / "a.svs", plan, picture)
    render_pyramid(opened(path), tmp_path / "p.tif", jobs=1)
    slide = opened(path, tmp_path / "p.tif")
    expected = picture
    for level_dz in range(slide.max_level - 1, -1, -1):
        expected = box_mean(expected, 1)
        found = whole_level(slide, level_dz).astype(int) - expected
        last = found[:, -1] if upright else found[-1]
        assert abs(last.mean()) < 12, level_dz


def test_pyramid_rendering_decodes_each_tile_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    original = openjpeg.decode
    monkeypatch.setattr(openjpeg, "decode", lambda data: (asked.append(data), original(data))[1])
    slide = opened(write_slide(tmp_path / "a.svs", PLANS["three levels"]))
    render_pyramid(slide, tmp_path / "p.tif", jobs=2)
    # The last row and column that Deep Zoom has and a rounded level lacks come from the last one there is.
    assert len(asked) == 17 * 9 + 5 * 3 + 2 * 1


def test_pyramid_accepts_level_with_mixed_chroma_subsampling(tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(645, 523, codec=JPEG2000_YCBCR, downsamples=(1,)))
    replace_tile(path, 0, 1, TILE_422)
    render_pyramid(opened(path), tmp_path / "p.tif", jobs=2)
    slide = opened(path, tmp_path / "p.tif")
    assert decibels(whole_level(slide, slide.max_level), stored_level(path, 0)) > 36


def coded(pixels: Pixels, *, transformed: bool) -> bytes:
    data: bytes = imagecodecs.jpeg2k_encode(
        pixels, 50 if transformed else None, codecformat="j2k", mct=transformed, reversible=not transformed
    )
    return data


@pytest.mark.parametrize("transformed", [True, False])
def test_planes_return_ycbcr_for_rgb_codestreams(tmp_path: Path, transformed: bool) -> None:
    path = write_slide(tmp_path / "a.svs", PLANS["rgb"])
    replace_tile(path, 0, 0, coded(texture(256, 256), transformed=transformed))
    level = opened(path).decoded[opened(path).max_level]
    assert jpeg2000_reader.codestream(level, 0, 0)[1].transformed == transformed
    bands = [Image.fromarray(part) for part in jpeg2000_reader.planes(level, 0, 0, ycbcr=True)]
    found = np.asarray(Image.merge("YCbCr", bands).convert("RGB"))
    assert np.abs(found.astype(int) - stored_level(path, 0)[:256, :256]).max() <= 3


@pytest.mark.parametrize("first", [True, False])
def test_pyramid_accepts_level_with_mixed_colour_transform(tmp_path: Path, first: bool) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(645, 523, codec=JPEG2000_RGB, downsamples=(1,)))
    before = stored_level(path, 0)
    for index in range(2):
        pixels = np.ascontiguousarray(before[:256, 256 * index : 256 * index + 256])
        replace_tile(path, 0, index, coded(pixels, transformed=(index == 0) == first))
    render_pyramid(opened(path), tmp_path / "p.tif", jobs=2)
    slide = opened(path, tmp_path / "p.tif")
    for col in range(3):
        left = 256 * col
        found = tile(slide, slide.max_level, col, 0, "png")
        assert decibels(found, stored_level(path, 0)[:256, left : left + found.shape[1]]) > 36


@pytest.mark.parametrize(
    "data",
    [b"", b"garbage" * 100, TILE_422[:60], TILE_422[:120], TILE_422[: len(TILE_422) // 2]],
    ids=["empty", "garbage", "half a header", "a header", "half a tile"],
)
@pytest.mark.parametrize("name", ["ycbcr", "rgb", "rgb, transformed"])
def test_damaged_tiles_are_served_and_rendered_as_background(
    tmp_path: Path, name: str, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_slide(tmp_path / "a.svs", replace(PLANS[name], downsamples=(1,)))
    before = stored_level(path, 0)
    replace_tile(path, 0, 1, data)
    render_pyramid(opened(path), tmp_path / "p.tif", jobs=2)
    for slide in (opened(path), opened(path, tmp_path / "p.tif")):
        assert tile(slide, slide.max_level, 1, 0, "png").min() > 250
        assert grey_levels_apart(tile(slide, slide.max_level, 0, 0, "png"), before[:256, :256]) < 3
    assert "background" in caplog.text


def changed(at: int, value: bytes) -> bytes:
    return TILE_422[:at] + value + TILE_422[at + len(value) :]


SIZE, COD = 4, TILE_422.index(b"\xff\x52") + 2
SOT = TILE_422.index(b"\xff\x90")


def test_codestream_with_components_of_different_sizes_is_not_transformed() -> None:
    data = bytearray(TILE_422)
    data[COD + 6], data[COD + 11] = 1, 0
    assert not read_codestream(bytes(data), 256).transformed
    data[SIZE + 42] = data[SIZE + 45] = 1
    assert read_codestream(bytes(data), 256).transformed


HOSTILE = {
    "a gigantic picture": changed(SIZE + 4, struct.pack(">II", 1 << 30, 1 << 30)),
    "another size": changed(SIZE + 4, struct.pack(">II", 512, 256)),
    "an offset": changed(SIZE + 12, struct.pack(">I", 7)),
    "a million tiles": changed(SIZE + 20, struct.pack(">II", 1, 1)),
    "no tile": changed(SIZE + 20, struct.pack(">II", 0, 0)),
    "four components": changed(SIZE + 36, struct.pack(">H", 4)),
    "sixteen bits": changed(SIZE + 38, b"\x0f"),
    "chroma of no size": changed(SIZE + 42, b"\0"),
    "coarse light": changed(SIZE + 39, b"\x02"),
    "many decompositions": changed(COD + 7, b"\x40"),
    "gigantic code blocks": changed(COD + 8, b"\x09\x09"),
    "many layers": changed(COD + 4, b"\xff\xff"),
    "precincts of a pixel": TILE_422[:COD] + struct.pack(">HB", 18, 1) + TILE_422[COD + 3 : COD + 12] + bytes(6)
    + TILE_422[COD + 12 :],
    "other code for one component": TILE_422[:SOT] + b"\xff\x53\x00\x09\x01\x00\x05\x04\x04\x00\x00" + TILE_422[SOT:],
    "other code in a part": TILE_422[: SOT + 12] + b"\xff\x52" + TILE_422[COD : COD + 12] + TILE_422[SOT + 12 :],
    "two sizes": TILE_422[:2] + TILE_422[2 : SIZE + 47] + TILE_422[2:],
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_read_codestream_refuses_hostile_headers(name: str) -> None:
    read_codestream(TILE_422, 256)
    with pytest.raises(CorruptTileError):
        read_codestream(HOSTILE[name], 256)


@given(flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_flipped_bytes_decode_within_bounds_or_raise_corrupt_tile(flips: list[tuple[float, int]]) -> None:
    data = bytearray(TILE_422)
    for where, value in flips:
        data[int(where**2 * (len(data) - 1))] = value  # more of them near the header
    try:
        header = read_codestream(bytes(data), 256)
        planes = openjpeg.decode(bytes(data), min(1, header.decompositions))
    except CorruptTileError:
        return
    assert all(max(plane.shape) <= 256 for plane in planes)


def test_slide_is_decoded_by_openslide_without_openjpeg_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_slide(tmp_path / "a.svs", PLANS["rgb"])
    services = opened(path)
    expected = whole_level(services, services.max_level)
    monkeypatch.setattr(openjpeg, "_library", lambda: None)
    there = opened(path)
    assert there.decoded == {}
    assert there.grid == services.grid
    assert np.array_equal(whole_level(there, there.max_level), expected)


def test_pyramid_tasks_contain_a_bounded_number_of_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    original = renderer._count_tiles
    monkeypatch.setattr(
        renderer,
        "_count_tiles",
        lambda runs, counter: original((sizes.append(len(run)) or run for run in runs), counter),
    )
    plan = Plan(1293, 1051, tile=128, codec=JPEG2000_RGB, downsamples=(1,))
    render_pyramid(opened(write_slide(tmp_path / "a.svs", plan)), tmp_path / "p.tif", jobs=1)
    assert max(sizes) <= 64 + 16 + 4 + 1
