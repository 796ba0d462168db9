"""Levels that a slide lacks, rendered on demand: a box mean of the nearest finer stored level, edges included."""

from pathlib import Path

import numpy as np
import openslide
import pytest
from PIL import Image
from vsv.rendering.draw import scale_view
from vsv.rendering.image_request import View
from vsv.slides.levels import MAX_DCT_SHIFT, JpegLevel
from vsv.slides.slide import Slide

from tests.support.slides.aperio import JPEG2000_RGB, Chroma, Pixels, Plan, write_slide
from tests.support.slides.opened import box_mean, grey_levels_apart, opened, stored_level, tile, whole_level

FORMS = {
    "rgb": Plan(1293, 1051),
    "420": Plan(1293, 1051, chroma="420"),
    "422 240": Plan(1293, 1051, chroma="422", tile=240),
    "one level": Plan(1293, 1051, downsamples=(1,), chroma="420"),
    "two tiles and a pixel": Plan(2051, 1027),
    "jpeg 2000": Plan(645, 523, codec=JPEG2000_RGB),
}


@pytest.fixture(scope="module", params=FORMS)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slide(tmp_path_factory.mktemp("reduced") / "slide.svs", FORMS[request.param])


def expected_level(path: Path, slide: Slide, level_dz: int, stored: int) -> Pixels:
    """Average OpenSlide's level ``stored`` (full or a quarter), extended to Deep Zoom's size."""
    source_dz = slide.max_level - 2 * stored
    pixels = stored_level(path, stored)
    width_px, height_px = slide.grid.level_size(source_dz)
    missing = (0, height_px - pixels.shape[0]), (0, width_px - pixels.shape[1]), (0, 0)
    return box_mean(np.pad(pixels, missing, mode="edge"), source_dz - level_dz)


@pytest.mark.parametrize("shift", range(1, 7))
def test_missing_levels_are_a_box_mean_of_the_nearest_stored_level(path: Path, shift: int) -> None:
    slide = opened(path)
    level_dz = slide.max_level - shift
    with openslide.OpenSlide(path) as reference:
        stored = reference.level_count - 1 if shift >= 2 else 0
    found, expected = whole_level(slide, level_dz), expected_level(path, slide, level_dz, stored)
    # A wavelet's low pass is not quite a mean.
    assert grey_levels_apart(found, expected) <= (1.5 if slide.decoded else 1)


@pytest.mark.parametrize("size", [(525, 291), (5, 1300), (1300, 5), (201, 99), (257, 256), (1, 1)])
@pytest.mark.parametrize("chroma", ["rgb", "420"])
def test_edges_of_reduced_levels_contain_no_tile_padding(
    tmp_path: Path, size: tuple[int, int], chroma: Chroma
) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(*size, downsamples=(1,), chroma=chroma))
    slide, full = opened(path), stored_level(path, 0)
    for shift in range(min(slide.max_level, 3) + 1):
        found, expected = whole_level(slide, slide.max_level - shift), box_mean(full, shift)
        assert grey_levels_apart(found[:, -1:], expected[:, -1:]) <= 1
        assert grey_levels_apart(found[-1:], expected[-1:]) <= 1


@pytest.mark.parametrize("chroma", ["444", "422", "420"])
@pytest.mark.parametrize("shift", [1, 2, 3])
def test_reduced_levels_of_real_tissue_are_a_box_mean_in_every_subsampling(
    real_slide: Path, tmp_path: Path, chroma: Chroma, shift: int
) -> None:
    tissue = stored_level(real_slide, 0)[:1024, :1024]
    plan = Plan(downsamples=(1,), chroma=chroma, quality=91)
    path = write_slide(tmp_path / "a.svs", plan, tissue)
    slide = opened(path)
    expected = box_mean(stored_level(path, 0), shift)
    assert grey_levels_apart(whole_level(slide, slide.max_level - shift), expected) <= 1


def test_every_level_down_to_a_single_pixel_is_rendered(path: Path) -> None:
    slide = opened(path)
    for level_dz in range(slide.max_level + 1):
        width_px, height_px = slide.grid.level_size(level_dz)
        assert whole_level(slide, level_dz, "jpeg").shape == (height_px, width_px, 3)


def test_last_column_of_rounded_level_repeats_the_previous_pixels(tmp_path: Path) -> None:
    """2051 / 4 is stored as 512, two whole tiles; Deep Zoom has a third column of tiles, one pixel wide."""
    slide = opened(write_slide(tmp_path / "a.svs", Plan(2051, 1027)))
    for level_dz in (slide.max_level - 2, slide.max_level - 3):
        columns, rows = slide.grid.tile_counts(level_dz)
        for row in range(rows):
            last, before = (
                tile(slide, level_dz, columns - 1, row, "png"),
                tile(slide, level_dz, columns - 2, row, "png"),
            )
            assert last.shape[1] == 1
            assert np.array_equal(last[:, 0], before[:, -1])


