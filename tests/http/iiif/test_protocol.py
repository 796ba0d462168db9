"""IIIF as viewers speak it: what is answered, with which headers, and what is refused."""

import base64
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from serve_image.handler import lambda_handler
from vsv import runtime
from vsv.pyramids.renderer import render_pyramid
from vsv.rendering.image_request import MAX_AREA_PX
from vsv.settings import Settings
from vsv.storage.slide_files import SlideFiles

from tests.support.slides.aperio import Plan, write_slide
from tests.support.slides.opened import decoded, grey_levels_apart, stored_level
from tests.support.stores.store_records import slide as slide_record

HOST = "slides.example"
BASE = f"http://{HOST}/iiif/A"
IMMUTABLE = "private, max-age=31536000, immutable"


class OneSlide:
    """A store that knows the slide A alone."""

    def get(self, image_id: str) -> Any:
        return (
            slide_record(image_id, slide_id="S21-77-A1", case_id="S21-77", mpp=0.25)
            if image_id == "A"
            else None
        )


def unused() -> Any:
    raise AssertionError("a picture needs no imports")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlideFiles]:
    """Serve the slides A and 2, 1293×1051 with tiles of 256."""
    services = runtime.assemble(
        Settings(tmp_path_factory.mktemp("data")),
        slides=OneSlide,
        imports=unused,
        starter=unused,
        jobs=unused,
    )  # type: ignore[arg-type]
    services.files.prepare()
    for image_id in ("A", "2"):
        services.files.folder(image_id).mkdir()
        write_slide(services.files.slide(image_id), Plan(1293, 1051))
    runtime.use(services)
    yield services.files
    runtime.use(None)


pytestmark = pytest.mark.usefixtures("files")


def ask(path: str, method: str = "GET", **headers: str) -> dict[str, Any]:
    event = {
        "version": "2.0",
        "rawPath": path,
        "headers": {"host": HOST, **headers},
        "requestContext": {"http": {"method": method, "path": path}},
    }
    return lambda_handler(event, None)


def body(answer: dict[str, Any]) -> bytes:
    found: str = answer["body"]
    return base64.b64decode(found, validate=True) if answer["isBase64Encoded"] else found.encode()


def document(path: str, **headers: str) -> dict[str, Any]:
    answer = ask(path, **headers)
    assert answer["statusCode"] == 200, answer
    found: dict[str, Any] = json.loads(body(answer))
    return found


