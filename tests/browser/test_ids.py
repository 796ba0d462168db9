"""Slide IDs on the page: the case that is filled in, a barcode gun's keys, and the choice among a label's codes."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from playwright.sync_api import Page, Route, expect

from benchmarks.label_images import code_image
from tests.browser.conftest import Pages, Slides
from tests.browser.review import choose, edit, field, in_list_order, notice, row, status
from tests.browser.standalone_server import StandaloneServer
from tests.support.slides.aperio import LIBRARY, Plan, write_slide


def ids(server: StandaloneServer, image_id: str) -> tuple[str, str]:
    slide = server.slide(image_id)
    return slide["SlideID"], slide["CaseID"]


class Answers:
    """The answers to ``idsOf`` that the test holds back, by the text that was asked for."""

    def __init__(self, page: Page) -> None:
        self.held: dict[str, Route] = {}
        page.route("**/graphql", self._asked)

    def _asked(self, route: Route) -> None:
        request = route.request.post_data_json
        if "idsOf" in request["query"]:
            self.held[request["variables"]["text"]] = route
        else:
            route.continue_()

    def wait_for(self, page: Page, text: str) -> Route:
        for _ in range(300):
            if text in self.held:
                return self.held.pop(text)
            page.wait_for_timeout(50)
        raise AssertionError(f"{text} was not asked for: {list(self.held)}")


def test_corrected_slide_id_fills_in_its_case_and_one_undo_takes_both_back(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    (image_id,) = slides.take()
    page, before = pages.open(), ids(server, image_id)
    edit(page, image_id, "e", "S26-04170-C1-CD3")
    expect(field(page, image_id, "SlideID").get_by_text("Case S26-04170")).to_be_visible()
    page.keyboard.press("Enter")
    expect(field(page, image_id, "CaseID")).to_have_text("S26-04170")
    expect(row(page, image_id)).to_be_focused()
    assert ids(server, image_id) == ("S26-04170-C1-CD3", "S26-04170")
    page.keyboard.press("Control+z")
    expect(field(page, image_id, "SlideID")).to_have_text(before[0])
    assert ids(server, image_id) == before


def test_case_can_be_changed_before_it_is_saved(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    (image_id,) = slides.take()
    page, before = pages.open(), ids(server, image_id)
    edit(page, image_id, "e", "S26-04170-C1")
    page.keyboard.press("Tab")
    case = field(page, image_id, "CaseID").locator("input")
    expect(case).to_have_value("S26-04170")
    assert ids(server, image_id) == ("S26-04170-C1", before[1])
    case.fill("S26-04170 second opinion")
    page.keyboard.press("Enter")
    expect(field(page, image_id, "CaseID")).to_have_text("S26-04170 second opinion")
    assert ids(server, image_id) == ("S26-04170-C1", "S26-04170 second opinion")


def test_slide_id_that_does_not_fit_leaves_the_case_and_says_so(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    (image_id,) = slides.take()
    page, before = pages.open(), ids(server, image_id)
    edit(page, image_id, "e", "folded corner")
    page.keyboard.press("Enter")
    expect(
        notice(page, "folded corner – it does not fit the pattern of IDs: check the case ID")
    ).to_be_visible()
    expect(row(page, image_id)).to_be_focused()
    assert ids(server, image_id) == ("folded corner", before[1])


def test_keys_of_a_barcode_gun_wait_for_the_case_of_their_own_text(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    image_ids = slides.take(2)
    page = pages.open()
    expect(row(page, image_ids[0])).to_be_visible()
    first, second = in_list_order(page, image_ids)
    answers, before = Answers(page), ids(server, second)
    edit(page, first, "e", "S26-11111-A1")
    early = answers.wait_for(page, "S26-11111-A1")  # asked for while the text was typed
    page.keyboard.press("Control+a")
    page.keyboard.type("S26-22222-B2")
    page.keyboard.press("Enter")
    late = answers.wait_for(page, "S26-22222-B2")
    early.continue_()  # the answer to the text that is no longer there
    page.keyboard.type("S26-33333-C3")  # the next scan begins too early: none of these keys is a shortcut
    page.keyboard.press("Enter")
    late.continue_()
    expect(field(page, first, "CaseID")).to_have_text("S26-22222")
    expect(field(page, first, "SlideID").locator("input")).to_have_value("S26-33333-C3")
    assert ids(server, first) == ("S26-22222-B2", "S26-22222")
    expect(status(page, first)).to_have_text("New")
    page.keyboard.press("Escape")
    expect(field(page, first, "SlideID")).to_have_text("S26-22222-B2")
    assert ids(server, second) == before


def test_arrow_pressed_while_the_case_is_looked_up_edits_the_next_slide(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    image_ids = slides.take(2)
    page = pages.open()
    expect(row(page, image_ids[0])).to_be_visible()
    first, second = in_list_order(page, image_ids)
    answers = Answers(page)
    edit(page, first, "e", "S26-11111-A1")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    answers.wait_for(page, "S26-11111-A1").continue_()
    expect(field(page, second, "SlideID").locator("input")).to_be_focused()
    assert ids(server, first) == ("S26-11111-A1", "S26-11111")


def test_escape_while_the_case_is_looked_up_saves_nothing(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    (image_id,) = slides.take()
    page, before = pages.open(), ids(server, image_id)
    answers = Answers(page)
    edit(page, image_id, "e", "S26-11111-A1")
    page.keyboard.press("Enter")
    route = answers.wait_for(page, "S26-11111-A1")
    page.keyboard.press("Escape")
    expect(row(page, image_id)).to_be_focused()
    route.continue_()
    expect(field(page, image_id, "SlideID")).to_have_text(before[0])
    assert ids(server, image_id) == before


@pytest.fixture
def two_codes(tmp_path: Path) -> bytes:
    """Return a slide whose label has a vendor's code and two accession numbers."""
    description = f"{LIBRARY}600x400 (240x240) JPEG/RGB Q=85|ImageID = 4880001"
    path = write_slide(tmp_path / "x.svs", Plan(600, 400, 240, description=description, associated="none"))
    label = Image.new("RGB", (1300, 700), "white")
    codes = (
        ("https://vendor.example/lot/1", "QR", (40, 40)),
        ("S23-12345-A1", "Code 128", (400, 60)),
        ("S23-99999-B2", "Data Matrix", (400, 400)),
    )
    for text, kind, place in codes:
        label.paste(code_image(text, kind, 2.0).convert("RGB"), place)
    with tifffile.TiffWriter(path, append=True) as tiff:
        tiff.write(
            np.asarray(label),
            photometric="rgb",
            description=f"{LIBRARY}label 1300x700",
            subfiletype=1,
            metadata=None,
        )
    return path.read_bytes()


