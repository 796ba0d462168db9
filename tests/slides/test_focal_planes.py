"""Stacks of focal planes: the middle one is shown, and OMERO's z reaches every one; tifffile says what each holds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vsv.errors import UnreadableSlideError
from vsv.formats.ome_description import middle_plane
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import read_pages
from vsv.ingest.validation import inspect
from vsv.slides.aperio_reader import StoredLevelsReader
from vsv.slides.associated_images import aperio_images
from vsv.slides.focal_planes import at_plane
from vsv.slides.image_reader import pixels

from tests.support.slides.aperio import JPEG2000_YCBCR, Plan, label_image, texture
from tests.support.slides.damaged import zeroed
from tests.support.slides.opened import box_mean, grey_levels_apart, opened, whole_level
from tests.support.slides.unusual import SIZE, Page, in_focus_order, plane, write_pages

# Depths as stored, and which of them, counted as stored, is in the middle.
STACKS: dict[str, tuple[Sequence[float | None], int]] = {
    "three": ((-1.0, 0.0, 1.0), 1),
    "the focus first": ((0.0, -1.5, 1.5), 0),
    "upwards from the focus": ((0.0, 1.0, 2.0), 1),
    "two, the nearer to the focus": ((0.0, 1.0), 0),
    "two, the nearer second": ((-1.0, 0.0), 1),
    "without depths": ((None, None, None), 1),
    "the same depth twice": ((0.0, 0.0, 1.0), 1),
    "five": ((4.0, 0.0, -2.0, 2.0, -4.0), 1),
}


@pytest.mark.parametrize(("depths", "middle"), STACKS.values(), ids=STACKS)
def test_middle_plane_is_shown_at_every_stored_level(
    tmp_path: Path, depths: Sequence[float | None], middle: int
) -> None:
    path = write_pages(tmp_path / "a.svs", in_focus_order(depths))
    inspect(path, path.stat().st_size)
    slide = opened(path)
    full, quarter = whole_level(slide, slide.max_level), whole_level(slide, slide.max_level - 2)
    assert grey_levels_apart(full, plane(middle)) < 3
    assert grey_levels_apart(quarter, box_mean(plane(middle), 2)) < 4
    assert slide.native == {slide.max_level, slide.max_level - 2}


def test_planes_stored_level_by_level_are_kept_apart(tmp_path: Path) -> None:
    pages = sorted(in_focus_order((None, None, None)), key=lambda page: page.downsample)
    slide = opened(write_pages(tmp_path / "a.svs", pages))
    assert grey_levels_apart(whole_level(slide, slide.max_level), plane(1)) < 3
    assert grey_levels_apart(whole_level(slide, slide.max_level - 2), box_mean(plane(1), 2)) < 4


def test_stack_of_jpeg_2000_tiles_shows_its_middle_plane(tmp_path: Path) -> None:
    plan = Plan(*SIZE, tile=240, codec=JPEG2000_YCBCR)
    path = write_pages(tmp_path / "a.svs", in_focus_order((-1.0, 0.0, 1.0)), plan)
    inspect(path, path.stat().st_size)
    slide = opened(path)
    assert grey_levels_apart(whole_level(slide, slide.max_level), plane(1)) < 2


def test_stack_keeps_label_macro_and_thumbnail(tmp_path: Path) -> None:
    path = write_pages(tmp_path / "a.svs", in_focus_order((-1.0, 0.0, 1.0)))
    images = aperio_images(path, read_pages(OpenFile(path)))
    assert images.keys() == {"label", "macro", "thumbnail"}
    assert np.array_equal(np.asarray(images["label"]), np.asarray(label_image()))


def test_stack_none_of_whose_tiles_can_be_decoded_is_refused(tmp_path: Path) -> None:
    path = write_pages(tmp_path / "a.svs", in_focus_order((-1.0, 0.0, 1.0)))
    with tifffile.TiffFile(path) as file:
        tiled = [index for index, page in enumerate(file.pages) if page.is_tiled]
    for index in tiled:
        zeroed(path, index)
    with pytest.raises(UnreadableSlideError, match="focal planes"):
        inspect(path, path.stat().st_size)


def test_tiled_thumbnail_near_a_level_is_not_taken_for_the_level(tmp_path: Path) -> None:
    pixels, other = plane(0), texture(*SIZE, seed=90)
    pages = [Page(pixels), Page(other[:712], 4), Page(pixels, 4)]
    path = write_pages(tmp_path / "a.svs", pages)
    inspect(path, path.stat().st_size)
    slide = opened(path)
    assert grey_levels_apart(whole_level(slide, slide.max_level - 2), box_mean(pixels, 2)) < 4


@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_depth_that_is_no_number_is_none(tmp_path: Path, text: str) -> None:
    path = write_pages(tmp_path / "a.svs", in_focus_order((-1.0, float(text), 1.0)))
    slide = opened(path)
    assert grey_levels_apart(whole_level(slide, slide.max_level), plane(1)) < 3


def test_plane_that_is_asked_for_again_is_not_opened_again(tmp_path: Path) -> None:
    slide = opened(write_pages(tmp_path / "a.svs", in_focus_order((-1.0, 0.0, 1.0))))
    assert isinstance(slide.reader, StoredLevelsReader)
    lowest = at_plane(slide, slide.reader, 0)
    assert at_plane(slide, slide.reader, 0) is lowest
    assert at_plane(slide, slide.reader, 2) is not lowest
    assert grey_levels_apart(whole_level(lowest, slide.max_level), plane(0)) < 3


OME_AXES = {
    "ZYX": (7,),
    "TZYX": (2, 5),
    "CZYX": (3, 4),
    "ZCYX": (5, 2),
    "TCZYX": (2, 2, 3),
    "TZCYX": (2, 6, 2),
}


@pytest.mark.parametrize(("axes", "counts"), OME_AXES.items(), ids=OME_AXES)
def test_ome_tiff_stack_shows_its_middle_plane(tmp_path: Path, axes: str, counts: tuple[int, ...]) -> None:
    path = tmp_path / "a.ome.tif"
    data = np.random.default_rng(1).integers(0, 256, (*counts, 40, 50), np.uint8)
    tifffile.imwrite(path, data, photometric="minisblack", metadata={"axes": axes}, ome=True)
    middle = data[tuple(count // 2 if axis == "Z" else 0 for axis, count in zip(axes, counts, strict=False))]
    assert np.array_equal(pixels(path)[..., 0], middle)


def test_ome_tiff_stack_in_colour_shows_its_middle_plane(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    data = np.random.default_rng(1).integers(0, 256, (5, 40, 50, 3), np.uint8)
    tifffile.imwrite(path, data, photometric="rgb", metadata={"axes": "ZYXS"}, ome=True)
    assert np.array_equal(pixels(path), data[2])


def test_ome_tiff_of_300_pages_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    data = np.random.default_rng(1).integers(0, 256, (300, 20, 20), np.uint8)
    tifffile.imwrite(path, data, photometric="minisblack", metadata={"axes": "ZYX"}, ome=True)
    inspect(path, path.stat().st_size)
    assert np.array_equal(pixels(path)[..., 0], data[150])


def test_description_of_more_planes_than_pages_shows_the_first_page(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    data = np.random.default_rng(1).integers(0, 256, (2, 20, 20), np.uint8)
    text = '<OME><Image><Pixels DimensionOrder="XYZCT" SizeZ="9000" SizeC="1" SizeT="1"/></Image></OME>'
    tifffile.imwrite(path, data, photometric="minisblack", description=text, metadata=None)
    assert np.array_equal(pixels(path)[..., 0], data[0])


@given(
    st.text(max_size=60)
    | st.text("<Pixels SizeZ=\"'123456789 DimensionOrderXYZCT", max_size=200).map(
        lambda text: f"<Pixels {text}>"
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_middle_plane_of_any_text_is_a_page_number(text: str) -> None:
    assert 0 <= middle_plane(text) < 1 << 60
