"""Stored tiles: verbatim inside, cropped at the edges, always OpenSlide's pixels."""

from pathlib import Path

import numpy as np
import openslide
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openslide.deepzoom import DeepZoomGenerator
from vsv.errors import InvalidQueryError, TileNotFoundError
from vsv.formats.jpeg import adobe_marker
from vsv.rendering.tiles import Tiling, render_tile
from vsv.slides.slide import Slide

from tests.support.slides.aperio import (
    JPEG2000_RGB,
    JPEG2000_YCBCR,
    Plan,
    encode_tile,
    replace_tile,
    tile_bytes,
    tiles,
    write_slide,
)
from tests.support.slides.opened import decibels, decoded, opened, stored_level, tile, whole_level

WIDTH, HEIGHT = 1293, 1051  # a quarter is 323×262 where Deep Zoom has 324×263
SIZES = {"width_px": WIDTH, "height_px": HEIGHT}
JPEG_FORMS = {
    "rgb": Plan(**SIZES),
    "rgb 240": Plan(**SIZES, tile=240),
    "rgb big": Plan(**SIZES, bigtiff=True),
    "ycbcr 444": Plan(**SIZES, chroma="444"),
    "ycbcr 422": Plan(**SIZES, chroma="422"),
    "ycbcr 420": Plan(**SIZES, chroma="420", tile=240, bigtiff=True),
    "grey": Plan(**SIZES, chroma="gray"),
}


@pytest.fixture(scope="module", params=JPEG_FORMS)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slide(tmp_path_factory.mktemp("tiles") / "slide.svs", JPEG_FORMS[request.param])


@pytest.fixture(scope="module")
def rgb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slide(tmp_path_factory.mktemp("rgb") / "slide.svs", JPEG_FORMS["rgb"])


def check_level(slide: Slide, level_dz: int, expected: np.ndarray) -> None:
    """Compare every tile of a stored level: exactly inside, cropped and coded again at the edges."""
    columns, rows = slide.grid.tile_counts(level_dz)
    size, (height, width) = slide.grid.tile_size, expected.shape[:2]
    for col in range(columns):
        for row in range(rows):
            left, top, right, bottom = slide.grid.tile_box(level_dz, col, row)
            found = tile(slide, level_dz, col, row)
            assert found.shape == (bottom - top, right - left, 3)
            part = expected[top:bottom, left:right]
            if (right - left, bottom - top) == (size, size) and right <= width and bottom <= height:
                assert np.array_equal(found, part)
            else:
                assert decibels(found[: part.shape[0], : part.shape[1]], part) >= 45


def test_stored_tiles_have_the_pixels_of_openslide(path: Path) -> None:
    slide = opened(path)
    assert slide.native == {slide.max_level, slide.max_level - 2}
    check_level(slide, slide.max_level, stored_level(path, 0))
    check_level(slide, slide.max_level - 2, stored_level(path, 1))


def test_png_tiles_are_lossless(path: Path) -> None:
    slide = opened(path)
    assert np.array_equal(whole_level(slide, slide.max_level), stored_level(path, 0))
    expected = stored_level(path, 1)
    found = whole_level(slide, slide.max_level - 2)
    assert np.array_equal(found[: expected.shape[0], : expected.shape[1]], expected)


def test_edge_pixels_of_rounded_level_are_repeated(path: Path) -> None:
    slide = opened(path)
    found, (height, width) = whole_level(slide, slide.max_level - 2), stored_level(path, 1).shape[:2]
    assert found.shape[:2] == (height + 1, width + 1)
    assert np.array_equal(found[:, -1], found[:, -2])
    assert np.array_equal(found[-1], found[-2])


def test_stored_tile_bytes_are_served_unchanged(path: Path) -> None:
    slide = opened(path)
    columns, _ = slide.grid.tile_counts(slide.max_level)
    for col, row in ((0, 0), (1, 2)):
        stored = tile_bytes(path, 0, row * columns + col)
        assert render_tile(slide, slide.max_level, col, row, "jpeg").endswith(stored[2:])


def test_adobe_marker_is_added_only_to_rgb_tiles(path: Path) -> None:
    slide = opened(path)
    is_rgb = slide.levels[slide.max_level].page.photometric == 2
    assert (adobe_marker(0) in render_tile(slide, slide.max_level, 0, 0, "jpeg")) == is_rgb


@pytest.mark.parametrize(("chroma", "transform"), [("rgb", 1), ("444", 0)])
def test_colour_marker_in_tile_does_not_override_the_file(
    tmp_path: Path, chroma: str, transform: int
) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(**SIZES, chroma=chroma))
    good = stored_level(path, 0)
    stored = tile_bytes(path, 0, 1)
    replace_tile(path, 0, 1, stored[:2] + adobe_marker(transform) + stored[2:])
    slide = opened(path)
    assert np.array_equal(stored_level(path, 0), good)
    assert np.array_equal(tile(slide, slide.max_level, 1, 0), good[:256, 256:512])
    assert np.array_equal(tile(slide, slide.max_level, 1, 0, "png"), good[:256, 256:512])


def test_tile_with_its_own_tables_is_decoded_with_those_tables(tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(**SIZES, chroma="422"))
    whole = encode_tile(next(tiles(stored_level(path, 0), 256)), "422", 60)
    replace_tile(path, 0, 0, whole)
    slide = opened(path)
    assert np.array_equal(tile(slide, slide.max_level, 0, 0), decoded(whole))
    assert np.array_equal(tile(slide, slide.max_level, 0, 0), stored_level(path, 0)[:256, :256])


