"""What the standalone server adds to the handlers: its page, its lists, and who may address it."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from vsv.records.models import Status
from vsv.workflow.transitions import Decider, change

from tests.support.paths import ROOT
from tests.support.servers.running import Site
from tests.support.slides.small import slide_bytes
from vsv_local import web_assets
from vsv_local.server.app import App

Answer = tuple[int, dict[str, str], bytes]


def ask(path: str, method: str = "GET", host: str = "127.0.0.1:8080", query: str = "") -> Answer:
    """Ask the application without a network."""
    sent: list[Any] = []
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": [(b"host", host.encode())],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(App(["slides.example"])(scope, receive, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"]


def items(path: str, query: str = "") -> tuple[list[dict[str, Any]], str | None]:
    status, _, body = ask(path, query=query)
    assert status == 200
    page = json.loads(body)
    return page["items"], page["nextToken"]


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8080",
        "127.0.0.1",
        "[::1]:8080",
        "[::1]",
        "192.168.1.9:80",
        "slides.example:8080",
    ],
)
def test_server_answers_its_own_host_names(host: str) -> None:
    assert ask("/", host=host)[0] == 200


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8080", "evil.example:127.0.0.1",
     "localhost:80:evil.example", "2130706433", "0x7f.1", "[::1].evil.example", "evil@localhost"],
)  # fmt: skip
def test_server_answers_421_to_foreign_host_names(site: Site, host: str) -> None:
    for path in ("/", "/slides", "/DeepZoom/1.dzi", "/ImportSlide"):
        assert ask(path, host=host)[0] == 421


def test_page_policy_allows_no_foreign_or_inline_scripts() -> None:
    status, headers, body = ask("/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert b"://" not in body
    assert b"onclick" not in body


def test_page_files_are_served_with_content_security_policy() -> None:
    for name in ("index.html", "style/base.css", "slide/knownslides.js", "viewer/viewer.js"):
        status, headers, body = ask(f"/{name}")
        assert (status, body) == (200, (web_assets.WEB / name).read_bytes())
        assert "content-security-policy" in headers


@pytest.mark.parametrize(
    "path",
    [
        "/../README.md", "/../pyproject.toml", "//etc/passwd", "/./index.html", "/package.json", "/.npmrc",
        "/node_modules", "/node_modules/.package-lock.json", "/node_modules/openseadragon/package.json",
        "/vendor/../package.json", "/vendor/../node_modules/openseadragon/package.json", "/vendor/",
        "/vendor/openseadragon-0.0.0.min.js",
        "/index.html/", "/index.html\0", "/\\index.html", "/C:/index.html", "/web/index.html", "/nothing.js",
        "/" + "a" * 300 + ".js", "/ïndex.html", "/..;/index.html", "/%2e%2e/README.md",
    ],
)  # fmt: skip
def test_paths_outside_the_page_folders_answer_404(path: str) -> None:
    assert ask(path)[0] == 404


def test_find_returns_only_files_inside_the_page_folder() -> None:
    for path in ("/index.html", *web_assets.LIBRARIES):
        found = web_assets.find(path)
        if found is not None:
            assert found.resolve().is_relative_to(web_assets.WEB)


def test_page_loads_exactly_the_libraries_that_the_server_serves() -> None:
    modules = "".join(
        (web_assets.WEB / name).read_text() for name in ("image/openseadragon.js", "login/tokens.js")
    )
    assert set(re.findall(r'"(/vendor/[^"]+)"', modules)) == set(web_assets.LIBRARIES)


def test_page_addresses_include_page_files_and_exclude_tool_files(site: Site) -> None:
    found = web_assets.addresses()
    assert {"/index.html", "/main.js", "/login/signin.js", "/style/base.css", "/icon.svg"} <= set(found)
    assert not [one for one in found if "node_modules" in one or one.endswith((".json", ".d.ts"))]
    assert all(ask(one)[0] == 200 for one in found)


def test_config_json_answers_204_on_a_single_machine() -> None:
    assert ask("/config.json")[0] == 204


@pytest.fixture
def listed(site: Site) -> Iterator[Site]:
    for number in range(5):
        assert site.bring(f"{number}.svs", slide_bytes() + bytes(number)) == 200
    assert site.bring("broken.svs", b"no slide at all") == 422
    yield site


def test_lists_omit_paths_and_internal_fields(listed: Site) -> None:
    shown, _ = items("/slides")
    failed, _ = items("/imports")
    assert len(shown) == 5
    assert [(item["Filename"], item["State"]) for item in failed] == [("broken.svs", "FAILED")]
    for item in [*shown, *failed]:
        assert not set(item) & {"Tags", "Source", "SourceModified", "RunID", "Checksum"}
        assert str(listed.scanner.parent) not in json.dumps(item)


def test_slide_list_returns_every_slide_across_pages(listed: Site) -> None:
    seen, token = [], None
    while True:
        page, token = items("/slides", f"limit=2{f'&nextToken={token}' if token else ''}")
        assert len(page) <= 2
        seen += [item["ImageID"] for item in page]
        if token is None:
            break
    assert sorted(seen) == sorted({record.image_id for record in listed.records()})


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=-1", "limit=x", "limit=٣", "nextToken=x"])
def test_invalid_page_parameters_answer_400(site: Site, query: str) -> None:
    assert ask("/slides", query=query)[0] == 400


def test_slide_address_returns_a_slide_until_its_deletion(listed: Site) -> None:
    _, headers, body = ask("/slides/1004486")
    assert json.loads(body)["SlideID"] == "1004486"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers
    change(listed.services, "1004486", {"status": Status.DELETED}, Decider("test", is_admin=True))
    assert ask("/slides/1004486")[0] == 404
    assert "1004486" not in {item["ImageID"] for item in items("/slides")[0]}
    for address in ("1004486_files/thumbnail.jpeg", "1004486_files/label.jpeg"):
        assert ask(f"/DeepZoom/{address}")[0] == 404
    assert ask("/slides/no..such")[0] in {400, 404}
    assert ask("/slides/../x")[0] == 400


def test_unexpected_error_answers_500_with_only_a_request_id(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vsv_local.server.json_api._unfinished", lambda *_: 1 / 0)
    status, _, body = ask("/imports")
    assert status == 500
    assert json.loads(body)["error"].startswith("internal error, request ")
    assert b"division" not in body


def test_body_of_a_disconnected_client_is_none(site: Site) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    from vsv_local.server.app import _body  # noqa: PLC0415  the only way to hang up here

    assert asyncio.run(_body(receive)) is None


def test_page_folder_is_the_web_folder_of_the_repository() -> None:
    assert ROOT / "web" == web_assets.WEB