def test_last_row_of_rounded_level_repeats_the_previous_pixels(tmp_path: Path) -> None:
    slide = opened(write_slide(tmp_path / "a.svs", Plan(600, 2051)))
    _, rows = slide.grid.tile_counts(slide.max_level - 2)
    last = tile(slide, slide.max_level - 2, 0, rows - 1, "png")
    assert np.array_equal(last[0], tile(slide, slide.max_level - 2, 0, rows - 2, "png")[-1])


@pytest.fixture(scope="module")
def three_levels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ratios of 4.01 and 16.05, as Aperio's rounding makes them, only more so."""
    plan = Plan(1027, 521, tile=64, downsamples=(1, 4, 16))
    return write_slide(tmp_path_factory.mktemp("three") / "a.svs", plan)


@pytest.fixture
def widths_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note the width of the level of each stored tile that is read."""
    read, original = [], JpegLevel.jpeg

    def noting(level: JpegLevel, col: int, row: int) -> bytes:
        read.append(level.width_px)
        return original(level, col, row)

    monkeypatch.setattr(JpegLevel, "jpeg", noting)
    return read


def test_levels_with_inexact_ratios_are_read_from_the_nearest_stored_level(
    three_levels: Path, widths_read: list[int]
) -> None:
    slide = opened(three_levels)
    top = slide.max_level
    assert slide.native == {top, top - 2, top - 4}
    nearest = {**{top - 1: 1027, top - 2: 256, top - 3: 256}, **dict.fromkeys(range(top - 3), 64)}
    for level_dz, width_px in nearest.items():
        widths_read.clear()
        whole_level(slide, level_dz)
        assert set(widths_read) == {width_px}, level_dz


def test_reduced_tile_reads_only_the_stored_tiles_under_its_area(
    three_levels: Path, widths_read: list[int]
) -> None:
    slide = opened(three_levels)
    tile(slide, slide.max_level - 1, 2, 1)
    assert len(widths_read) == 4


@pytest.mark.parametrize(
    ("view", "width_px", "tiles"),
    [
        (View(66, 66, 124, 124, 62, 62), 0, 4),  # half scale, on the level's pixels
        (View(76, 76, 40, 40, 15, 15), 0, 1),  # from half scale, with the filter's reach
        (View(70, 70, 50, 50, 50, 50), 0, 1),
        (View(256, 256, 128, 128, 32, 32), 1, 1),  # the stored quarter itself
    ],
)
def test_region_reads_only_touched_tiles_of_the_nearest_level(
    three_levels: Path, widths_read: list[int], view: View, width_px: int, tiles: int
) -> None:
    slide = opened(three_levels)
    scale_view(slide, view)
    stored = sorted((level.width_px for level in slide.levels.values()), reverse=True)
    assert widths_read == [stored[width_px]] * tiles


def test_stored_level_of_another_ratio_is_not_used_as_deep_zoom_level(tmp_path: Path) -> None:
    slide = opened(write_slide(tmp_path / "a.svs", Plan(1293, 1051, downsamples=(1, 3))))
    assert slide.native == {slide.max_level}


def test_expensive_levels_are_rendered_provisionally_from_the_thumbnail(
    tmp_path: Path, widths_read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vsv.slides.slide.MAX_SOURCE_TILES", 16)
    path = write_slide(tmp_path / "a.svs", Plan(1293, 1051, tile=64, downsamples=(1,)))
    thumbnail = tmp_path / "thumbnail.jpeg"
    Image.fromarray(stored_level(path, 0)).resize((646, 525), Image.Resampling.BOX).save(
        thumbnail, quality=95
    )
    slide = opened(path, thumbnail=thumbnail)
    for level_dz in range(1, slide.max_level - MAX_DCT_SHIFT):
        found = whole_level(slide, level_dz)
        assert slide.is_provisional(level_dz)
        expected = box_mean(stored_level(path, 0), slide.max_level - level_dz)
        assert grey_levels_apart(found[:-1, :-1], expected[:-1, :-1]) < 2
    assert widths_read == []


def test_damaged_thumbnail_is_ignored_for_expensive_levels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vsv.slides.slide.MAX_SOURCE_TILES", 16)
    path = write_slide(tmp_path / "a.svs", Plan(1293, 1051, tile=64, downsamples=(1,)))
    thumbnail = tmp_path / "thumbnail.jpeg"
    thumbnail.write_bytes(b"no picture")
    slide = opened(path, thumbnail=thumbnail)
    expected = box_mean(stored_level(path, 0), 5)
    assert grey_levels_apart(whole_level(slide, slide.max_level - 5), expected) <= 1


@pytest.mark.parametrize("shift", [1, 2, 4, 6])
def test_missing_levels_of_real_slide_are_a_box_mean(real_slide: Path, shift: int) -> None:
    slide = opened(real_slide)
    expected = box_mean(stored_level(real_slide, 0), shift)
    assert grey_levels_apart(whole_level(slide, slide.max_level - shift), expected) <= 1