class TestInfo:
    def test_version_3_describes_image_at_level_2(self) -> None:
        info = document("/iiif/A/info.json")
        assert info["@context"] == "http://iiif.io/api/image/3/context.json"
        assert (info["id"], info["type"], info["profile"]) == (BASE, "ImageService3", "level2")
        assert info["protocol"] == "http://iiif.io/api/image"
        assert (info["width"], info["height"], info["maxArea"]) == (1293, 1051, MAX_AREA_PX)
        assert info["tiles"] == [{"width": 256, "height": 256, "scaleFactors": [1, 2, 4, 8]}]
        assert info["sizes"][-1] == {"width": 1293, "height": 1051}
        assert document("/iiif/3/A/info.json")["id"] == f"http://{HOST}/iiif/3/A"

    def test_version_2_uses_its_own_context_keys_and_address(self) -> None:
        info = document("/iiif/2/A/info.json")
        assert info["@context"] == "http://iiif.io/api/image/2/context.json"
        assert info["@id"] == f"http://{HOST}/iiif/2/A"
        assert "id" not in info
        assert info["profile"][0] == "http://iiif.io/api/image/2/level2.json"
        assert set(info["profile"][1]["formats"]) >= {"jpg", "png"}
        assert "sizeAboveFull" in info["profile"][1]["supports"]
        assert ask("/iiif/2/A/0,0,50,50/100,/0/default.jpg")["statusCode"] == 200

    def test_slide_named_2_is_served_under_both_versions(self) -> None:
        assert document("/iiif/2/info.json")["id"] == f"http://{HOST}/iiif/2"
        assert document("/iiif/2/2/info.json")["@id"] == f"http://{HOST}/iiif/2/2"
        assert ask("/iiif/2/full/10,/0/default.jpg")["statusCode"] == 200
        assert ask("/iiif/2/2/full/10,/0/default.jpg")["statusCode"] == 200

    def test_accept_header_selects_json_or_json_ld(self) -> None:
        plain = ask("/iiif/A/info.json", accept="application/json")
        assert plain["headers"]["content-type"] == "application/json"
        assert ask("/iiif/A/info.json", accept="*/*")["headers"]["content-type"] == "application/json"
        linked = ask("/iiif/A/info.json", accept="application/ld+json")
        assert linked["headers"]["content-type"] == (
            'application/ld+json;profile="http://iiif.io/api/image/3/context.json"'
        )
        assert ask("/iiif/A/info.json")["headers"]["content-type"] == linked["headers"]["content-type"]
        assert ask("/iiif/2/A/info.json")["headers"]["content-type"] == "application/json"
        assert linked["headers"]["vary"] == plain["headers"]["vary"] == "Accept, Origin, Sec-Fetch-Site"
        assert plain["headers"]["link"] == '<http://iiif.io/api/image/3/level2.json>;rel="profile"'
        assert plain["headers"]["access-control-allow-origin"] == "*"

    @pytest.mark.parametrize("path", ["/iiif/A", "/iiif/A/"])
    def test_base_address_redirects_to_info(self, path: str) -> None:
        answer = ask(path)
        assert (answer["statusCode"], answer["headers"]["location"]) == (303, f"{BASE}/info.json")

    def test_forwarded_proto_https_makes_https_identifier(self) -> None:
        info = document("/iiif/A/info.json", **{"x-forwarded-proto": "https"})
        assert info["id"] == f"https://{HOST}/iiif/A"

    def test_site_setting_replaces_host_in_identifier(self) -> None:
        before = runtime.current()
        runtime.use(replace(before, settings=replace(before.settings, site="https://lab.example")))
        try:
            assert document("/iiif/A/info.json")["id"] == "https://lab.example/iiif/A"
        finally:
            runtime.use(before)

    @pytest.mark.parametrize("host", ["", 'a"b', "a/b", "a b", "x" * 300])
    def test_malformed_host_header_is_refused(self, host: str) -> None:
        assert ask("/iiif/A/info.json", host=host)["statusCode"] == 400


