"""Rendered pyramids: read back by others, equal to what is rendered on demand, whole or not there at all."""

from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image
from vsv.pyramids.renderer import Rendered, missing_levels, render_pyramid
from vsv.rendering.tiles import render_tile
from vsv.slides import jpeg_pixels

from tests.support.slides.aperio import JPEG2000_RGB, JPEG2000_YCBCR, LIBRARY, Plan, replace_tile, write_slide
from tests.support.slides.opened import box_mean, grey_levels_apart, opened, stored_level, tile, whole_level

FORMS = {
    "aperio": Plan(1293, 1051),
    "one level 240": Plan(1293, 1051, tile=240, downsamples=(1,), chroma="420"),
    "jpeg 2000": Plan(645, 523, codec=JPEG2000_YCBCR),
}


@pytest.fixture(scope="module", params=FORMS)
def rendered(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, Rendered]:
    folder = tmp_path_factory.mktemp("pyramid")
    slide = write_slide(folder / "slide.svs", FORMS[request.param])
    return slide, folder / "pyramid.tif", render_pyramid(opened(slide), folder / "pyramid.tif", jobs=2)


def test_pyramid_holds_exactly_the_levels_that_the_slide_lacks(rendered: tuple[Path, Path, Rendered]) -> None:
    slide, path, result = rendered
    before, after = opened(slide), opened(slide, path)
    assert set(result.levels_dz) == set(range(before.max_level + 1)) - before.native
    assert set(after.levels) == set(range(before.max_level + 1))
    assert after.native == before.native
    assert result.size_bytes == path.stat().st_size
    assert result.tiles == sum(np.prod(after.grid.tile_counts(dz)) for dz in result.levels_dz)
    assert not any(after.is_provisional(dz) for dz in after.levels)


def test_pyramid_pages_are_readable_by_tifffile_finest_first(rendered: tuple[Path, Path, Rendered]) -> None:
    slide, path, result = rendered
    grid, size = opened(slide).grid, opened(slide).grid.tile_size
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_bigtiff
        assert len(tiff.pages) == len(result.levels_dz)
        for page, level_dz in zip(tiff.pages, result.levels_dz, strict=True):
            assert (page.imagewidth, page.imagelength) == grid.level_size(level_dz)
            assert (page.tilewidth, page.tilelength) == (size, size)
            assert page.jpegtables
            assert page.subfiletype == (0 if level_dz == result.levels_dz[0] else 1)
            assert page.asarray().shape == (page.imagelength, page.imagewidth, 3)


def test_pyramid_pages_read_by_pillow_equal_the_tiles(rendered: tuple[Path, Path, Rendered]) -> None:
    slide, path, result = rendered
    after = opened(slide, path)
    with Image.open(path) as image:
        for index, level_dz in enumerate(result.levels_dz):
            image.seek(index)
            assert np.array_equal(np.asarray(image.convert("RGB")), whole_level(after, level_dz))


def test_pyramid_read_by_openslide_equals_the_tiles(rendered: tuple[Path, Path, Rendered]) -> None:
    slide, path, result = rendered
    after = opened(slide, path)
    with openslide.OpenSlide(path) as reference:
        sizes = tuple(after.grid.level_size(dz) for dz in result.levels_dz)
        assert reference.level_dimensions == sizes
        for level in range(len(sizes)):
            found = np.asarray(reference.read_region((0, 0), level, sizes[level]).convert("RGB"))
            assert np.array_equal(found, whole_level(after, result.levels_dz[level]))


def test_pyramid_stores_jpeg_tables_once_per_level(rendered: tuple[Path, Path, Rendered]) -> None:
    _, path, _ = rendered
    data = path.read_bytes()
    with tifffile.TiffFile(path) as tiff:
        for page in tiff.pages:
            for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
                stream = data[start : start + count]
                assert stream[:2] == b"\xff\xd8"
                assert b"\xff\xdb" not in stream[:40]
                assert b"\xff\xc4" not in stream[:40]
                assert b"JFIF" not in stream[:40]