def test_big_endian_file_has_the_same_tiles(tmp_path: Path, rgb: Path) -> None:
    other, slide = opened(write_slide(tmp_path / "a.svs", Plan(**SIZES, byteorder=">"))), opened(rgb)
    for level_dz in range(slide.max_level + 1):
        assert render_tile(other, level_dz, 0, 0, "jpeg") == render_tile(slide, level_dz, 0, 0, "jpeg")


@pytest.mark.parametrize("codec", [JPEG2000_YCBCR, JPEG2000_RGB])
def test_jpeg_2000_tiles_have_the_pixels_of_openslide(tmp_path: Path, codec: int) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(647, 523, codec=codec))
    slide, expected = opened(path), stored_level(path, 0)
    assert slide.native == frozenset()
    assert np.array_equal(whole_level(slide, slide.max_level), expected)
    assert decibels(whole_level(slide, slide.max_level, "jpeg"), expected) >= 38
    quarter = stored_level(path, 1)
    found = whole_level(slide, slide.max_level - 2)[: quarter.shape[0], : quarter.shape[1]]
    assert decibels(found, quarter) >= 42


def test_generic_tiled_tiff_has_the_pixels_of_openslide(tmp_path: Path) -> None:
    plan = Plan(647, 523, downsamples=(1,), description="", thumbnail=False, associated="none")
    path = write_slide(tmp_path / "a.tif", plan)
    slide = opened(path)
    assert slide.native == frozenset()
    assert np.array_equal(whole_level(slide, slide.max_level), stored_level(path, 0))


@pytest.mark.parametrize(("tile_size", "overlap"), [(64, 0), (254, 1), (300, 17), (512, 64), (2048, 3)])
def test_other_tilings_equal_deep_zoom_generator_at_full_resolution(
    rgb: Path, tile_size: int, overlap: int
) -> None:
    slide, tiling = opened(rgb), Tiling(tile_size, overlap, "png")
    with openslide.OpenSlide(rgb) as reference:
        generator = DeepZoomGenerator(reference, tile_size=tile_size, overlap=overlap)
        columns, rows = generator.level_tiles[slide.max_level]
        for col, row in {(0, 0), (columns // 2, rows // 2), (columns - 1, rows - 1)}:
            expected = np.asarray(generator.get_tile(slide.max_level, (col, row)).convert("RGB"))
            assert np.array_equal(tile(slide, slide.max_level, col, row, "png", tiling), expected)


@pytest.mark.parametrize(("tile_size", "overlap"), [(64, 0), (254, 2), (777, 64)])
def test_other_tilings_show_the_same_pixels_at_every_level(rgb: Path, tile_size: int, overlap: int) -> None:
    slide, tiling = opened(rgb), Tiling(tile_size, overlap)
    grid = tiling.grid(slide)
    for level_dz in range(slide.max_level + 1):
        level = whole_level(slide, level_dz)
        columns, rows = grid.tile_counts(level_dz)
        for col, row in {(0, 0), (columns // 2, rows // 2), (columns - 1, rows - 1)}:
            left, top, right, bottom = grid.tile_box(level_dz, col, row)
            found = tile(slide, level_dz, col, row, "png", tiling)
            assert np.array_equal(found, level[top:bottom, left:right])


def test_other_tilings_as_jpeg_are_close_to_stored_pixels(rgb: Path) -> None:
    slide, expected = opened(rgb), stored_level(rgb, 0)
    found = tile(slide, slide.max_level, 1, 1, "jpeg", Tiling(300, 1))
    assert decibels(found, expected[299:601, 299:601]) >= 45


@pytest.mark.parametrize(
    "wrong",
    [(63, 0, None), (2049, 0, None), (None, -1, None), (None, 65, None), (None, 0, "gif"), (0, 0, None)],
)
def test_impossible_tilings_are_refused(wrong: tuple[int, int, str]) -> None:
    with pytest.raises(InvalidQueryError):
        Tiling(*wrong)


@given(st.integers(-2, 20), st.integers(-2, 10**8), st.integers(-2, 10**8))
def test_render_tile_raises_tile_not_found_outside_the_grid(
    rgb: Path, level_dz: int, col: int, row: int
) -> None:
    slide = opened(rgb)
    if 0 <= level_dz <= slide.max_level:
        columns, rows = slide.grid.tile_counts(level_dz)
        col, row = (col, row) if not (0 <= col < columns and 0 <= row < rows) else (columns, row)
    with pytest.raises(TileNotFoundError):
        render_tile(slide, level_dz, col, row, "jpeg")


def test_real_slide_tiles_have_the_pixels_of_openslide(real_slide: Path) -> None:
    slide = opened(real_slide)
    assert (slide.grid.tile_size, slide.grid.tile_counts(slide.max_level)) == (240, (10, 13))
    check_level(slide, slide.max_level, stored_level(real_slide, 0))


def test_real_slide_as_png_has_the_pixels_of_openslide(real_slide: Path) -> None:
    slide = opened(real_slide)
    assert np.array_equal(whole_level(slide, slide.max_level), stored_level(real_slide, 0))