class TestManifest:
    def test_manifest_describes_canvas_with_texts_of_the_label(self) -> None:
        manifest = document("/iiif/A/manifest.json")
        assert manifest["@context"] == "http://iiif.io/api/presentation/3/context.json"
        assert manifest["type"] == "Manifest"
        assert manifest["label"] == {"none": ["S21-77-A1"]}
        texts = {pair["label"]["en"][0]: pair["value"]["none"][0] for pair in manifest["metadata"]}
        assert (texts["Case"], texts["ImageID"]) == ("S21-77", "A")
        canvas = manifest["items"][0]
        assert canvas["label"] == manifest["label"]
        assert (canvas["width"], canvas["height"]) == (1293, 1051)
        painting = canvas["items"][0]["items"][0]
        assert painting["target"] == canvas["id"]
        assert painting["body"]["service"] == [{"id": BASE, "type": "ImageService3", "profile": "level2"}]
        assert canvas["service"][0]["physicalScale"] == pytest.approx(0.00025)

    def test_manifest_pictures_are_served_at_the_stated_size(self) -> None:
        manifest = document("/iiif/A/manifest.json")
        thumbnail = manifest["thumbnail"][0]
        for address in (thumbnail["id"], manifest["items"][0]["items"][0]["items"][0]["body"]["id"]):
            assert ask(address.removeprefix(f"http://{HOST}"))["statusCode"] == 200
        with Image.open(io.BytesIO(body(ask(thumbnail["id"].removeprefix(f"http://{HOST}"))))) as image:
            assert image.size == (thumbnail["width"], thumbnail["height"])

    def test_painting_over_area_limit_states_its_reduced_size(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("serve_image.iiif.parameters.MAX_AREA_PX", 1 << 18)
        canvas = document("/iiif/A/manifest.json")["items"][0]
        painted = canvas["items"][0]["items"][0]["body"]
        with Image.open(io.BytesIO(body(ask(painted["id"].removeprefix(f"http://{HOST}"))))) as image:
            assert image.size == (painted["width"], painted["height"])
            assert 250_000 < image.width * image.height <= 1 << 18
        assert (canvas["width"], canvas["height"]) == (1293, 1051)

    def test_page_of_another_site_reads_no_texts_of_the_label(self) -> None:
        foreign = document("/iiif/A/manifest.json", origin="https://elsewhere.example")
        assert "S21-77" not in json.dumps(foreign)
        assert foreign["label"] == {"none": ["A"]}
        same = {"sec-fetch-site": "same-origin"}
        own = document("/iiif/A/manifest.json", origin=f"http://{HOST}", **same)
        assert own["label"] == {"none": ["S21-77-A1"]}

    def test_page_of_allowed_origin_reads_texts_of_the_label(self) -> None:
        before, site = runtime.current(), "https://viewer.example"
        runtime.use(replace(before, settings=replace(before.settings, allow_origin=site)))
        try:
            assert document("/iiif/A/manifest.json", origin=site)["label"] == {"none": ["S21-77-A1"]}
        finally:
            runtime.use(before)

    def test_manifest_without_record_is_labelled_with_image_id(self) -> None:
        assert document("/iiif/2/manifest.json")["label"] == {"none": ["2"]}


class TestPictures:
    def test_each_tile_of_info_equals_the_deep_zoom_tile(self, files: SlideFiles) -> None:
        info = document("/iiif/A/info.json")
        (tiles,) = info["tiles"]
        for power, factor in enumerate(tiles["scaleFactors"]):
            side = tiles["width"] * factor
            for row, top in enumerate(range(0, info["height"], side)):
                for col, left in enumerate(range(0, info["width"], side)):
                    wide, high = min(side, info["width"] - left), min(side, info["height"] - top)
                    size = f"{-(-wide // factor)},{-(-high // factor)}"
                    mine = ask(f"/iiif/A/{left},{top},{wide},{high}/{size}/0/default.jpg")
                    theirs = ask(f"/DeepZoom/A_files/{11 - power}/{col}_{row}.jpeg")
                    assert mine["body"] == theirs["body"], (factor, col, row)

    def test_picture_has_type_caching_cors_and_canonical_link_headers(self) -> None:
        answer = ask("/iiif/A/pct:10,10,50,50/200,/!90/color.png")
        assert answer["headers"]["content-type"] == "image/png"
        assert answer["headers"]["cache-control"] == IMMUTABLE
        assert answer["headers"]["access-control-allow-origin"] == "*"
        assert answer["headers"]["link"] == (
            f'<{BASE}/129,105,646,526/200,163/!90/default.png>;rel="canonical",'
            '<http://iiif.io/api/image/3/level2.json>;rel="profile"'
        )

    def test_matching_etag_answers_304_without_body(self) -> None:
        path = "/iiif/A/0,0,300,300/100,/0/default.jpg"
        etag = ask(path)["headers"]["etag"]
        again = ask(path, **{"if-none-match": etag})
        assert (again["statusCode"], again["body"]) == (304, "")
        assert ask("/iiif/A/0,0,300,300/101,/0/default.jpg")["headers"]["etag"] != etag

    def test_head_answers_length_without_body(self) -> None:
        path = "/iiif/A/0,0,300,300/100,/0/default.jpg"
        answer = ask(path, method="HEAD")
        assert (answer["statusCode"], answer["body"]) == (200, "")
        assert answer["headers"]["content-length"] == str(len(body(ask(path))))

    def test_percent_encoded_address_answers_the_same_picture(self) -> None:
        plain = ask("/iiif/A/pct:10,10,20,20/^!500,500/!0/gray.jpg")
        encoded = ask("/iiif/A/pct%3A10%2C10%2C20%2C20/%5E%21500%2C500/%210/gray.jpg")
        assert plain["statusCode"] == encoded["statusCode"] == 200
        assert plain["body"] == encoded["body"]

    def test_region_at_full_resolution_equals_openslide_pixels(self, files: SlideFiles) -> None:
        found = decoded(body(ask("/iiif/A/101,203,400,300/max/0/default.png")))
        assert np.array_equal(found, stored_level(files.slide("A"), 0)[203:503, 101:501])

    @pytest.mark.parametrize("fmt", ["jpg", "png", "webp", "tif"])
    @pytest.mark.parametrize("quality", ["default", "color", "gray", "bitonal"])
    def test_each_format_and_quality_is_drawn_at_the_requested_size(self, fmt: str, quality: str) -> None:
        with Image.open(io.BytesIO(body(ask(f"/iiif/A/square/120,/22.5/{quality}.{fmt}")))) as image:
            assert image.width == image.height
            assert 158 <= image.width <= 162

    def test_picture_drawn_from_pyramid_matches_picture_drawn_without(self, files: SlideFiles) -> None:
        path = "/iiif/A/full/500,/0/default.png"
        before = decoded(body(ask(path)))
        services = runtime.current()
        render_pyramid(services.slide_cache.slide("A"), files.pyramid("A"))
        services.slide_cache.forget("A")
        try:
            assert grey_levels_apart(before, decoded(body(ask(path)))) < 4
        finally:
            files.pyramid("A").unlink()
            services.slide_cache.forget("A")


class TestErrors:
    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/iiif/", 400),
            ("/iiif/../info.json", 400),
            ("/iiif/B/info.json", 404),
            ("/iiif/B", 404),
            ("/iiif/B/full/max/0/default.jpg", 404),
            ("/iiif/A/full/max/0", 400),
            ("/iiif/A/full/max/0/default.jpg/", 400),
            ("/iiif/A/full/max/0/default.gif", 501),
            ("/iiif/A/full/max/0/default.jp2", 501),
            ("/iiif/A/full/max/0/default.pdf", 501),
            ("/iiif/A/full/max/0/default.xyz", 400),
            ("/iiif/A/full/9999,/0/default.jpg", 400),
            ("/iiif/A/full/^99999,99999/0/default.jpg", 400),
            ("/iiif/A/2000,0,5,5/max/0/default.jpg", 400),
            ("/iiif/A/full/max/400/default.jpg", 400),
            ("/iiif/A/info.xml", 400),
            ("/iiif/A/" + "x" * 400, 400),
            ("/iiif/4/A/info.json", 404),
        ],
    )
    def test_bad_address_answers_its_status_with_cors_header(self, path: str, status: int) -> None:
        answer = ask(path)
        assert answer["statusCode"] == status
        assert answer["headers"]["access-control-allow-origin"] == "*"
        assert "Traceback" not in answer["body"]

    def test_error_has_no_cors_header_when_no_origin_is_allowed(self) -> None:
        before = runtime.current()
        runtime.use(replace(before, settings=replace(before.settings, allow_origin="")))
        try:
            assert "access-control-allow-origin" not in ask("/iiif/B/info.json")["headers"]
        finally:
            runtime.use(before)

    def test_picture_over_area_limit_answers_the_limit(self) -> None:
        assert str(MAX_AREA_PX) in ask("/iiif/A/full/^9999,9999/0/default.jpg")["body"]

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(path=st.text(st.characters(codec="utf-8"), max_size=60))
    def test_arbitrary_address_never_answers_a_server_error(self, path: str) -> None:
        assert ask(f"/iiif/{path}")["statusCode"] < 500
        assert ask(f"/iiif/A/{path}")["statusCode"] in {200, 303, 400, 404, 501}


def test_region_of_real_slide_matches_openslide_pixels(real_slide: Path, files: SlideFiles) -> None:
    files.folder("real").mkdir()
    shutil.copy(real_slide, files.slide("real"))
    try:
        services = runtime.current()
        whole = services.slide_cache.slide("real").grid
        found = decoded(body(ask("/iiif/real/500,700,600,400/300,200/0/default.png")))
        expected = Image.fromarray(stored_level(real_slide, 0)[700:1100, 500:1100]).reduce(2)
        assert grey_levels_apart(found, np.asarray(expected)) < 1
        assert document("/iiif/real/info.json")["width"] == whole.width_px
    finally:
        shutil.rmtree(files.folder("real"))
