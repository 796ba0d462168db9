"""Mirador, the viewer of libraries and archives, on a page of another site that knows a manifest's address."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import SAMPLE_ID, Pages
from tests.browser.other_viewers import Traffic, deep_zoom_tile, other_site, tiles_of
from tests.browser.pixels import middle, reduced, settled, stored
from tests.browser.standalone_server import StandaloneServer
from tests.support.paths import ROOT

MIRADOR = ROOT / "web/node_modules/mirador/dist/mirador.min.js"
VERSION = "4.0.0"
OPEN = """([address, view]) => { window.shown = Mirador.viewer({
    id: "viewer", windows: [{ manifestId: address, sideBarOpen: true, initialViewerConfig: view }],
    osdConfig: { maxZoomPixelRatio: 8 },
}); }"""
CENTRE, ENLARGED, SEEN = (2048, 1536), 8, (480, 320)  # where four tiles meet
# Of its own making: a component that it is built with, told to whoever develops it.
OF_ITS_OWN = "Accessing element.ref was removed in React 19"
CASE = "S26-000123"  # on the sample slide's label


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    if not MIRADOR.is_file():
        pytest.skip("Mirador is not installed: scripts/web dev")
    assert json.loads((MIRADOR.parents[1] / "package.json").read_text())["version"] == VERSION
    with other_site(MIRADOR) as origin:
        yield origin


def open_manifest(
    pages: Pages, site: str, server: StandaloneServer, image_id: str = SAMPLE_ID
) -> tuple[Page, Traffic]:
    pages.expect_complaint(OF_ITS_OWN)
    page = pages.blank()
    traffic = Traffic(page, server.url)
    show(page, site, f"{server.url}iiif/{image_id}/manifest.json", None)
    return page, traffic


def show(page: Page, site: str, manifest: str, view: dict[str, float] | None) -> None:
    page.goto(site)
    page.evaluate(OPEN, [manifest, view])


def test_mirador_opens_a_slide_and_zooms_to_the_scanners_own_tiles(
    pages: Pages, site: str, server: StandaloneServer
) -> None:
    base = f"iiif/{SAMPLE_ID}/"
    info = httpx.get(f"{server.url}{base}info.json").json()
    offered = tiles_of(info)
    native = {address for address, (factor, _, _) in offered.items() if factor == 1}
    page, traffic = open_manifest(pages, site, server)
    expect(page.get_by_role("heading", name=SAMPLE_ID).first).to_be_visible()
    expect(page.get_by_text(f"1 of 1 • {SAMPLE_ID}")).to_be_visible()
    with page.expect_response(lambda found: found.url.removeprefix(server.url + base) in native):
        for _ in range(3):
            page.get_by_role("button", name="Zoom in").click()
    assert traffic.failed == []
    assert set(traffic.statuses().values()) == {200}
    asked = traffic.of(base)
    assert {"manifest.json", "info.json"} <= set(asked)
    assert set(asked) - {"manifest.json", "info.json"} <= set(offered)
    for address in native & set(asked):
        assert asked[address].body() == deep_zoom_tile(server.url, SAMPLE_ID, info, offered[address]), address

    canvas = page.locator(".openseadragon-canvas")
    zoom = ENLARGED / canvas.evaluate("canvas => canvas.clientWidth")  # of the width, as OpenSeadragon has it
    there = {"x": CENTRE[0], "y": CENTRE[1], "zoom": zoom}
    show(page, site, f"{server.url}iiif/{SAMPLE_ID}/manifest.json", there)
    expect(canvas).to_be_visible()
    width, height = (side // ENLARGED for side in SEEN)
    slide = stored(server.watched / f"slide-{SAMPLE_ID}.svs", *CENTRE, width, height)
    assert slide.std() > 10  # tissue, and not bare glass
    # Enlarged, Mirador smooths; a pixel beside, it would be 7.
    assert settled(lambda: reduced(middle(canvas, *SEEN), ENLARGED), slide, 2) <= 2


def test_mirador_on_an_unlisted_site_shows_no_text_of_the_label(
    pages: Pages, site: str, server: StandaloneServer
) -> None:
    page, _ = open_manifest(pages, site, server)
    expect(page.get_by_role("heading", name="About this item")).to_be_visible()
    expect(page.locator("dl").filter(has_text="ImageID")).to_contain_text(SAMPLE_ID)
    assert CASE not in page.content()


def test_mirador_on_an_allowed_site_shows_slide_and_case_id(
    browser: Browser, site: str, small_slides: dict[str, bytes], tmp_path: Path
) -> None:
    image_id, content = next(iter(small_slides.items()))
    server = StandaloneServer(tmp_path, VSV_ALLOW_ORIGIN=site)
    server.drop("slide.svs", content)
    server.start()
    try:
        server.wait_for_slide(image_id)
        server.set(image_id, SlideID="S26-000123-A1", CaseID="S26-000123")
        pages = Pages(browser, server.url)
        page, traffic = open_manifest(pages, site, server, image_id)
        expect(page.get_by_role("heading", name="S26-000123-A1").first).to_be_visible()
        expect(page.get_by_text("1 of 1 • S26-000123-A1")).to_be_visible()
        case = page.locator("dl").filter(has_text="ImageID").get_by_text("S26-000123", exact=True)
        expect(case).to_be_visible()
        expect(page.locator(".openseadragon-canvas canvas").first).to_be_visible()
        assert set(traffic.statuses().values()) == {200}
        page.context.close()
        pages.check()
    finally:
        server.stop()
