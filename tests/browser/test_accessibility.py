"""axe-core on every state of the page, and the page without a mouse."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SAMPLE_ID, Pages, Slides
from tests.browser.review import choose, edit, field, press, row, view, violations
from tests.browser.standalone_server import StandaloneServer
from tests.support.paths import ROOT


@pytest.fixture(scope="session")
def axe() -> str:
    return (ROOT / "web/node_modules/axe-core/axe.min.js").read_text()


def test_table_and_its_dialogs_have_no_axe_violations(
    pages: Pages, slides: Slides, server: StandaloneServer, axe: str
) -> None:
    (image_id,) = slides.take()
    page = pages.open()
    expect(row(page, image_id)).to_be_visible()
    assert violations(page, axe) == []

    row(page, image_id).get_by_role("checkbox").check()
    choose(page, SAMPLE_ID)
    assert violations(page, axe) == []
    row(page, image_id).get_by_role("checkbox").uncheck()

    for key in ("?", "l", "Delete"):
        choose(page, SAMPLE_ID)
        page.keyboard.press(key)
        expect(page.get_by_role("dialog")).to_be_visible()
        assert violations(page, axe) == [], key
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)

    edit(page, image_id, "e", "mine")
    assert violations(page, axe) == []
    server.set(image_id, SlideID="theirs")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page, axe) == []
    page.get_by_role("button", name="Keep theirs").click()
    expect(field(page, image_id, "SlideID")).to_have_text("theirs")


def test_empty_table_has_no_axe_violations(own_pages: Pages, axe: str) -> None:
    page = own_pages.open()
    expect(page.get_by_text("No slides yet")).to_be_visible()
    assert violations(page, axe) == []


def test_failed_import_list_has_no_axe_violations(pages: Pages, server: StandaloneServer, axe: str) -> None:
    server.drop("axe.svs", b"no slide at all")
    page = pages.open()
    expect(page.locator("#import-list li", has_text="axe.svs")).to_contain_text("Failed")
    assert violations(page, axe) == []


def test_viewer_has_no_axe_violations(pages: Pages, slides: Slides, axe: str) -> None:
    (image_id,) = slides.take()
    page = pages.open()
    view(page, SAMPLE_ID)
    press(page, "l", "m")
    assert violations(page, axe) == []
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    assert violations(page, axe) == []
    page.goto(f"{pages.url}#/view/{SAMPLE_ID}/{image_id}?on=2&layout=one")
    expect(page.locator(".title h1")).to_have_text(f"S{image_id}")
    assert violations(page, axe) == []


def test_tab_moves_focus_through_a_row_and_out_of_the_table(pages: Pages, slides: Slides) -> None:
    (image_id,) = slides.take()
    page = pages.open()
    choose(page, image_id)
    for _ in range(8):
        page.keyboard.press("Tab")
        if _is_in_row(page, image_id) is False:
            break
    assert _is_in_row(page, image_id) is False, "Tab must leave the row after its own parts"
    choose(page, image_id)
    for _ in range(60):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.id") == "search":
            return
    raise AssertionError("Shift+Tab never came to the search")


def test_tab_in_the_viewer_never_focuses_the_list(pages: Pages) -> None:
    page = pages.open()
    view(page, SAMPLE_ID)
    for _ in range(50):
        page.keyboard.press("Tab")
        assert page.evaluate("document.getElementById('list').contains(document.activeElement)") is False


def test_disabled_single_letter_shortcuts_leave_other_keys_working(pages: Pages, slides: Slides) -> None:
    (image_id,) = slides.take()
    page = pages.open()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    page.get_by_label("Enable single-letter shortcuts").uncheck()
    page.keyboard.press("Escape")
    choose(page, image_id)
    page.keyboard.press("e")
    expect(page.locator("tbody input[type=text]")).to_have_count(0)
    page.keyboard.press("F2")
    expect(page.locator("tbody input[type=text]")).to_be_focused()


def _is_in_row(page: Page, image_id: str) -> bool:
    inside: bool = page.evaluate(
        "id => document.querySelector(`tr[data-id='${id}']`).contains(document.activeElement)", image_id
    )
    return inside
