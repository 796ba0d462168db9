"""Views: any region, size, turn and tone is what Pillow makes of OpenSlide's pixels."""

import io
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import openslide
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from vsv.errors import InvalidQueryError, TooLargeError
from vsv.pyramids.renderer import render_pyramid
from vsv.rendering import draw as draw_module
from vsv.rendering.draw import STRIP_PX, draw, scale_view
from vsv.rendering.image_request import (
    MAX_AREA_PX,
    MAX_SIDE_PX,
    MAX_SOURCE_PX,
    View,
    halvings,
    level_box,
    stored_tile,
    turned_size,
)
from vsv.slides.deepzoom_grid import Grid
from vsv.slides.slide import Slide

from tests.support.slides.aperio import JPEG2000_RGB, Pixels, Plan, write_slide
from tests.support.slides.opened import decoded, grey_levels_apart, opened

PLANS = {
    "aperio": Plan(1293, 1051),
    "4:2:0": Plan(1293, 1051, tile=240, chroma="420"),
    "one level": Plan(1293, 1051, downsamples=(1,)),
    "jpeg 2000": Plan(700, 533, codec=JPEG2000_RGB),
}


@pytest.fixture(scope="module", params=PLANS)
def slide(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Slide:
    path = write_slide(tmp_path_factory.mktemp("slides") / "s.svs", PLANS[request.param])
    return opened(path)


@cache
def full_resolution(path: Path) -> Image.Image:
    with openslide.OpenSlide(path) as slide:
        return slide.read_region((0, 0), 0, slide.dimensions).convert("RGB")


def from_nearest_level(slide: Slide, view: View) -> Image.Image:
    """Return the same of the level that OpenSlide would choose: coded a second time, small parts differ more."""
    with openslide.OpenSlide(slide.path) as image:
        level = image.get_best_level_for_downsample(
            min(view.width_l0 / view.width_px, view.height_l0 / view.height_px)
        )
        scale = image.level_downsamples[level]
        pixels = image.read_region((0, 0), level, image.level_dimensions[level]).convert("RGB")
    left, top = view.left_l0 / scale, view.top_l0 / scale
    right, bottom = (view.left_l0 + view.width_l0) / scale, (view.top_l0 + view.height_l0) / scale
    box = (left, top, min(right, pixels.width), min(bottom, pixels.height))
    return pixels.resize((view.width_px, view.height_px), Image.Resampling.BICUBIC, box)


def cut(slide: Slide, view: View) -> Image.Image:
    """Do to OpenSlide's pixels what the view asks, all at once and at full resolution."""
    box = (view.left_l0, view.top_l0, view.left_l0 + view.width_l0, view.top_l0 + view.height_l0)
    return full_resolution(slide.path).resize((view.width_px, view.height_px), Image.Resampling.BICUBIC, box)


@st.composite
def views(draw_from: st.DrawFn, width: int, height: int) -> View:
    left = draw_from(st.integers(0, width - 1))
    top = draw_from(st.integers(0, height - 1))
    wide = draw_from(st.integers(1, width - left))
    high = draw_from(st.integers(1, height - top))
    across = draw_from(st.floats(0.02, 1.5))
    down = draw_from(st.just(across) | st.floats(0.02, 1.5))
    return View(left, top, wide, high, max(1, round(wide * across)), max(1, round(high * down)))


@given(data=st.data())
def test_scaled_region_of_any_size_equals_pillow_resize_of_openslide_pixels(
    slide: Slide, data: st.DataObject
) -> None:
    view = data.draw(views(slide.grid.width_px, slide.grid.height_px))
    found = scale_view(slide, view)
    assert found.shape == (view.height_px, view.width_px, 3)
    # A few pixels differ by what one filter sees and the other does not; many do not.
    limit = 4.0 if view.width_px * view.height_px >= 2500 else 12.0
    apart = grey_levels_apart(found, np.asarray(cut(slide, view)))
    assert apart < limit or grey_levels_apart(found, np.asarray(from_nearest_level(slide, view))) < limit


def as_turned(picture: Image.Image, view: View) -> Image.Image:
    """Mirror, flip and turn by Pillow's own means, on white; the middle stays the middle."""
    picture = ImageOps.mirror(picture) if view.mirrored else picture
    picture = ImageOps.flip(picture) if view.flipped else picture
    return picture.rotate(-view.rotation, Image.Resampling.BICUBIC, expand=True, fillcolor="white")


@settings(max_examples=40)
@given(data=st.data(), turn=st.sampled_from([0.0, 90.0, 180.0, 270.0]) | st.floats(0, 359.9))
def test_drawn_region_with_rotation_and_flip_equals_pillow_result(
    slide: Slide, data: st.DataObject, turn: float
) -> None:
    mirrored, flipped = data.draw(st.booleans()), data.draw(st.booleans())
    upright = data.draw(views(slide.grid.width_px, slide.grid.height_px))
    view = replace(upright, mirrored=mirrored, flipped=flipped, rotation=turn)
    found, expected = decoded(draw(slide, view, "jpg")), np.asarray(as_turned(cut(slide, view), view))
    assert found.shape == expected.shape
    # As above, and JPEG of quality 90 of what is all detail.
    limit = 6.5 if view.width_px * view.height_px >= 2500 else 15.0
    assert grey_levels_apart(found, expected) < limit


@pytest.mark.parametrize("kind", ["aperio", "4:2:0"])
def test_region_at_full_resolution_equals_openslide_pixels_exactly(kind: str, tmp_path: Path) -> None:
    slide = opened(write_slide(tmp_path / "s.svs", PLANS[kind]))
    view = View(3, 5, 701, 603, 701, 603)
    assert np.array_equal(scale_view(slide, view), np.asarray(cut(slide, view)))


def test_region_at_scale_of_stored_level_equals_openslide_pixels_of_that_level(tmp_path: Path) -> None:
    slide = opened(write_slide(tmp_path / "s.svs", PLANS["4:2:0"]))
    found = scale_view(slide, View(0, 0, 144, 288, 36, 72))
    with openslide.OpenSlide(slide.path) as image:
        level = image.read_region((0, 0), 1, (36, 72)).convert("RGB")
    assert np.array_equal(found, np.asarray(level))


def test_image_of_several_strips_has_no_seams(slide: Slide) -> None:
    width, height = slide.grid.width_px, slide.grid.height_px
    scale = (3 * STRIP_PX + 7) / height
    view = View(0, 0, width, height, round(width * scale), 3 * STRIP_PX + 7)
    found, expected = scale_view(slide, view).astype(int), np.asarray(cut(slide, view)).astype(int)
    rows = np.abs(found - expected).mean(axis=(1, 2))
    seams = [rows[at - 1 : at + 1].max() for at in range(STRIP_PX, view.height_px, STRIP_PX)]
    assert max(seams) <= rows.max(initial=0) * 1.01
    assert rows.mean() < 1.0


def test_region_that_is_a_stored_tile_returns_its_stored_bytes(slide: Slide) -> None:
    size = slide.grid.tile_size
    view = View(size, size, size, size, size, size)
    assert stored_tile(view, slide.grid) == (slide.max_level, 1, 1)
    if slide.max_level in slide.levels:
        assert draw(slide, view, "jpg") == slide.levels[slide.max_level].jpeg(1, 1)


def test_stored_tile_recognises_edge_tiles_of_deep_zoom(slide: Slide) -> None:
    columns, rows = slide.grid.tile_counts(slide.max_level - 1)
    left, top = 2 * slide.grid.tile_size * (columns - 1), 2 * slide.grid.tile_size * (rows - 1)
    wide, high = slide.grid.width_px - left, slide.grid.height_px - top
    view = View(left, top, wide, high, -(-wide // 2), -(-high // 2))
    assert stored_tile(view, slide.grid) == (slide.max_level - 1, columns - 1, rows - 1)


@pytest.mark.parametrize("rotation", [0.0, 90.0, 180.0, 270.0])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("flipped", [False, True])
def test_draw_mirrors_and_flips_before_rotating_clockwise(
    slide: Slide, rotation: float, mirrored: bool, flipped: bool
) -> None:
    view = View(10, 20, 400, 300, 200, 150, mirrored, flipped, rotation)
    expected: Pixels = scale_view(slide, view)
    expected = expected[:, ::-1] if mirrored else expected
    expected = expected[::-1] if flipped else expected
    expected = np.rot90(expected, -round(rotation / 90))
    assert np.array_equal(decoded(draw(slide, view, "png")), expected)


def test_draw_at_any_angle_keeps_whole_picture_on_transparent_or_white_ground(slide: Slide) -> None:
    view = View(0, 0, 400, 300, 200, 150, rotation=30.0)
    with Image.open(io.BytesIO(draw(slide, view, "png"))) as image:
        assert image.mode == "RGBA"
        wide, high = turned_size(200, 150, 30.0)
        assert abs(image.width - wide) <= 2
        assert abs(image.height - high) <= 2
        assert image.getpixel((0, 0))[3] == 0  # type: ignore[index]
        middle = np.asarray(
            image.convert("RGB").crop(
                (image.width // 2 - 5, image.height // 2 - 5, image.width // 2 + 5, image.height // 2 + 5)
            )
        )
    upright = scale_view(slide, View(0, 0, 400, 300, 200, 150))
    assert abs(middle.mean() - upright[70:80, 95:105].mean()) < 4
    white = decoded(draw(slide, view, "jpg"))[0, 0]
    assert white.min() > 250


def test_draw_returns_grey_and_bitonal_qualities(slide: Slide) -> None:
    grey = View(0, 0, 400, 300, 200, 150, quality="gray")
    with Image.open(io.BytesIO(draw(slide, grey, "jpg"))) as image:
        assert image.mode == "L"
    with Image.open(io.BytesIO(draw(slide, grey, "png"))) as image:
        upright = Image.fromarray(scale_view(slide, grey)).convert("L")
        assert np.array_equal(np.asarray(image), np.asarray(upright))
    with Image.open(
        io.BytesIO(draw(slide, View(0, 0, 400, 300, 200, 150, quality="bitonal"), "png"))
    ) as image:
        assert np.array_equal(np.asarray(image), np.asarray(upright) > 127)


@pytest.mark.parametrize("fmt", ["jpg", "png", "webp", "tif"])
def test_draw_encodes_each_requested_format(slide: Slide, fmt: str) -> None:
    view = View(0, 0, 300, 200, 300, 200)
    data = draw(slide, view, fmt)
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "tif": "TIFF"}[fmt]
    assert grey_levels_apart(decoded(data), scale_view(slide, view)) < (
        3 if fmt in {"jpg", "webp"} else 0.001
    )


def test_draw_returns_the_same_picture_with_a_pyramid(tmp_path: Path) -> None:
    path = write_slide(tmp_path / "s.svs", PLANS["aperio"])
    render_pyramid(opened(path), tmp_path / "pyramid.tif")
    view = View(13, 17, 1200, 1000, 299, 251)
    before, after = opened(path), opened(path, tmp_path / "pyramid.tif")
    assert grey_levels_apart(scale_view(before, view), scale_view(after, view)) < 3


@pytest.mark.parametrize(
    ("wide", "high"), [(MAX_SIDE_PX + 1, 1), (1, MAX_SIDE_PX + 1), (4097, 4096), (10**9, 10**9)]
)
def test_view_refuses_oversized_picture(wide: int, high: int) -> None:
    with pytest.raises(TooLargeError, match=str(MAX_SIDE_PX) + "|" + str(MAX_AREA_PX)):
        View(0, 0, 10, 10, wide, high)


def test_view_refuses_picture_that_is_oversized_after_rotation() -> None:
    with pytest.raises(TooLargeError, match=str(MAX_AREA_PX)):
        View(0, 0, 10, 10, 4000, 4000, rotation=45.0)
    View(0, 0, 10, 10, 4096, 4096, rotation=90.0)


@pytest.mark.parametrize(
    "size", [(16384, 1), (1, 16384), (16384, 64), (16384, 1024), (700, 16384), (3, 3000)]
)
def test_squeezed_region_reads_a_bounded_number_of_source_pixels(
    slide: Slide, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    large, view = replace(slide, grid=Grid(100_000, 80_000, 256)), View(0, 0, 100_000, 80_000, *size)

    def region(_slide: Slide, _level_dz: int, box: tuple[int, int, int, int]) -> Pixels:
        assert (box[2] - box[0]) * (box[3] - box[1]) <= MAX_SOURCE_PX
        raise LookupError

    monkeypatch.setattr(draw_module.regions, "region", region)
    with pytest.raises(LookupError):
        scale_view(large, view)


@given(wide=st.integers(1, 100_000), high=st.integers(1, 80_000), scale=st.floats(0.0001, 1))
def test_halvings_select_nearest_finer_level_for_proportional_region(
    wide: int, high: int, scale: float
) -> None:
    size = max(1, round(wide * scale)), max(1, round(high * scale))
    if size[0] * size[1] > MAX_AREA_PX or max(size) > MAX_SIDE_PX:
        return
    shift = halvings(View(0, 0, wide, high, *size), Grid(100_000, 80_000, 256))
    assert wide >> shift >= size[0] and high >> shift >= size[1]
    assert wide >> (shift + 1) < size[0] or high >> (shift + 1) < size[1]


@pytest.mark.parametrize("box", [(-1, 0, 5, 5), (0, 0, 0, 5), (0, 0, 5, -1)])
def test_view_refuses_empty_regions(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(InvalidQueryError):
        View(*box, 5, 5)


def test_level_box_returns_none_for_regions_off_the_level_grid(slide: Slide) -> None:
    assert level_box(View(0, 0, 512, 512, 256, 256), slide.grid) == (slide.max_level - 1, (0, 0, 256, 256))
    assert level_box(View(0, 0, 512, 512, 255, 256), slide.grid) is None
    assert level_box(View(1, 0, 512, 512, 256, 256), slide.grid) is None