def test_rendered_tiles_equal_tiles_rendered_on_demand(rendered: tuple[Path, Path, Rendered]) -> None:
    """Exactly, where a level comes from the original and a tile has no edge in it."""
    slide, path, result = rendered
    before, after = opened(slide), opened(slide, path)
    for level_dz in result.levels_dz:
        columns, rows = (side // after.grid.tile_size for side in after.grid.level_size(level_dz))
        for col, row in {(0, 0), (columns - 1, rows - 1)} if columns * rows else set():
            found, expected = (tile(one, level_dz, col, row) for one in (after, before))
            if before.native:
                assert np.array_equal(found, expected)
            else:  # OpenSlide's first level is rendered, the next ones come from that
                assert grey_levels_apart(found, expected) < 12


def test_rendered_levels_are_close_to_levels_rendered_on_demand(
    rendered: tuple[Path, Path, Rendered],
) -> None:
    slide, path, result = rendered
    before, after = opened(slide), opened(slide, path)
    for level_dz in range(6, max(result.levels_dz) + 1):
        found, expected = whole_level(after, level_dz), whole_level(before, level_dz)
        assert grey_levels_apart(found, expected) < 12


def test_full_pyramid_tiles_are_served_without_decoding(
    rendered: tuple[Path, Path, Rendered], monkeypatch: pytest.MonkeyPatch
) -> None:
    slide, path, result = rendered
    after = opened(slide, path)
    monkeypatch.setattr(jpeg_pixels, "decode", None)
    for level_dz in result.levels_dz:
        width_px, height_px = after.grid.level_size(level_dz)
        if min(width_px, height_px) >= after.grid.tile_size:
            assert render_tile(after, level_dz, 0, 0, "jpeg").startswith(b"\xff\xd8")


def test_coarse_levels_of_single_level_slide_are_made_from_rendered_levels(tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(1293, 1051, tile=64, downsamples=(1,)))
    render_pyramid(opened(path), tmp_path / "p.tif", jobs=2)
    slide, full = opened(path, tmp_path / "p.tif"), stored_level(path, 0)
    for shift in range(1, 7):
        expected = box_mean(full, shift)
        assert grey_levels_apart(whole_level(slide, slide.max_level - shift), expected) < 12


@pytest.mark.parametrize("codec", [JPEG2000_YCBCR, JPEG2000_RGB])
def test_pyramid_of_jpeg_2000_slide_includes_full_resolution(tmp_path: Path, codec: int) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(645, 523, codec=codec))
    result = render_pyramid(opened(path), tmp_path / "p.tif", jobs=2)
    slide = opened(path, tmp_path / "p.tif")
    assert result.levels_dz == tuple(range(slide.max_level, -1, -1))
    assert grey_levels_apart(whole_level(slide, slide.max_level), stored_level(path, 0)) < 3


def test_pyramid_of_single_pixel_slide_has_no_tiles(tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(1, 1, downsamples=(1,)))
    assert missing_levels(opened(path)) == ()
    assert render_pyramid(opened(path), tmp_path / "p.tif", jobs=1).tiles == 0
    slide = opened(path, tmp_path / "p.tif")
    assert tile(slide, 0, 0, 0).shape == (1, 1, 3)


def test_progress_counts_every_tile_once(tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    path = write_slide(tmp_path / "a.svs", Plan(1293, 1051, tile=64))
    result = render_pyramid(
        opened(path), tmp_path / "p.tif", 2, progress=lambda done, total: heard.append((done, total))
    )
    assert heard == sorted(heard)
    assert heard[-1] == (result.tiles, result.tiles)
    assert {total for _, total in heard} == {result.tiles}


def test_render_pyramid_writes_the_same_file_with_any_number_of_threads(tmp_path: Path) -> None:
    slide = opened(write_slide(tmp_path / "a.svs", Plan(645, 523, tile=64)))
    for jobs in (1, 3):
        render_pyramid(slide, tmp_path / f"{jobs}.tif", jobs)
    one, three = ((tmp_path / f"{jobs}.tif").read_bytes() for jobs in (1, 3))
    assert one == three


def test_damaged_tile_is_rendered_as_background_without_stopping(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(1293, 1051, downsamples=(1,)))
    replace_tile(path, 0, 7, b"garbage" * 100)
    render_pyramid(opened(path), tmp_path / "p.tif", jobs=2)
    slide = opened(path, tmp_path / "p.tif")
    level = whole_level(slide, slide.max_level - 1)
    assert level[136:248, 136:248].min() > 250
    assert level[:120, :120].mean() < 220
    assert "background" in caplog.text


def test_damaged_jpeg_2000_tile_is_rendered_as_background_without_stopping(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(645, 523, codec=JPEG2000_RGB, downsamples=(1,)))
    before = stored_level(path, 0)
    replace_tile(path, 0, 1, b"garbage" * 100)
    render_pyramid(opened(path), tmp_path / "p.tif", jobs=2)
    slide = opened(path, tmp_path / "p.tif")
    assert tile(slide, slide.max_level, 1, 0, "png").min() > 250
    for col, row in ((0, 0), (0, 1), (1, 1)):
        found, expected = tile(slide, slide.max_level, col, row, "png"), before[row * 256 :, col * 256 :]
        assert grey_levels_apart(found, expected[: found.shape[0], : found.shape[1]]) < 3
    assert "background" in caplog.text


def test_pyramid_of_real_slide_is_close_to_original_pixels(real_slide: Path, tmp_path: Path) -> None:
    render_pyramid(opened(real_slide), tmp_path / "p.tif")
    slide = opened(real_slide, tmp_path / "p.tif")
    assert set(slide.levels) == set(range(slide.max_level + 1))
    full = stored_level(real_slide, 0)
    for shift in (1, 3, 5):
        expected = box_mean(full, shift)
        assert grey_levels_apart(whole_level(slide, slide.max_level - shift), expected) < 5


def test_pyramid_does_not_contain_the_image_description(rendered: tuple[Path, Path, Rendered]) -> None:
    """What the slide's file says may name a patient; the pyramid does not repeat it."""
    assert LIBRARY.encode() not in rendered[1].read_bytes()
