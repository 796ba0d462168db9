"""Recorded API Gateway events through the handlers, and the same requests through the server: the same answers."""

import base64
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from import_slide.handler import lambda_handler as import_slide
from serve_image.handler import lambda_handler as serve_image
from serve_label.handler import lambda_handler as serve_label

from tests.support.paths import EVENTS
from tests.support.servers.running import Answer, Server, running_site, server
from tests.support.slides.small import slide_bytes

RECORDED_EVENTS = sorted(EVENTS.glob("*.json"))
LABELS = [f"/DeepZoom/1004486_files/{name}.jpeg" for name in ("label", "macro")]
TILE = "/DeepZoom/1004486_files/10/0_0.jpeg"
STATUSES = {
    "tile": 200, "tile_head": 200, "tile_unchanged": 304, "tile_of_other_size": 200, "tile_outside": 404,
    "tile_malformed": 400, "tile_climbing": 400, "descriptor": 200, "descriptor_wrong_query": 400,
    "descriptor_unknown": 404, "label": 200, "macro": 200, "thumbnail": 200, "import_done": 200,
    "import_unknown": 404, "import_bad_name": 400, "import_not_json": 400, "import_climbing": 400,
}  # fmt: skip


class Both(NamedTuple):
    """The server, and its data folder for handlers in this process."""

    running: Server
    folder: Path


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("served")
    with running_site(folder) as site:
        assert site.bring("a.svs", slide_bytes(label=True)) == 200
        assert site.bring("broken.svs", b"no slide") == 422
    several = str(2 if sys.platform == "linux" else 1)
    with server(folder / "data", "--watch", str(folder / "scanner"), "--workers", several) as running:
        yield Both(running, folder)


@pytest.fixture(scope="module")
def served(both: Both) -> Server:
    return both.running


def event_of(path: Path) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(path.read_text().replace('\\"size\\": 0', f'\\"size\\": {_size()}'))
    return event


def _size() -> int:
    return len(slide_bytes(label=True))


def by_handler(event: Mapping[str, Any], folder: Path) -> Answer:
    handlers = {"/ImportSlide": import_slide, **dict.fromkeys(LABELS, serve_label)}
    with running_site(folder):
        result = handlers.get(event["rawPath"], serve_image)(dict(event), None)
    body = result["body"]
    content = base64.b64decode(body) if result["isBase64Encoded"] else body.encode()
    return Answer(result["statusCode"], result["headers"], content)


def by_server(event: Mapping[str, Any], served: Server) -> Answer:
    query = f"?{event['rawQueryString']}" if event["rawQueryString"] else ""
    headers = {k: v for k, v in event["headers"].items() if k in {"if-none-match", "content-type", "accept"}}
    method = event["requestContext"]["http"]["method"]
    return served.ask(quote(event["rawPath"]) + query, method, headers, event.get("body", "").encode())


@pytest.mark.parametrize("path", RECORDED_EVENTS, ids=lambda path: path.stem)
def test_server_answers_recorded_events_as_the_handler_does(both: Both, path: Path) -> None:
    event = event_of(path)
    direct, served = by_handler(event, both.folder), by_server(event, both.running)
    assert direct.status == served.status == STATUSES[path.stem]
    for name, value in direct.headers.items():
        assert served.headers.get(name) == value
    assert set(served.headers) - set(direct.headers) <= {"date", "content-length"}
    assert served.body == direct.body


def test_tile_is_immutable_and_readable_by_any_origin(served: Server) -> None:
    answer = served.ask(TILE)
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.body.startswith(b"\xff\xd8")


def test_descriptor_must_be_revalidated_and_has_the_slides_size(served: Server) -> None:
    answer = served.ask("/DeepZoom/1004486.dzi")
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["content-type"] == "application/xml"
    assert b'Width="600" Height="500"' in answer.body
    assert b'TileSize="240"' in answer.body


@pytest.mark.parametrize("name", ["label", "macro"])
def test_label_and_macro_are_not_stored_and_not_readable_by_other_origins(served: Server, name: str) -> None:
    answer = served.ask(f"/DeepZoom/1004486_files/{name}.jpeg")
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answer.headers
    again = served.ask(f"/DeepZoom/1004486_files/{name}.jpeg", headers={"if-none-match": "*"})
    assert (again.status, again.headers["cache-control"]) == (304, "no-store")
    assert "access-control-allow-origin" not in again.headers


