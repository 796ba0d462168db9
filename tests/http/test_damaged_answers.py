"""Answers that show damage: never cached for long, in any protocol; errors where nothing can be shown."""

import base64
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serve_image.handler import lambda_handler as serve_image
from vsv.storage.numeric_ids import assign_number

from tests.support.servers.archive_site import brought
from tests.support.servers.running import Site
from tests.support.slides.aperio import JPEG2000_RGB, Plan, replace_tile, write_slide
from tests.support.slides.damaged import (
    FULL,
    PLAN,
    REDUCED,
    tiled,
    with_broken_scan,
    without_own_table,
    without_tables,
    zeroed,
)
from tests.support.slides.opened import box_mean, grey_levels_apart, opened, stored_level, tile, whole_level
from vsv_local.server.api_gateway_events import http_event

BAD = 7  # column 1, row 1 of the 6 columns of full resolution


def ask(address: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    path, _, query = address.partition("?")
    pairs = [(b"host", b"slides.test")]
    pairs += [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    result: dict[str, Any] = serve_image(http_event("GET", path, query, pairs), None)
    return result


def document(answer: Mapping[str, Any]) -> Any:
    body = answer["body"]
    return json.loads(base64.b64decode(body) if answer["isBase64Encoded"] else body)


def addresses(site: Site, image_id: str) -> dict[bool, list[str]]:
    """Return addresses of all protocols, by whether they show the damaged tile."""
    number = assign_number(site.services.files, image_id)
    tiles, image = f"/DeepZoom/{image_id}_files", f"/webgateway/render_image_region/{number}/0/0/"
    return {
        True: [
            f"{tiles}/11/1_1.jpeg",
            f"{tiles}/11/1_1.png",
            f"{tiles}/11/0_0.jpeg?tilesize=512",
            f"{tiles}/10/0_0.jpeg",
            f"{tiles}/8/0_0.jpeg",
            f"/iiif/{image_id}/256,256,256,256/max/0/default.jpg",
            f"/iiif/{image_id}/300,300,600,500/200,/90/gray.png",
            f"/iiif/{image_id}/full/200,/0/default.jpg",
            f"/iiif/2/{image_id}/full/200,/0/default.jpg",
            f"{image}?tile=0,1,1",
            f"{image}?region=300,300,400,400&c=1|0:255$FF0000",
            f"/webgateway/render_image/{number}/",
            f"/webgateway/render_thumbnail/{number}/",
        ],
        False: [
            f"{tiles}/11/4_3.jpeg",
            f"{tiles}/11/5_4.png",
            f"/iiif/{image_id}/1024,768,200,200/max/0/default.jpg",
            f"{image}?tile=0,4,3",
            f"{image}?region=1000,700,200,200",
        ],
    }


DAMAGED: dict[str, Callable[[Path], Path]] = {
    "zeros": lambda path: zeroed(write_slide(path, PLAN), FULL, BAD),
    "broken scan": lambda path: with_broken_scan(write_slide(path, PLAN), FULL, BAD),
    "jpeg 2000": lambda path: zeroed(write_slide(path, Plan(1293, 1051, codec=JPEG2000_RGB)), FULL, BAD),
    "deflate": lambda path: zeroed(tiled(path, "deflate"), FULL, BAD),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_answers_that_show_damage_are_not_cached_and_all_others_are(
    site: Site, tmp_path: Path, case: str
) -> None:
    image_id = brought(site, DAMAGED[case](tmp_path / "a.svs").read_bytes())
    for is_damaged, asked in addresses(site, image_id).items():
        for address in asked:
            answer = ask(address)
            assert answer["statusCode"] == 200, address
            assert ("immutable" in answer["headers"]["cache-control"]) != is_damaged, address
            again = ask(address, {"if-none-match": answer["headers"]["etag"]})
            assert again["statusCode"] == 304
            assert again["headers"]["cache-control"] == answer["headers"]["cache-control"]


def test_damage_that_is_found_while_serving_is_not_cached_nor_confirmed(site: Site, tmp_path: Path) -> None:
    """The file is damaged after its import: nothing is noted yet."""
    image_id = brought(site, write_slide(tmp_path / "a.svs", PLAN).read_bytes())
    path = site.services.files.slide(image_id)
    path.chmod(0o644)
    asked = [f"/DeepZoom/{image_id}_files/11/1_1.jpeg", f"/iiif/{image_id}/300,300,90,90/max/0/default.png"]
    before = [ask(address)["headers"]["etag"] for address in asked]
    modified = path.stat().st_mtime_ns
    zeroed(path, FULL, BAD)
    os.utime(path, ns=(modified, modified))
    for address, etag in zip(asked, before, strict=True):
        site.services.slide_cache.forget(image_id)
        answer = ask(address)
        assert "immutable" not in answer["headers"]["cache-control"]
        assert ask(address, {"if-none-match": etag})["statusCode"] == 200


def test_places_of_damage_are_listed_at_full_resolution(site: Site, tmp_path: Path) -> None:
    path = zeroed(write_slide(tmp_path / "a.svs", PLAN), FULL, 7, 8, 29)
    image_id = brought(site, zeroed(path, REDUCED, 3).read_bytes())
    answer = ask(f"/DeepZoom/{image_id}_files/damage.json")
    assert answer["statusCode"] == 200
    assert "no-cache" in answer["headers"]["cache-control"]
    assert document(answer) == {
        "boxes": [
            [256, 256, 512, 256],
            [1280, 1024, 13, 27],
            [1024, 1024, 269, 27],
        ],
        "more": False,
    }


def test_undamaged_slide_lists_no_places(site: Site, tmp_path: Path) -> None:
    image_id = brought(site, write_slide(tmp_path / "a.svs", PLAN).read_bytes())
    answer = ask(f"/DeepZoom/{image_id}_files/damage.json")
    assert document(answer) == {"boxes": [], "more": False}
    assert ask("/DeepZoom/none_files/damage.json")["statusCode"] == 404


@pytest.mark.parametrize("codec", [7, JPEG2000_RGB])
@pytest.mark.parametrize("rendered", [False, True])
def test_damaged_reduced_level_shows_full_resolution(
    site: Site, tmp_path: Path, codec: int, rendered: bool
) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(1293, 1051, codec=codec))
    expected = box_mean(stored_level(path, 0), 2)
    zeroed(path, REDUCED)
    slide = opened(path)
    if rendered:
        slide = site.services.slide_cache.slide(brought(site, path.read_bytes()))
    for fmt in ("png", "jpeg"):
        assert grey_levels_apart(whole_level(slide, 9, fmt)[:262, :323], expected[:262, :323]) < 8
    assert grey_levels_apart(tile(slide, 8, 0, 0)[:130, :160], box_mean(expected, 1)[:130, :160]) < 8
    assert not slide.shows_damage((0, 0, 1293, 1051))


def test_reduced_tile_with_broken_scan_is_not_passed_through(site: Site, tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs", PLAN)
    expected = box_mean(stored_level(path, 0), 2)[:256, :256]
    image_id = brought(site, with_broken_scan(path, REDUCED, 0).read_bytes())
    slide = site.services.slide_cache.slide(image_id)
    assert grey_levels_apart(tile(slide, 9, 0, 0), expected) < 8


@pytest.mark.parametrize("writer", [without_tables, lambda path, page: without_own_table(path, page, BAD)])
def test_tile_without_tables_is_an_error_that_is_not_cached_in_every_form(
    site: Site, tmp_path: Path, writer: Callable[[Path, int], Path]
) -> None:
    files = site.services.files
    files.folder("A").mkdir()
    writer(write_slide(files.slide("A"), Plan(1293, 1051, downsamples=(1,))), FULL)
    for address in addresses(site, "A")[True]:
        answer = ask(address)
        assert answer["statusCode"] == 422, address
        assert answer["headers"]["cache-control"] == "no-store"
        assert "tables" in document(answer)["error"]
    batch = ask(f"/webgateway/get_thumbnails/?id={assign_number(files, 'A')}")
    assert list(document(batch).values()) == [None]


def test_edge_tile_without_tables_is_an_error(site: Site) -> None:
    files = site.services.files
    files.folder("A").mkdir()
    without_own_table(write_slide(files.slide("A"), PLAN), FULL, 29)
    for fmt in ("jpeg", "png"):
        answer = ask(f"/DeepZoom/A_files/11/5_4.{fmt}")
        assert (answer["statusCode"], answer["headers"]["cache-control"]) == (422, "no-store")


def test_reduced_tile_without_tables_shows_full_resolution(site: Site) -> None:
    files = site.services.files
    files.folder("A").mkdir()
    path = write_slide(files.slide("A"), PLAN)
    expected = box_mean(stored_level(path, 0), 2)[:256, :256]
    without_own_table(path, REDUCED, 0)
    slide = site.services.slide_cache.slide("A")
    assert grey_levels_apart(tile(slide, 9, 0, 0), expected) < 8


def test_pixels_that_are_left_of_a_broken_tile_are_shown(site: Site, tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs", PLAN)
    before = stored_level(path, 0)[256:512, 256:512]
    image_id = brought(site, with_broken_scan(path, FULL, BAD).read_bytes())
    found = tile(site.services.slide_cache.slide(image_id), 11, 1, 1, "png")
    assert np.array_equal(found[:64], before[:64])
    assert not np.array_equal(found, before)


def test_replacing_a_tile_keeps_answers_of_other_slides(site: Site, tmp_path: Path) -> None:
    first = brought(site, zeroed(write_slide(tmp_path / "a.svs", PLAN), FULL, BAD).read_bytes())
    other = write_slide(tmp_path / "b.svs", Plan(1293, 1051, quality=70))
    replace_tile(other, FULL, 0, b"x" * 100)
    second = brought(site, other.read_bytes(), "b.svs")
    assert "immutable" in ask(f"/DeepZoom/{second}_files/11/1_1.jpeg")["headers"]["cache-control"]
    assert "immutable" not in ask(f"/DeepZoom/{first}_files/11/1_1.jpeg")["headers"]["cache-control"]
