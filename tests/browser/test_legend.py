"""The viewer's legend: a slide's channels in their colours, and why a profile is not used."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SMALL, Pages
from tests.browser.pixels import middle
from tests.browser.review import view
from tests.browser.standalone_server import StandaloneServer, with_image_id
from tests.support.slides.aperio import write_slide
from tests.support.slides.channels import APERIO, deep, write


@pytest.fixture
def slides(own_server: StandaloneServer, tmp_path: Path) -> None:
    """Import a slide of three channels of 12 bits, one with a damaged profile, and one with neither."""
    samples = np.stack([deep(seed) for seed in (0, 3, 5)], axis=-1)
    more = {"planarconfig": "contig", "extrasamples": ["unspecified"] * 2}
    channels = write(tmp_path / "a", samples, description=APERIO.replace("1004486", "7000001"), **more)
    damaged = write_slide(tmp_path / "b", replace(SMALL, icc=b"damaged" * 100)).read_bytes()
    plain = write_slide(tmp_path / "c", SMALL).read_bytes()
    for image_id, content in (
        ("7000001", channels.read_bytes()),
        ("7000002", with_image_id(damaged, "7000002")),
        ("7000003", with_image_id(plain, "7000003")),
    ):
        own_server.drop(f"{image_id}.svs", content)
    for image_id in ("7000001", "7000002", "7000003"):
        own_server.wait_for_slide(image_id)


@pytest.mark.usefixtures("slides")
def test_legend_names_channels_and_unusable_profiles(own_pages: Pages) -> None:
    page = own_pages.open()
    legend = page.locator(".legend")
    view(page, "7000001")
    expect(legend.locator("li")).to_have_count(3)
    expect(legend.locator("li").nth(1)).to_contain_text("Channel 2")
    expect(legend.locator(".swatch").nth(1)).to_have_css("background-color", "rgb(0, 255, 0)")
    expect(legend.locator("p")).to_be_hidden()
    assert middle(page.locator(".stage"), 200, 200).std() > 20
    page = own_pages.open()
    view(page, "7000002")
    expect(page.locator(".legend")).to_have_text(
        "Colours as stored: the ICC profile is damaged, or not one of RGB."
    )
    page = own_pages.open()
    view(page, "7000003")
    expect(page.locator(".legend")).to_be_hidden()
