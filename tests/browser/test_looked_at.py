"""A key marks a slide only after a look at its picture and its ID."""

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Pages, Slides
from tests.browser.review import choose, notice, row, search, status, view, wait_until_drawn
from tests.browser.standalone_server import StandaloneServer


def withhold(page: Page, pattern: str) -> list[Route]:
    """Return the requests for pictures that stay without an answer."""
    held: list[Route] = []
    page.route(pattern, lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks its handlers
    return held


def release(page: Page, held: list[Route], pattern: str) -> None:
    for route in held:
        route.continue_()
    page.unroute(pattern)


def listed(pages: Pages, text: str, withheld: str | None = None) -> tuple[Page, list[Route]]:
    page = pages.blank()
    held = withhold(page, withheld) if withheld else []
    page.goto(pages.url)
    expect(page.locator("#health")).to_have_attribute("data-health", "live")
    search(page, text)
    return page, held


def test_key_on_a_row_without_its_picture_marks_nothing_and_says_why(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    (image_id,) = slides.take()
    page, held = listed(pages, f"S{image_id}", "**/thumbnail.jpeg*")
    row(page, image_id).focus()
    page.keyboard.press("g")
    expect(notice(page, f"Not marked: S{image_id} has not been shown yet")).to_be_visible()
    assert server.slide(image_id)["Status"] == "NEW"
    release(page, held, "**/thumbnail.jpeg*")
    choose(page, image_id)
    page.keyboard.press("g")
    expect(status(page, image_id)).to_have_text("Good")


def test_shift_key_and_button_mark_a_slide_that_failed_to_show(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    first, second = slides.take(2, case="Unseen")
    pages.expect_complaint("Failed to load resource")
    page, _ = listed(pages, "Unseen")
    page.route("**/thumbnail.jpeg*", lambda route: route.abort())
    page.reload()
    row(page, first).focus()
    page.keyboard.press("b")
    expect(notice(page, "Not marked")).to_be_visible()
    page.keyboard.press("Shift+B")
    expect(status(page, first)).to_have_text("Bad")
    row(page, second).focus()
    page.locator("#actions").get_by_role("button", name="Good").click()
    expect(status(page, second)).to_have_text("Good")


def test_key_in_the_viewer_marks_only_a_slide_whose_pixels_were_drawn(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    first, second = slides.take(2, case="Drawn")
    page, _ = listed(pages, "Drawn")
    expect(page.locator("tbody tr")).to_have_count(2)
    view(page, page.locator("tbody tr").first.get_attribute("data-id") or "")
    other = page.locator("tbody tr").last.get_attribute("data-id") or ""
    held = withhold(page, f"**/{other}_files/*/*_*.jpeg*")
    page.keyboard.press("n")
    expect(page.locator(".title h1")).to_have_text(f"S{other}")
    if held:  # else it had been preloaded, and is drawn at once
        page.keyboard.press("g")
        expect(notice(page, f"Not marked: S{other} has not been shown yet")).to_be_visible()
        assert server.slide(other)["Status"] == "NEW"
        release(page, held, f"**/{other}_files/*/*_*.jpeg*")
    wait_until_drawn(page)
    page.keyboard.press("g")
    expect(notice(page, f"S{other} marked Good")).to_be_visible()
    assert {server.slide(one)["Status"] for one in (first, second)} == {"GOOD", "NEW"}


def test_unconfirmed_id_asks_once_before_good_and_not_before_bad(
    own_pages: Pages, own_server: StandaloneServer, small_slides: dict[str, bytes]
) -> None:
    content = next(iter(small_slides.values()))
    own_server.drop("photo one.svs", content)
    (image_id,) = small_slides.keys() & {next(iter(small_slides))}
    own_server.wait_for_slide(image_id)
    page = own_pages.open()
    expect(row(page, image_id).get_by_text("ID not confirmed")).to_be_visible()
    question = page.get_by_role("dialog", name="Is this ID the one on the label?")
    choose(page, image_id)
    page.keyboard.press("b")
    expect(status(page, image_id)).to_have_text("Bad")
    choose(page, image_id)
    page.keyboard.press("g")
    expect(question).to_be_visible()
    question.get_by_role("button", name="Cancel").click()
    expect(question).to_be_hidden()
    assert own_server.slide(image_id)["Status"] == "BAD"
    choose(page, image_id)
    page.keyboard.press("g")
    question.get_by_role("button", name="Mark Good").click()
    expect(status(page, image_id)).to_have_text("Good")
    choose(page, image_id)
    page.keyboard.press("u")
    expect(status(page, image_id)).to_have_text("New")
    choose(page, image_id)
    page.keyboard.press("g")
    expect(status(page, image_id)).to_have_text("Good")
    expect(question).to_be_hidden()


def test_changes_within_one_burst_are_undone_together(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    ids = slides.take(3, case="Burst")
    page, _ = listed(pages, "Burst")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.evaluate(
        """async (ids) => {
            const { mark } = await import("/editing/commands.js");
            const { knownSlide } = await import("/slide/knownslides.js");
            const [first, second] = ids.map(knownSlide);
            await Promise.all([mark([first], "BAD"), mark([second], "GOOD"), mark([first], "GOOD")]);
        }""",
        ids,
    )
    assert [server.slide(one)["Status"] for one in ids] == ["GOOD", "GOOD", "NEW"]
    choose(page, ids[2])
    page.keyboard.press("Control+z")
    expect(notice(page, "Undone: 2 slides")).to_be_visible()
    assert [server.slide(one)["Status"] for one in ids] == ["NEW", "NEW", "NEW"]