@pytest.mark.parametrize("address", ["1004486.dzi", "1004486_files/10/0_0.jpeg", "1004486_files/label.jpeg"])
def test_head_and_conditional_requests_return_the_headers_of_get(served: Server, address: str) -> None:
    path = f"/DeepZoom/{address}"
    whole, head = served.ask(path), served.ask(path, "HEAD")
    assert (head.status, head.body) == (200, b"")
    for name in ("etag", "cache-control", "content-type", "content-length"):
        assert head.headers[name] == whole.headers[name]
    for sent in (whole.headers["etag"], f"W/{whole.headers['etag']}", f'"x", {whole.headers["etag"]}', "*"):
        again = served.ask(path, headers={"if-none-match": sent})
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == whole.headers["etag"]
    assert served.ask(path, headers={"if-none-match": '"other"'}).status == 200


def test_etag_differs_for_every_parameter_that_changes_the_bytes(served: Server) -> None:
    queries = ["", "?tilesize=128", "?overlap=1", "?fmt=png", "?tilesize=128&overlap=1"]
    assert len({served.ask(TILE + query).headers["etag"] for query in queries}) == len(queries)
    assert served.ask(TILE).body == served.ask(f"{TILE}?nonce=7").body == served.ask(f"{TILE}?fmt=jpg").body


def test_conditional_request_for_a_missing_tile_answers_404(served: Server) -> None:
    for address in ("10/99_0.jpeg", "99/0_0.jpeg"):
        path = f"/DeepZoom/1004486_files/{address}"
        assert served.ask(path, headers={"if-none-match": "*"}).status == 404


def test_options_request_is_answered_only_for_images(served: Server) -> None:
    answer = served.ask(TILE, "OPTIONS", {"origin": "https://other.example"})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (204, "*")
    for path in ("/ImportSlide", "/slides"):
        answer = served.ask(path, "OPTIONS", {"origin": "https://other.example"})
        assert answer.status == 405
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "address",
    [
        "..%2f..%2frecords.sqlite", "%2e%2e/%2e%2e/records.sqlite", "../../records.sqlite", "1004486%00.dzi",
        "1004486_files/10/%00", "x" * 5000 + ".dzi", "1004486_files/10/0_0.gif", "1004486_files/10/0_0",
        "1004486_files/-1/0_0.jpeg", "1004486_files/10/٣_0.jpeg", "1004486_files/10/0_0.jpeg%0a",
        "1004486_files/" + "9" * 400 + "/0_0.jpeg", "1004486_files/10/99999999999999999999_0.jpeg",
        "1004486_files/../1004486_files/10/0_0.jpeg", "1004486_files/import.json", "1004486_files/slide.svs",
        "1004486_files/label.jpeg/..", "1004486", "", "_files/1/0_0.jpeg", ".dzi", "..dzi", "NUL.dzi",
        "1004486_files/10/0_0.jpeg?tilesize=x", "1004486_files/10/0_0.jpeg?tilesize=-1",
        "1004486_files/10/0_0.jpeg?tilesize=999999", "1004486_files/10/0_0.jpeg?overlap=65",
        "1004486_files/10/0_0.jpeg?fmt=gif", "1004486_files/10/0_0.jpeg?tilesize=%D9%A3%D9%A3%D9%A3",
        "1004486_files/10/0_0.jpeg?" + "a&" * 60,
    ],
)  # fmt: skip
def test_hostile_addresses_answer_400_without_naming_a_path(both: Both, address: str) -> None:
    path = "/DeepZoom/" + quote(address, safe="%/?=&")
    answer = both.running.ask(path)
    assert answer.status == 400
    assert set(json.loads(answer.body)) == {"error"}
    assert str(both.folder).encode() not in answer.body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", [TILE, "/slides", "/imports", "/"])
def test_writing_methods_on_tiles_lists_and_page_answer_405(served: Server, method: str, path: str) -> None:
    assert served.ask(path, method).status == 405


def test_import_address_answers_405_to_get(served: Server) -> None:
    answer = served.ask("/ImportSlide")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_import_body_above_size_limit_answers_413(served: Server) -> None:
    assert served.ask("/ImportSlide", "POST", body=b"x" * 70_000).status == 413


def test_server_stops_with_status_zero_and_without_traceback(tmp_path: Path) -> None:
    with server(tmp_path / "data") as running:
        assert running.stop() == 0
    assert "Traceback" not in running.log.read_text()
