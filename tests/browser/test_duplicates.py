"""Duplicates on the page: the marks, the filter, and the key that goes to the other slide."""

import re

from playwright.sync_api import expect

from tests.browser.conftest import Pages, Slides
from tests.browser.review import choose, edit, field, notice, row, search
from tests.browser.standalone_server import StandaloneServer


def test_same_file_under_another_name_is_marked_and_a_key_goes_to_the_other(
    own_pages: Pages, own_server: StandaloneServer, sample: bytes
) -> None:
    own_server.drop("first.svs", sample)
    own_server.drop("again.svs", sample)
    page = own_pages.open()
    marks = page.get_by_role("button", name=re.compile("^Same file as "))
    expect(marks).to_have_count(2)
    ids = [one.get_attribute("data-id") or "" for one in page.locator("tbody tr").all()]
    choose(page, ids[0])
    for other in (ids[1], ids[0]):
        page.keyboard.press("j")
        expect(row(page, other)).to_be_focused()
    row(page, ids[0]).get_by_role("button", name=f"Same file as {ids[1]}").click()
    expect(row(page, ids[1])).to_be_focused()


def test_one_slide_id_on_two_slides_is_marked_filtered_and_ended_by_a_correction(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    first, second, third = slides.take(3)
    page = pages.open()
    for image_id in (first, second):
        edit(page, image_id, "e", "S26-07777-A1")
        page.keyboard.press("Enter")
        expect(field(page, image_id, "SlideID")).to_have_text("S26-07777-A1")
    mark = row(page, first).get_by_role("button", name=f"Same ID as {second}")
    expect(mark).to_be_visible()
    expect(row(page, second).get_by_role("button", name=f"Same ID as {first}")).to_be_visible()
    chip = page.get_by_role("button", name="Duplicates", exact=True)
    chip.click()
    expect(chip).to_have_attribute("aria-pressed", "true")
    expect(row(page, third)).to_be_hidden()
    expect(row(page, first)).to_be_visible()
    edit(page, second, "e", "S26-07777-A2")
    page.keyboard.press("Enter")
    expect(mark).to_be_hidden()
    query = f'{{ getSlide(ImageID: "{first}") {{ SameIDAs }} }}'
    assert server.ask(query)["getSlide"] == {"SameIDAs": None}
    chip.click()
    choose(page, third)
    page.keyboard.press("j")
    expect(notice(page, "No other slide has the slide ID or the file of")).to_be_visible()


def test_key_lists_the_other_slide_where_the_filter_hides_it(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    first, second = slides.take(2)
    page = pages.open()
    for image_id in (first, second):
        edit(page, image_id, "e", "S26-08888-A1")
        page.keyboard.press("Enter")
        expect(field(page, image_id, "SlideID")).to_have_text("S26-08888-A1")
    search(page, f"slide-{first}")
    expect(row(page, second)).to_be_hidden()
    choose(page, first)
    page.keyboard.press("j")
    expect(row(page, second)).to_be_focused()
    expect(page.locator("#search")).to_have_value("S26-08888-A1")
