"""OpenSeadragon's own IIIF tile source, on a page of another site."""

import base64

import httpx
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import SAMPLE_ID, Pages
from tests.browser.other_viewers import SIZE, Traffic, deep_zoom_tile, other_site, tiles_of
from tests.browser.pixels import Pixels, decoded, reduced, settled, stored
from tests.browser.standalone_server import StandaloneServer
from tests.support.paths import ROOT

OPENSEADRAGON = ROOT / "web/node_modules/openseadragon/build/openseadragon/openseadragon.min.js"
CENTRE, ENLARGED = (2048, 1535.5), 4  # where four tiles meet
OPEN = """address => { window.shown = OpenSeadragon({
    id: "viewer", tileSources: address, crossOriginPolicy: "Anonymous", drawer: "canvas",
    imageSmoothingEnabled: false, maxZoomPixelRatio: 4, showNavigationControl: false,
}); }"""
DRAWN = "() => shown.world.getItemCount() === 1 && shown.world.getItemAt(0).getFullyLoaded()"
ENLARGE = """([x, y, times]) => {
    const view = shown.viewport;
    view.zoomTo(view.imageToViewportZoom(times), null, true);
    view.panTo(view.imageToViewportCoordinates(x, y), true);
}"""


def canvas(page: Page) -> Pixels:
    """Return the slide's pixels from the canvas; browsers refuse this if any tile forbids cross-origin use."""
    address = page.evaluate("() => shown.drawer.canvas.toDataURL('image/png')")
    return reduced(decoded(base64.b64decode(address.split(",")[1])), ENLARGED)


@pytest.mark.parametrize("prefix", ["iiif", "iiif/2"])
def test_openseadragon_draws_the_slides_own_pixels_from_tiles_in_info_json(
    pages: Pages, server: StandaloneServer, prefix: str
) -> None:
    base = f"{prefix}/{SAMPLE_ID}/"
    info = httpx.get(f"{server.url}{base}info.json").json()
    offered = tiles_of(info)
    page = pages.blank()
    traffic = Traffic(page, server.url)
    with other_site(OPENSEADRAGON) as origin:
        page.goto(origin)
        page.evaluate(OPEN, f"{server.url}{base}info.json")
        page.wait_for_function(DRAWN)
        page.evaluate(ENLARGE, [*CENTRE, ENLARGED])
        width, height = (side // ENLARGED for side in SIZE)
        slide = stored(server.watched / f"slide-{SAMPLE_ID}.svs", *CENTRE, width, height)
        assert slide.std() > 10  # tissue, and not bare glass
        assert settled(lambda: canvas(page), slide) <= 1

        assert traffic.failed == []
        assert set(traffic.statuses().values()) == {200}
        asked = traffic.of(base)
        assert len(asked) == len(traffic.answers)  # each once
        del asked["info.json"]
        assert set(asked) <= set(offered)
        assert {offered[address][0] for address in asked} >= {1, 4}
        for address, answer in asked.items():
            # Stored or not, a tile is one tile whichever protocol asks: at 1 and 4 the scanner's own bytes.
            assert answer.body() == deep_zoom_tile(server.url, SAMPLE_ID, info, offered[address]), address
