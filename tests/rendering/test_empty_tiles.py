"""Tiles of zero bytes in reduced levels: filled from the next finer level that has pixels, as OpenSlide does."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image
from vsv.pyramids.renderer import render_pyramid
from vsv.rendering.regions import region
from vsv.rendering.tiles import render_tile
from vsv.slides.slide import Slide

from tests.support.slides.aperio import JPEG2000_RGB, JPEG2000_YCBCR, Pixels, Plan, patch_item, write_slide
from tests.support.slides.opened import box_mean, grey_levels_apart, opened, stored_level, tile, whole_level

Empty = tuple[tuple[int, Iterable[int]], ...]

FORMS = {
    "rgb": Plan(1280, 1040, tile=128, downsamples=(1, 4, 16)),
    "420": Plan(1280, 1040, tile=128, downsamples=(1, 4, 16), chroma="420"),
    "jpeg 2000 ycbcr": Plan(1280, 1040, tile=128, downsamples=(1, 4, 16), codec=JPEG2000_YCBCR),
    "jpeg 2000 rgb": Plan(1280, 1040, tile=128, downsamples=(1, 4, 16), codec=JPEG2000_RGB),
}
# Level 1 has 3 columns and 3 rows of tiles, level 2 has one tile.
EMPTY: dict[str, Empty] = {
    "a column": ((1, (2, 5, 8)),),
    "a level": ((1, range(9)),),
    "two levels": ((1, (0, 4, 8)), (2, (0,))),
}
EDGE: Empty = ((1, (8,)),)


def leave_out(path: Path, empty: Empty) -> Path:
    """Set the byte counts of tiles of OpenSlide's levels to zero, as converters write them."""
    with tifffile.TiffFile(path) as tiff:
        tiled = [index for index, page in enumerate(tiff.pages) if page.is_tiled]
    for level, tiles in empty:
        for index in tiles:
            patch_item(path, tiled[level], "TileByteCounts", index, 0)
            patch_item(path, tiled[level], "TileOffsets", index, 0)
    return path


def tolerance(slide: Slide) -> float:
    """Return what tests of reduced levels allow: a wavelet's low pass is not quite a mean."""
    return 1.5 if slide.decoded else 1


def in_blocks(pixels: Pixels) -> list[Pixels]:
    """Cut a level along its tiles, so that one bad tile does not hide among good ones."""
    height, width = pixels.shape[:2]
    return [pixels[y : y + 128, x : x + 128] for y in range(0, height, 128) for x in range(0, width, 128)]


def worst_block(found: Pixels, expected: Pixels) -> float:
    height, width = expected.shape[:2]
    pairs = zip(in_blocks(found[:height, :width]), in_blocks(expected), strict=True)
    return max(grey_levels_apart(one, other) for one, other in pairs)


@pytest.fixture(params=FORMS)
def plan(request: pytest.FixtureRequest) -> Plan:
    form: Plan = FORMS[request.param]
    return form


def openslide_level(path: Path, level: int) -> Pixels:
    """Return one of OpenSlide's levels on white: the seams of tiles that OpenSlide fills are a little transparent."""
    with openslide.OpenSlide(path) as slide:
        image = slide.read_region((0, 0), level, slide.level_dimensions[level])
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return np.asarray(white.convert("RGB"))


@pytest.mark.parametrize("empty", EMPTY.values(), ids=EMPTY)
def test_empty_tiles_show_what_openslide_shows(tmp_path: Path, plan: Plan, empty: Empty) -> None:
    path = leave_out(write_slide(tmp_path / "a.svs", plan), empty)
    slide = opened(path)
    for stored in (0, *(level for level, _ in empty)):
        found, expected = whole_level(slide, slide.max_level - 2 * stored), openslide_level(path, stored)
        assert worst_block(found, expected) <= tolerance(slide), stored


def test_empty_tiles_show_what_openslide_shows_as_jpeg_and_in_regions(tmp_path: Path, plan: Plan) -> None:
    path = leave_out(write_slide(tmp_path / "a.svs", plan), EMPTY["a column"])
    slide, expected = opened(path), openslide_level(path, 1)
    level_dz = slide.max_level - 2
    across = region(slide, level_dz, (200, 100, 320, 260))
    assert grey_levels_apart(across, expected[100:260, 200:320]) <= tolerance(slide)
    if not slide.decoded:  # JPEG 2000 is encoded as JPEG for browsers, with a loss
        assert worst_block(whole_level(slide, level_dz, "jpeg"), expected) <= tolerance(slide)


@pytest.mark.parametrize("empty", EMPTY.values(), ids=EMPTY)
def test_rendered_levels_are_as_close_to_full_resolution_as_those_of_a_whole_slide(
    tmp_path: Path, plan: Plan, empty: Empty
) -> None:
    whole = write_slide(tmp_path / "whole.svs", plan)
    path = leave_out(write_slide(tmp_path / "a.svs", plan), empty)
    for slide in (whole, path):
        render_pyramid(opened(slide), slide.with_suffix(".tif"), jobs=2)
    filled, intact = (opened(slide, slide.with_suffix(".tif")) for slide in (path, whole))
    full = stored_level(whole, 0)
    for level_dz in range(filled.max_level):
        expected = box_mean(full, filled.max_level - level_dz)
        found, at_best = (worst_block(whole_level(slide, level_dz), expected) for slide in (filled, intact))
        assert found <= at_best + 1, level_dz


def test_levels_above_an_empty_level_are_rendered_from_full_resolution(tmp_path: Path) -> None:
    path = leave_out(write_slide(tmp_path / "a.svs", FORMS["rgb"]), EMPTY["a level"])
    slide = opened(path)
    assert grey_levels_apart(
        whole_level(slide, slide.max_level - 3), box_mean(stored_level(path, 0), 3)
    ) <= tolerance(slide)


def test_stored_tiles_beside_an_empty_tile_are_served_as_they_are(tmp_path: Path) -> None:
    whole = opened(write_slide(tmp_path / "whole.svs", FORMS["rgb"]))
    slide = opened(leave_out(write_slide(tmp_path / "a.svs", FORMS["rgb"]), EDGE))
    for level_dz, col, row in ((slide.max_level, 3, 3), (slide.max_level - 2, 1, 1)):
        assert render_tile(slide, level_dz, col, row, "jpeg") == render_tile(
            whole, level_dz, col, row, "jpeg"
        )
    assert not slide.is_provisional(slide.max_level - 2)


def test_empty_tiles_are_white_only_where_full_resolution_has_none(tmp_path: Path, plan: Plan) -> None:
    # Under the first tile of level 1, whose side is 128 pixels, are the first 4 × 4 tiles of 10 columns.
    missing = (0, [row * 10 + col for row in range(4) for col in range(2)])
    slide = opened(leave_out(write_slide(tmp_path / "a.svs", plan), (missing, (1, (0, 1)))))
    filled = tile(slide, slide.max_level - 2, 0, 0, "png")
    assert filled[:, :64].min() == 255
    assert filled[:, 64:].mean() < 200
    assert tile(slide, slide.max_level, 1, 3).min() == 255
    assert tile(slide, slide.max_level, 2, 3).mean() < 200


def test_full_level_that_is_empty_is_white_at_every_level(tmp_path: Path) -> None:
    plan = Plan(517, 259, tile=128, downsamples=(1,))
    slide = opened(leave_out(write_slide(tmp_path / "a.svs", plan), ((0, range(15)),)))
    assert np.all(whole_level(slide, slide.max_level - 1) == 255)
