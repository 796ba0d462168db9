"""OMERO.iviewer's own built page: what its Django application would answer is made here, the rest is the server's.

Its application answers below ``/iviewer/`` and reads OMERO itself; all else, tiles before all, it asks of OMERO.web.
"""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, Response, Route, expect

from tests.browser.conftest import SAMPLE_ID, Pages
from tests.browser.other_viewers import Traffic
from tests.browser.pixels import Pixels, middle, settled, stored
from tests.browser.standalone_server import StandaloneServer

STATIC = "/static/omero_iviewer/"
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css"}
# The image region microservice, which is asked once how many channels it draws. Without it OMERO has no such address.
NO_MICROSERVICE = "status of 405"
CENTRE, SEEN = (2000, 1500), (500, 400)
# What views.py's index gives, and templates/omero_iviewer/index.html makes of it.
PARAMETERS = {
    "VERSION": "0.19.1", "OMERO_VERSION": "5.6.15", "INTERPOLATE": "True", "IMAGES": SAMPLE_ID,
    "WEBGATEWAY": "/webgateway/", "WEBCLIENT": "/webclient/", "WEB_API_BASE": "/api/v0/",
    "ROI_PAGE_SIZE": "500", "MAX_PROJECTION_BYTES": "268435456", "MAX_ACTIVE_CHANNELS": "10",
    "NODEDESCRIPTORS": "None", "ROI_COLOR_PALETTE": "", "SHOW_PALETTE_ONLY": "False", "ENABLE_MIRROR": "False",
}  # fmt: skip
INDEX = """<!DOCTYPE html><html><head><meta charset="utf-8"><link rel="icon" href="data:,">
<link rel="stylesheet" href="{static}css/all.min.css">
<script>window.INITIAL_REQUEST_PARAMS = {parameters}; window.OME = {{OPEN_WITH: []}};</script></head>
<body class="container-fluid"><script src="{static}vendors.js"></script><script src="{static}main.js"></script>
<script src="{static}deps.js"></script></body></html>"""


@pytest.fixture(scope="module")
def package() -> Path:
    found = find_spec("omero_iviewer")
    if found is None or found.origin is None:
        pytest.skip("OMERO.iviewer is not installed: scripts/setup dev")
    return Path(found.origin).parent


def image_data(server: StandaloneServer) -> dict[str, Any]:
    """Return what image_data in views.py returns: OMERO.web's imgData and six further values."""
    found: dict[str, Any] = httpx.get(f"{server.url}webgateway/imgData/{SAMPLE_ID}/").json()
    for axis in "xy":
        of_axis = {"unit": found["pixel_size"][axis], "symbol": "µm", "unit_id": "MICROMETER"}
        found["pixel_size"] |= {f"{name}_{axis}": value for name, value in of_axis.items()}
    families = ["linear", "polynomial", "exponential", "logarithmic"]
    made = {"roi_count": 0, "delta_t_unit_symbol": None, "import_date": "2026-11-21 09:00:00"}
    return {**found, **made, "families": families}


def open_iviewer(pages: Pages, server: StandaloneServer, package: Path) -> tuple[Page, Traffic]:
    """Open the page on the server's own origin, as a proxy puts it there."""
    pages.expect_complaint(NO_MICROSERVICE)
    page = pages.blank()
    data = image_data(server)

    def static(route: Route) -> None:
        file = package / urlsplit(route.request.url).path.lstrip("/")
        route.fulfill(body=file.read_bytes(), content_type=TYPES.get(file.suffix, "application/octet-stream"))

    index = INDEX.format(static=STATIC, parameters=json.dumps(PARAMETERS))
    page.route(f"**{STATIC}**", static)
    page.route("**/iviewer/", lambda route: route.fulfill(body=index, content_type="text/html"))
    page.route(f"**/iviewer/image_data/{SAMPLE_ID}/?*", lambda route: route.fulfill(json=data))
    traffic = Traffic(page, server.url)
    page.goto(f"{server.url}iviewer/")
    expect(page.locator("channel-range")).to_have_count(3)
    return page, traffic


def tiles(traffic: Traffic) -> dict[tuple[str, str], Response]:
    """Return the answers to requests for tiles, by tile and channels."""
    found = traffic.of(f"webgateway/render_image_region/{SAMPLE_ID}/0/0/?")
    asked = {text: parse_qs(text) for text in found}
    return {(asked[text]["tile"][0], asked[text]["c"][0]): answer for text, answer in found.items()}


def windowed(slide: Pixels, start: int, end: int) -> Pixels:
    """Return a picture whose red values between start and end are stretched to 0 to 255."""
    red = np.clip((slide[..., 0].astype(float) - start) / (end - start) * 255, 0, 255)
    return np.dstack([np.rint(red).astype(np.uint8), slide[..., 1:]])


def test_iviewer_draws_the_slides_pixels_with_its_channel_settings(
    pages: Pages, server: StandaloneServer, package: Path
) -> None:
    page, traffic = open_iviewer(pages, server, package)
    expect(page.get_by_text("S26-000123-A1").first).to_be_visible()
    page.get_by_title("Actual Size").click()
    slide = stored(server.watched / f"slide-{SAMPLE_ID}.svs", *CENTRE, *SEEN)
    assert slide.std() > 10  # tissue, and not bare glass
    canvas = page.locator(".ol-viewport").first
    assert settled(lambda: middle(canvas, *SEEN), slide) <= 1

    page.locator("channel-range").first.locator(".channel-start").fill("100")
    page.keyboard.press("Enter")
    assert settled(lambda: middle(canvas, *SEEN), windowed(slide, 100, 255), 2) <= 2
    page.get_by_role("button", name="Imported").click()
    assert settled(lambda: middle(canvas, *SEEN), slide) <= 1

    drawn = tiles(traffic)
    assert {channels for _, channels in drawn} == {
        "1|0:255$FF0000,2|0:255$00FF00,3|0:255$0000FF",
        "1|100:255$FF0000,2|0:255$00FF00,3|0:255$0000FF",
    }
    # At a resolution of its choice, then at full; of every server since OMERO 5.4.4 it asks tiles of 512.
    assert {tile.split(",")[0] for tile, _ in drawn} >= {"0", "2"}
    assert {tuple(tile.split(",")[3:]) for tile, _ in drawn} == {("512", "512")}
    assert {answer.status for answer in drawn.values()} == {200}


def test_iviewer_requests_to_omero_web_are_all_answered(
    pages: Pages, server: StandaloneServer, package: Path
) -> None:
    page, traffic = open_iviewer(pages, server, package)
    with page.expect_response(re.compile("getDefaults=true")):
        page.get_by_role("button", name="Imported").click()
    page.wait_for_load_state("networkidle")
    asked = {urlsplit(url).path: status for url, status in traffic.statuses().items()}
    assert asked.pop("omero_ms_image_region/") == 405
    assert set(asked.values()) == {200}
    assert {address for address in asked if address.startswith("web")} >= {
        "webgateway/luts/", "webgateway/luts_png/", "webgateway/open_with/", "webgateway/getImgRDef/",
        f"webgateway/get_image_rdefs_json/{SAMPLE_ID}/", f"webgateway/imgData/{SAMPLE_ID}/",
        f"webgateway/render_thumbnail/{SAMPLE_ID}/", "webclient/api/paths_to_object/",
    }  # fmt: skip
    assert traffic.failed == []
