"""A barcode scanner types its codes as key presses: they find slides, and never act as shortcuts."""

import os
import random
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Pages, Slides
from tests.browser.review import choose, edit, field, notice, row, search, status, view
from tests.browser.standalone_server import StandaloneServer

CODES = int(os.environ.get("SCANNED_CODES", "40"))  # 1,000 before a release: each takes a quarter of a second
PAUSES_MS = (5, 15, 30, 60)
LETTERS = "ABCDEGMNPRSUVXabcdegmnprsuvx"  # of shortcuts, most of them
ALPHABET = LETTERS + "0123456789-/.,+? "
CHANGES = (
    "query Changes { countSlides { Status count } listSlides(limit: 1000) { items { ImageID Version } } }"
)


# A scanner with exact pauses, however busy the machine is. What inputs and buttons do by themselves is missing.
SCANNER = """({code, pause, suffix}) => new Promise((done) => {
  const keys = [...code, suffix];
  const begin = performance.now();
  const press = (at) => {
    for (const type of ["keydown", "keyup"]) {
      const event = new KeyboardEvent(type, { key: keys[at], code: `Key${at}`, bubbles: true, cancelable: true });
      Object.defineProperty(event, "timeStamp", { value: begin + at * pause });
      (document.activeElement ?? document.body).dispatchEvent(event);
    }
    if (at + 1 < keys.length) setTimeout(press, pause, at + 1);
    else done();
  };
  press(0);
})"""


def patient(pages: Pages) -> Page:
    """Open a page that waits long for a scanner's next key: a busy machine may hold a key back."""
    page = pages.blank()
    page.add_init_script("localStorage.setItem('review.scanPause', '500')")
    page.goto(pages.url)
    expect(page.locator("#health")).to_have_attribute("data-health", "live")
    return page


def scan(page: Page, code: str, delay_ms: int = 5, suffix: str | None = "Enter") -> None:
    page.keyboard.type(code, delay=delay_ms)
    if suffix is not None:
        page.keyboard.press(suffix)


def versions(server: StandaloneServer) -> Any:
    return server.ask(CHANGES)


def random_code(source: random.Random) -> str:
    inside = "".join(source.choices(ALPHABET, k=source.randint(4, 14)))
    return source.choice(LETTERS) + inside + source.choice("0123456789")


