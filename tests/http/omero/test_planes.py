"""Focal planes over OMERO's webgateway: z is counted from the lowest; without it, the middle plane is shown."""

from collections.abc import Iterator

import numpy as np
import pytest
from vsv import runtime
from vsv.settings import Settings

from tests.support.servers.webgateway_site import ask, document, no_records, picture
from tests.support.slides.aperio import Pixels
from tests.support.slides.opened import box_mean, grey_levels_apart
from tests.support.slides.unusual import SIZE, in_focus_order, plane, write_pages

STACK = "42"
# As stored; by z they are the planes 1, 0 and 2.
DEPTHS, BY_DEPTH, MIDDLE = (0.0, -1.5, 1.5), (1, 0, 2), 1


@pytest.fixture(scope="module", autouse=True)
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Serve a stack of three planes."""
    data = tmp_path_factory.mktemp("data")
    services = runtime.assemble(
        Settings(data), slides=no_records, imports=no_records, starter=no_records, jobs=no_records
    )
    services.files.prepare()
    services.files.folder(STACK).mkdir()
    write_pages(services.files.slide(STACK), in_focus_order(DEPTHS))
    runtime.use(services)
    yield
    runtime.use(None)


def whole(z: int, tile_resolution: int = 0) -> Pixels:
    """Request a plane at a resolution as one region, and return its pixels."""
    width_px, height_px = SIZE
    query = f"format=png&region=0,0,{width_px},{height_px}"
    if not tile_resolution:
        return picture(f"render_image_region/{STACK}/{z}/0/", query)
    return picture(f"render_image_region/{STACK}/{z}/0/", f"format=png&tile={tile_resolution},0,0")


@pytest.mark.parametrize("z", range(3))
def test_each_z_shows_its_own_plane(z: int) -> None:
    assert grey_levels_apart(whole(z), plane(BY_DEPTH[z])) < 3


@pytest.mark.parametrize("z", range(3))
@pytest.mark.parametrize("resolution", [1, 2])
def test_coarser_resolutions_of_each_z_show_its_own_plane(z: int, resolution: int) -> None:
    expected = box_mean(plane(BY_DEPTH[z]), resolution)[:240, :240]
    found = whole(z, resolution)
    assert grey_levels_apart(found, expected[: found.shape[0], : found.shape[1]]) < 6


def test_middle_plane_is_shown_where_no_z_is_named() -> None:
    assert np.array_equal(picture(f"render_image/{STACK}/", "format=png"), whole(MIDDLE))
    small = picture(f"render_thumbnail/{STACK}/200/")
    assert grey_levels_apart(small, picture(f"render_thumbnail/{STACK}/200/", f"z={MIDDLE}")) == 0
    assert grey_levels_apart(small, picture(f"render_thumbnail/{STACK}/200/", "z=0")) > 3


def test_tiles_of_planes_have_addresses_and_etags_of_their_own() -> None:
    answers = [ask(f"render_image_region/{STACK}/{z}/0/", "tile=0,0,0") for z in range(3)]
    assert len({answer["headers"]["etag"] for answer in answers}) == 3
    assert len({answer["body"] for answer in answers}) == 3


def test_image_data_and_json_api_count_the_planes() -> None:
    found = document(f"imgData/{STACK}/")
    assert found["size"]["z"] == len(DEPTHS)
    assert found["rdefs"]["defaultZ"] == MIDDLE
    assert document(f"v0/m/images/{STACK}/", prefix="/api/", headers={"host": "slides.test"})["data"][
        "Pixels"
    ]["SizeZ"] == len(DEPTHS)


def test_histogram_is_of_the_named_plane() -> None:
    counts = [document(f"histogram_json/{STACK}/channel/0/", f"theZ={z}")["data"] for z in range(3)]
    assert counts[0] != counts[1] != counts[2]
    assert document(f"histogram_json/{STACK}/channel/0/")["data"] == counts[MIDDLE]


@pytest.mark.parametrize("address", ["render_image_region/42/3/0/", "render_image_region/42/0/1/"])
def test_planes_that_the_slide_does_not_have_are_not_found(address: str) -> None:
    answer = ask(address, "tile=0,0,0")
    assert answer["statusCode"] == 404
    assert "focal planes 0 to 2" in answer["body"]


def test_deep_zoom_shows_the_middle_plane() -> None:
    found = picture(f"{STACK}_files/10/0_0.png", prefix="/DeepZoom/")
    assert np.array_equal(found, whole(MIDDLE)[:240, :240])
