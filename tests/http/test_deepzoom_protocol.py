"""Deep Zoom addresses as viewers send them: what is answered, with which headers, and what is refused."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serve_image.handler import lambda_handler
from vsv import runtime
from vsv.pyramids.renderer import render_pyramid
from vsv.settings import Settings
from vsv.storage.slide_files import SlideFiles

from tests.support.slides.aperio import JPEG2000_RGB, Plan, encode_tile, texture, write_slide
from tests.support.slides.opened import decoded

FULL = "/DeepZoom/A_files/11/0_0.jpeg"
IMMUTABLE = "private, max-age=31536000, immutable"
THUMBNAIL = encode_tile(texture(64, 64), "444")


def unused() -> Any:
    raise AssertionError("a tile needs no database")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlideFiles]:
    """Serve the slide A, 1293×1051 with tiles of 256, a label and no macro."""
    data = tmp_path_factory.mktemp("data")
    services = runtime.assemble(Settings(data), slides=unused, imports=unused, starter=unused, jobs=unused)
    services.files.prepare()
    services.files.folder("A").mkdir()
    write_slide(services.files.slide("A"), Plan(1293, 1051))
    for name in ("label", "macro"):
        services.files.associated("A", name).write_bytes(b"patient data")
    services.files.associated("A", "thumbnail").write_bytes(THUMBNAIL)
    runtime.use(services)
    yield services.files
    runtime.use(None)


def ask(
    path: str,
    query: dict[str, str] | None = None,
    method: str = "GET",
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    event = {
        "version": "2.0",
        "rawPath": path,
        "queryStringParameters": query,
        "headers": headers or {},
        "requestContext": {"http": {"method": method, "path": path}},
    }
    return lambda_handler(event, None)


def body(answer: dict[str, Any]) -> bytes:
    found: str = answer["body"]
    return base64.b64decode(found, validate=True) if answer["isBase64Encoded"] else found.encode()


@pytest.mark.usefixtures("files")
class TestAddresses:
    def test_descriptor_states_size_and_tiling_of_the_slide(self) -> None:
        answer = ask("/DeepZoom/A.dzi")
        document = ElementTree.fromstring(body(answer))
        assert document.attrib == {"Format": "jpeg", "Overlap": "0", "TileSize": "256"}
        assert document[0].attrib == {"Width": "1293", "Height": "1051"}
        assert answer["headers"]["content-type"] == "application/xml"
        assert answer["headers"]["cache-control"] == "private, no-cache"

    def test_descriptor_repeats_the_requested_tiling_and_format(self) -> None:
        answer = ask("/DeepZoom/A.dzi", {"tilesize": "254", "overlap": "1", "fmt": "png"})
        document = ElementTree.fromstring(body(answer))
        assert document.attrib == {"Format": "png", "Overlap": "1", "TileSize": "254"}

    @pytest.mark.parametrize(
        ("suffix", "mime"), [("jpeg", "image/jpeg"), ("jpg", "image/jpeg"), ("png", "image/png")]
    )
    def test_tile_has_type_caching_and_security_headers(self, suffix: str, mime: str) -> None:
        answer = ask(f"/DeepZoom/A_files/11/5_4.{suffix}")
        assert (answer["statusCode"], answer["headers"]["content-type"]) == (200, mime)
        assert decoded(body(answer)).shape == (1051 - 4 * 256, 1293 - 5 * 256, 3)
        assert answer["headers"]["cache-control"] == IMMUTABLE
        assert answer["headers"]["access-control-allow-origin"] == "*"
        assert answer["headers"]["x-content-type-options"] == "nosniff"

    def test_query_format_takes_precedence_over_suffix(self) -> None:
        answer = ask(FULL, {"fmt": "png", "tilesize": "100", "overlap": "2", "t": "1700000000"})
        assert answer["headers"]["content-type"] == "image/png"
        assert decoded(body(answer)).shape == (102, 102, 3)

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("path", [FULL, "/DeepZoom/A.dzi", "/DeepZoom/A_files/thumbnail.jpeg"])
    def test_matching_etag_answers_304_without_body(self, path: str, method: str) -> None:
        etag = ask(path)["headers"]["etag"]
        for sent in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            answer = ask(path, method=method, headers={"if-none-match": sent})
            assert (answer["statusCode"], answer["body"]) == (304, "")
            assert answer["headers"]["etag"] == etag
        assert ask(path, headers={"if-none-match": '"other"'})["statusCode"] == 200

    @pytest.mark.parametrize("path", [FULL, "/DeepZoom/A.dzi", "/DeepZoom/A_files/thumbnail.jpeg"])
    def test_head_answers_headers_of_get_without_body(self, path: str) -> None:
        get, head = ask(path), ask(path, method="HEAD")
        assert head["statusCode"] == 200
        assert head["body"] == ""
        assert head["headers"].pop("content-length") == str(len(body(get)))
        assert head["headers"] == get["headers"]

    def test_etags_differ_for_different_tiles(self) -> None:
        asked = [
            (FULL, {}),
            (FULL, {"fmt": "png"}),
            (FULL, {"tilesize": "100"}),
            (FULL, {"overlap": "1"}),
            ("/DeepZoom/A_files/11/1_0.jpeg", {}),
            ("/DeepZoom/A_files/11/0_1.jpeg", {}),
            ("/DeepZoom/A_files/10/0_0.jpeg", {}),
        ]
        tags = [ask(path, query)["headers"]["etag"] for path, query in asked]
        assert len(set(tags)) == len(asked)

    @pytest.mark.parametrize("suffix", ["jpeg", "jpg"])
    def test_thumbnail_answers_the_stored_jpeg(self, suffix: str) -> None:
        answer = ask(f"/DeepZoom/A_files/thumbnail.{suffix}")
        assert body(answer) == THUMBNAIL
        assert answer["headers"]["cache-control"] == "private, no-cache"

    @pytest.mark.parametrize("name", ["label.jpeg", "label.jpg", "macro.jpeg", "macro.jpg"])
    def test_label_and_macro_are_bad_requests(self, name: str) -> None:
        assert ask(f"/DeepZoom/A_files/{name}")["statusCode"] == 400

    @pytest.mark.parametrize(
        "path",
        [
            "/DeepZoom/B.dzi",
            "/DeepZoom/B_files/0/0_0.jpeg",
            "/DeepZoom/B_files/thumbnail.jpeg",
            "/DeepZoom/A_files/12/0_0.jpeg",
            "/DeepZoom/A_files/99/0_0.jpeg",
            "/DeepZoom/A_files/11/6_0.jpeg",
            "/DeepZoom/A_files/11/0_5.jpeg",
            "/DeepZoom/A_files/0/0_1.jpeg",
            "/DeepZoom/A_files/11/9999999_9999999.jpeg",
            "/elsewhere",
        ],
    )
    def test_missing_slides_and_tiles_are_not_found(self, path: str) -> None:
        assert ask(path)["statusCode"] == 404
        assert ask(path, headers={"if-none-match": "*"})["statusCode"] == 404

    @pytest.mark.parametrize(
        "path",
        [
            "/DeepZoom/",
            "/DeepZoom/A",
            "/DeepZoom/../A.dzi",
            "/DeepZoom/..%2fA.dzi",
            "/DeepZoom/../../etc/passwd_files/0/0_0.jpeg",
            "/DeepZoom/A\0.dzi",
            "/DeepZoom/.dzi",
            "/DeepZoom/A_files/",
            "/DeepZoom/A_files/11/0_0",
            "/DeepZoom/A_files/11/0_0.gif",
            "/DeepZoom/A_files/11/0_0.JPEG",
            "/DeepZoom/A_files/11/0_0.jpeg\n",
            "/DeepZoom/A_files/11/0_0.jpeg/x",
            "/DeepZoom/A_files/11/-1_0.jpeg",
            "/DeepZoom/A_files/-1/0_0.jpeg",
            "/DeepZoom/A_files/11/+1_0.jpeg",
            "/DeepZoom/A_files/11/0.5_0.jpeg",
            "/DeepZoom/A_files/11/\u0661_0.jpeg",
            "/DeepZoom/A_files/11/0_0.jpeg" + "x" * 10_000,
            "/DeepZoom/A_files/11/" + "1" * 100 + "_0.jpeg",
            "/DeepZoom/A_files/slide.svs",
            "/DeepZoom/A_files/label.png",
            "/DeepZoom/A_files/../label.jpeg",
            "/DeepZoom/A_files/label.jpeg.jpeg",
        ],
    )
    def test_malformed_addresses_are_bad_requests(self, path: str) -> None:
        assert ask(path)["statusCode"] == 400

    @pytest.mark.parametrize(
        "query",
        [
            {"tilesize": "0"},
            {"tilesize": "-1"},
            {"tilesize": "1e3"},
            {"tilesize": "999999999"},
            {"tilesize": "256,256"},
            {"tilesize": "\u0661\u0662\u0668"},
            {"overlap": "65"},
            {"overlap": "x"},
            {"fmt": "gif"},
            {"fmt": "../x"},
        ],
    )
    @pytest.mark.parametrize("path", [FULL, "/DeepZoom/A.dzi"])
    def test_invalid_queries_are_bad_requests(self, path: str, query: dict[str, str]) -> None:
        assert ask(path, query)["statusCode"] == 400

    def test_empty_query_values_are_ignored(self) -> None:
        assert body(ask(FULL, {"tilesize": "", "overlap": "", "fmt": ""})) == body(ask(FULL))

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    def test_writing_methods_are_not_allowed(self, method: str) -> None:
        answer = ask(FULL, method=method)
        assert (answer["statusCode"], answer["headers"]["allow"]) == (405, "GET, HEAD")

    @given(st.text(max_size=60) | st.text("0123456789/_.jpegA files", max_size=40))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_arbitrary_address_never_answers_an_internal_error(self, rest: str) -> None:
        answer = ask("/DeepZoom/" + rest)
        assert answer["statusCode"] in {200, 400, 404}
        assert "Traceback" not in str(body(answer))

    def test_unreadable_slide_answers_422_without_path(self, files: SlideFiles) -> None:
        files.folder("bad").mkdir()
        files.slide("bad").write_bytes(b"garbage")
        answer = ask("/DeepZoom/bad_files/0/0_0.jpeg")
        assert answer["statusCode"] == 422
        assert str(files.root) not in answer["body"]


def test_tile_is_cached_for_a_minute_until_the_pyramid_exists(files: SlideFiles) -> None:
    files.folder("J").mkdir()
    path = write_slide(files.slide("J"), Plan(300, 200, codec=JPEG2000_RGB, associated="none"))
    address = "/DeepZoom/J_files/9/0_0.jpeg"
    before = ask(address)
    assert before["headers"]["cache-control"] == "private, max-age=60"
    services = runtime.current()
    render_pyramid(services.slide_cache.slide("J"), services.files.pyramid("J"), jobs=1)
    services.slide_cache._slides.clear()
    after = ask(address)
    assert after["headers"]["cache-control"] == IMMUTABLE
    assert after["headers"]["etag"] != before["headers"]["etag"]
    assert path.exists()


def test_errors_contain_no_path_of_the_data_folder(files: SlideFiles, tmp_path: Path) -> None:
    for path in ("/DeepZoom/B.dzi", "/DeepZoom/A_files/99/0_0.jpeg", "/DeepZoom/B_files/thumbnail.jpeg"):
        assert str(files.root) not in ask(path)["body"]


def test_public_tile_caching_marks_pictures_public_without_cors(
    files: SlideFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = runtime.current()
    monkeypatch.setattr(
        runtime,
        "_in_use",
        replace(services, settings=Settings(files.root, allow_origin="", tile_caching="public")),
    )
    kept = {
        path: ask(path)["headers"] for path in (FULL, "/DeepZoom/A_files/thumbnail.jpeg", "/DeepZoom/A.dzi")
    }
    assert [headers["cache-control"] for headers in kept.values()] == [
        "public, max-age=31536000, immutable",
        "public, no-cache",
        "private, no-cache",
    ]
    assert not any("access-control-allow-origin" in headers for headers in kept.values())