def test_scanned_slide_id_becomes_the_current_row_and_changes_nothing(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    first, second = slides.take(2)
    server.set(first, SlideID="B26-000123-A1")
    page = patient(pages)
    choose(page, second)
    before = versions(server)
    scan(page, "B26-000123-A1")
    expect(row(page, first)).to_be_focused()
    expect(page.locator("#viewer")).to_be_hidden()
    assert versions(server) == before


@pytest.mark.parametrize("suffix", ["Enter", "Tab", None])
def test_scanned_code_is_found_with_each_suffix_and_without_shift(
    pages: Pages, slides: Slides, server: StandaloneServer, suffix: str | None
) -> None:
    first, second = slides.take(2)
    server.set(first, SlideID=f"GNB-{first}-X")
    page = patient(pages)
    choose(page, second)
    scan(page, f"gnb-{first}-x", suffix=suffix)
    expect(row(page, first)).to_be_focused()
    assert server.slide(second)["Status"] == "NEW"


def test_scan_clears_the_selection_so_that_the_next_key_marks_the_scanned_slide_alone(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    first, second, third = slides.take(3)
    page = patient(pages)
    for image_id in (second, third):
        row(page, image_id).get_by_role("checkbox").check()
    scan(page, f"S{first}")
    expect(row(page, first)).to_be_focused()
    page.keyboard.press("g")
    expect(status(page, first)).to_have_text("Good")
    assert [server.slide(one)["Status"] for one in (second, third)] == ["NEW", "NEW"]


def test_scan_of_a_filtered_out_slide_lists_the_slide(pages: Pages, slides: Slides) -> None:
    first, second = slides.take(2)
    page = patient(pages)
    search(page, f"S{second}")
    expect(row(page, first)).to_have_count(0)
    row(page, second).focus()
    scan(page, f"S{first}")
    expect(row(page, first)).to_be_focused()


def test_scanned_case_lists_the_slides_of_the_case(pages: Pages, slides: Slides) -> None:
    ids = slides.take(2, case="S26-777")
    page = patient(pages)
    choose(page, ids[0])
    scan(page, "S26-777")
    expect(notice(page, "2 slides have the code S26-777")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(2)


def test_unknown_code_is_told_with_the_code(pages: Pages, slides: Slides, server: StandaloneServer) -> None:
    (image_id,) = slides.take()
    page = patient(pages)
    choose(page, image_id)
    scan(page, "https://vendor.example/LOT-7")
    expect(notice(page, "No slide has the code https://vendor.example/LOT-7.")).to_be_visible()
    expect(row(page, image_id)).to_be_focused()
    assert server.slide(image_id)["Status"] == "NEW"


def test_scan_in_the_viewer_opens_the_scanned_slide(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    first, second = slides.take(2)
    page = patient(pages)
    view(page, first)
    scan(page, f"S{second}")
    expect(page.locator(".title h1")).to_have_text(f"S{second}")
    assert server.slide(first)["Status"] == "NEW"


def test_scan_over_a_question_does_not_answer_the_question(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    first, second = slides.take(2)
    page = patient(pages)
    choose(page, first)
    page.keyboard.press("Delete")
    expect(page.get_by_role("dialog", name="Delete this slide?")).to_be_visible()
    scan(page, f"S{second}")
    expect(row(page, second)).to_be_focused()
    expect(page.locator("dialog")).to_have_count(0)
    assert server.slide(first)["Status"] == "NEW"


def test_scan_in_the_search_field_finds_the_slide_and_restores_the_field(
    pages: Pages, slides: Slides
) -> None:
    first, second = slides.take(2)
    page = patient(pages)
    search(page, "S5")
    expect(row(page, second)).to_be_visible()
    page.locator("#search").focus()
    page.keyboard.press("End")
    scan(page, f"S{first}")
    expect(row(page, first)).to_be_focused()
    expect(page.locator("#search")).to_have_value("S5")


def test_scan_into_the_empty_search_field_goes_to_the_slide(pages: Pages, slides: Slides) -> None:
    first, second = slides.take(2)
    page = patient(pages)
    expect(row(page, second)).to_be_visible()
    page.keyboard.press("/")
    scan(page, f"S{first}")
    expect(row(page, first)).to_be_focused()
    expect(page.locator("tbody tr")).to_have_count(1)


def test_scan_into_the_slide_id_editor_is_the_new_slide_id(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    (image_id,) = slides.take()
    page = patient(pages)
    edit(page, image_id, "e", "")
    scan(page, f"B26-{image_id}-A1")
    expect(field(page, image_id, "SlideID")).to_have_text(f"B26-{image_id}-A1")
    assert server.slide(image_id)["Status"] == "NEW"


def test_scan_into_a_note_finds_the_slide_and_leaves_the_note(pages: Pages, slides: Slides) -> None:
    first, second = slides.take(2)
    page = patient(pages)
    edit(page, first, "t", "")
    scan(page, f"S{second}")
    expect(row(page, second)).to_be_focused()
    expect(row(page, first)).not_to_contain_text(f"S{second}")


def test_code_without_the_scanners_own_prefix_is_looked_up(pages: Pages, slides: Slides) -> None:
    (image_id,) = slides.take()
    page = patient(pages)
    page.keyboard.press("?")
    page.get_by_label("Characters before each code").fill("]C1")
    page.get_by_label("Characters after each code").fill("%")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    scan(page, f"]C1S{image_id}%")
    expect(row(page, image_id)).to_be_focused()


def test_two_keys_at_once_are_ignored_and_told(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    (image_id,) = slides.take()
    page = patient(pages)
    choose(page, image_id)
    page.keyboard.type("bg")
    expect(notice(page, "Ignored: b g")).to_be_visible()
    assert server.slide(image_id)["Status"] == "NEW"


def test_keys_are_refused_while_a_code_is_looked_up(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    first, second = slides.take(2)
    page = patient(pages)
    choose(page, first)
    waiting: list[Any] = []

    def hold(route: Any) -> None:
        if "searchSlides" in (route.request.post_data or ""):
            waiting.append(route)
        else:
            route.continue_()

    page.route("**/graphql", hold)
    scan(page, f"S{second}")
    page.wait_for_timeout(600)  # longer than the pause before a single key acts
    page.keyboard.press("b")
    expect(notice(page, f"Still looking for S{second}")).to_be_visible()
    for route in waiting:
        route.continue_()
    expect(row(page, second)).to_be_focused()
    assert [server.slide(one)["Status"] for one in (first, second)] == ["NEW", "NEW"]


def test_held_key_marks_one_slide(pages: Pages, slides: Slides, server: StandaloneServer) -> None:
    ids = slides.take(3, case="Held")
    page = patient(pages)
    search(page, "Held")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.locator("tbody tr").first.focus()
    for _ in range(20):
        page.keyboard.down("g")  # pressed again while down: auto-repeat
    page.keyboard.up("g")
    expect(page.locator("tbody tr:focus")).to_have_count(1)
    expect(page.locator('tbody tr[data-status="GOOD"]')).to_have_count(1)
    page.wait_for_timeout(300)
    assert sorted(server.slide(one)["Status"] for one in ids) == ["GOOD", "NEW", "NEW"]


def test_random_codes_change_nothing_and_known_codes_are_found(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    source = random.Random(20261130)
    ids = slides.take(4)
    known = {random_code(source).strip(): image_id for image_id in ids}
    for code, image_id in known.items():
        server.set(image_id, SlideID=code)
    page = pages.open()
    view(page, ids[0])
    before = versions(server)
    for number in range(CODES):
        if number == CODES // 2:
            page.keyboard.press("Escape")
            expect(page.locator("#viewer")).to_be_hidden()
        is_known = number % 4 == 0
        code = source.choice(list(known)) if is_known else random_code(source)
        page.evaluate(SCANNER, {"code": code, "pause": source.choice(PAUSES_MS), "suffix": "Enter"})
        if not is_known:
            expect(notice(page, f"No slide has the code {' '.join(code.split())}.")).to_be_visible()
            page.locator(".notice.failure button").last.click()
        elif number < CODES // 2:
            expect(page.locator(".title h1")).to_have_text(re.compile(re.escape(" ".join(code.split()))))
        else:
            expect(row(page, known[code])).to_be_focused()
    assert versions(server) == before