def test_click_takes_one_of_a_labels_codes_with_its_case(
    own_pages: Pages, own_server: StandaloneServer, two_codes: bytes
) -> None:
    own_server.drop("two.svs", two_codes)
    page = own_pages.open()
    opener = row(page, "4880001").get_by_role("button", name="ID not confirmed: choose")
    expect(opener).to_be_visible()
    assert ids(own_server, "4880001") == ("4880001", "4880001")
    choose(page, "4880001")
    page.keyboard.press("i")
    vendor = page.get_by_role("menuitem", name="https://vendor.example/lot/1 (QR, does not fit the pattern)")
    expect(vendor).to_be_visible()
    page.get_by_role("menuitem", name="S23-99999-B2 (Data Matrix, case S23-99999)").click()
    expect(field(page, "4880001", "CaseID")).to_have_text("S23-99999")
    assert ids(own_server, "4880001") == ("S23-99999-B2", "S23-99999")
    expect(opener).to_be_hidden()
    page.keyboard.press("Control+z")
    expect(opener).to_be_visible()
    opener.click()
    vendor.click()
    expect(field(page, "4880001", "SlideID")).to_have_text("https://vendor.example/lot/1")
    assert ids(own_server, "4880001") == ("https://vendor.example/lot/1", "4880001")
    expect(opener).to_be_visible()
