"""Deep Zoom, IIIF and webgateway show the same pixels where they can ask for the same, and these are OpenSlide's."""

import io
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from vsv import runtime

from tests.support.servers.webgateway_site import HEIGHT, LEVELS, NUMBER, WIDTH, ask, body, served
from tests.support.slides.aperio import Pixels
from tests.support.slides.opened import box_mean, decoded, grey_levels_apart, stored_level

HOST = {"host": "slides.example"}
# IIIF's turns of what webgateway calls flips.
TURNS = {"h": "!0", "v": "!180", "hv": "180"}


@pytest.fixture(scope="module", autouse=True)
def _slide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with served(tmp_path_factory.mktemp("data")):
        yield


def deep_zoom(level_dz: int, col: int, row: int, size: int, fmt: str) -> bytes:
    return body(ask(f"{NUMBER}_files/{level_dz}/{col}_{row}.{fmt}", f"tilesize={size}", prefix="/DeepZoom/"))


def iiif(box: tuple[int, int, int, int], size: str, turn: str, fmt: str) -> bytes:
    address = f"{NUMBER}/{','.join(map(str, box))}/{size}/{turn}/default.{fmt}"
    return body(ask(address, headers=HOST, prefix="/iiif/"))


def omero(query: str) -> bytes:
    return body(ask(f"render_image_region/{NUMBER}/0/0/", query))


@cache
def openslides(shift: int) -> Pixels:
    """Return a level's pixels, reduced from the full resolution that OpenSlide reads."""
    return box_mean(stored_level(runtime.current().files.slide(NUMBER), 0), shift)


@cache
def coded(shift: int) -> Pixels:
    """Do to a level's pixels what the coding of rendered levels does."""
    return decoded(simplejpeg.encode_jpeg(openslides(shift), 80, colorsubsampling="420"))


@settings(max_examples=50)
@given(st.integers(0, LEVELS - 1), st.integers(64, 700), st.data())
def test_tile_of_any_size_is_equal_in_all_protocols_and_matches_openslide(
    shift: int, size: int, data: st.DataObject
) -> None:
    step, level = size << shift, openslides(shift)
    col, row = (data.draw(st.integers(0, (side - 1) // step)) for side in (WIDTH, HEIGHT))
    left, top = col * step, row * step
    box = left, top, min(step, WIDTH - left), min(step, HEIGHT - top)
    cut = slice(row * size, (row + 1) * size), slice(col * size, (col + 1) * size)
    expected = level[cut]
    wanted = f"{expected.shape[1]},{expected.shape[0]}"
    exact = [
        decoded(deep_zoom(11 - shift, col, row, size, "png")),
        decoded(iiif(box, wanted, "0", "png")),
        decoded(omero(f"tile={shift},{col},{row},{size},{size}&format=png")),
    ]
    assert all(np.array_equal(exact[0], other) for other in exact[1:])
    loss = grey_levels_apart(coded(shift)[cut], expected) + 1.5 if shift else 0
    assert grey_levels_apart(exact[0], expected) <= loss
    lossy = [
        deep_zoom(11 - shift, col, row, size, "jpeg"),
        iiif(box, wanted, "0", "jpg"),
        omero(f"tile={shift},{col},{row},{size},{size}"),
    ]
    assert all(grey_levels_apart(decoded(other), exact[0]) < 4 for other in lossy)


@settings(max_examples=50)
@given(st.sampled_from(sorted(TURNS)), st.data())
def test_flipped_region_is_equal_in_iiif_and_webgateway_and_matches_openslide(
    flip: str, data: st.DataObject
) -> None:
    left, top = data.draw(st.integers(0, WIDTH - 1)), data.draw(st.integers(0, HEIGHT - 1))
    wide, high = data.draw(st.integers(1, WIDTH - left)), data.draw(st.integers(1, HEIGHT - top))
    expected = openslides(0)[top : top + high, left : left + wide]
    expected = expected[:, ::-1] if "h" in flip else expected
    expected = expected[::-1] if "v" in flip else expected
    # Webgateway counts from the flipped slide's own left and top.
    x = WIDTH - left - wide if "h" in flip else left
    y = HEIGHT - top - high if "v" in flip else top
    theirs = omero(f"region={x},{y},{wide},{high}&flip={flip}&format=png")
    mine = iiif((left, top, wide, high), "max", TURNS[flip], "png")
    assert np.array_equal(decoded(mine), expected)
    assert np.array_equal(decoded(theirs), expected)


def test_thumbnail_matches_iiif_picture_of_the_whole_slide() -> None:
    theirs = body(ask(f"render_thumbnail/{NUMBER}/200/163/"))
    mine = iiif((0, 0, WIDTH, HEIGHT), "200,163", "0", "jpg")
    with Image.open(io.BytesIO(theirs)) as image:
        assert image.size == (200, 163)
    assert grey_levels_apart(decoded(theirs), decoded(mine)) < 4
