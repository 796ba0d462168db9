import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SAMPLE_ID, Pages, Slides
from tests.browser.pixels import Pixels, difference, middle, settled, stored
from tests.browser.review import choose, in_list_order, notice, press, row, view, wait_until_drawn
from tests.browser.standalone_server import StandaloneServer, with_image_id
from tests.support.paths import ROOT
from tests.support.slides.damaged import zeroed

REAL = ROOT.parent / "shared/data/CMU-1-Small-Region.svs"
REAL_ID = "1004486"
VIEW = re.compile(r"@([\d.-]+),([\d.-]+),([\d.]+),(\d+)")


def shown(page: Page, width_px: int, height_px: int) -> Pixels:
    """Return a screenshot of the middle of the canvas."""
    return middle(page.locator(".stage"), width_px, height_px)


def view_in(page: Page) -> tuple[float, float, float, int]:
    """Return centre, zoom and rotation from the page's address."""
    found = VIEW.search(page.url)
    assert found is not None, page.url
    return float(found[1]), float(found[2]), float(found[3]), int(found[4])


@pytest.mark.parametrize(("image_id", "name"), [(SAMPLE_ID, f"slide-{SAMPLE_ID}.svs"), (REAL_ID, REAL.name)])
def test_viewer_at_full_zoom_shows_the_slides_own_pixels(
    pages: Pages, server: StandaloneServer, image_id: str, name: str
) -> None:
    if image_id == REAL_ID:
        if not REAL.is_file():
            pytest.skip(f"{REAL} is not here")
        server.drop(REAL.name, REAL.read_bytes())
        server.wait_for_slide(REAL_ID)
    page = pages.open()
    view(page, image_id)
    page.keyboard.press("5")
    expect(page.get_by_role("button", name="20×")).to_have_attribute("aria-pressed", "true")
    page.wait_for_function("() => /@[^,]+,[^,]+,1,0/.test(location.hash)")
    page.keyboard.press("o")  # the navigator would lie on the picture
    x, y, zoom, _ = view_in(page)
    assert zoom == 1
    slide = stored(server.watched / name, x, y, 600, 400)
    assert slide.std() > 10  # tissue, and not bare glass
    # No scaling, no shift by half a pixel: what OpenSlide decodes is what is seen.
    assert settled(lambda: shown(page, 600, 400), slide) <= 1


def test_magnification_above_that_of_the_slide_is_disabled(pages: Pages) -> None:
    page = pages.open()
    view(page, SAMPLE_ID)
    for step in ("1×", "2.5×", "5×", "10×", "20×"):
        expect(page.get_by_role("button", name=step, exact=True)).to_be_enabled()
    expect(page.get_by_role("button", name="40×", exact=True)).to_be_disabled()
    page.keyboard.press("4")
    expect(page.locator(".scale .power")).to_have_text("10×")
    page.keyboard.press("1")
    expect(page.locator(".scale .power")).to_have_text("1×")


def test_scale_bar_has_the_length_of_its_label(pages: Pages) -> None:
    page = pages.open()
    view(page, SAMPLE_ID)
    page.keyboard.press("5")
    expect(page.locator(".scale .power")).to_have_text("20×")
    expect(page.locator(".scale .length")).to_have_text("50 µm")
    box = page.locator(".scale .bar").bounding_box()
    assert box is not None
    assert box["width"] == pytest.approx(50 / 0.499, abs=1)


def test_ruler_measures_by_mouse_and_keys_and_escape_hides_the_ruler(pages: Pages) -> None:
    page = pages.open()
    view(page, SAMPLE_ID)
    page.keyboard.press("5")
    expect(page.locator(".scale .power")).to_have_text("20×")
    press(page, "m")
    page.mouse.move(500, 300)
    page.mouse.down()
    page.mouse.move(800, 700)
    page.mouse.up()
    length = page.locator(".ruler .length")
    assert page.evaluate("getSelection().toString()") == ""
    expect(length).to_have_text("249.5 µm")  # 300 and 400 pixels are 500, of 0.499 µm each
    page.keyboard.press("3")
    expect(page.locator(".scale .power")).to_have_text("5×")
    expect(length).to_have_text("249.5 µm")
    page.keyboard.press("Escape")
    expect(length).to_be_hidden()
    expect(page.locator("#viewer")).to_be_visible()

    page.keyboard.press("m")
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    expect(length).to_have_text("199.6 µm")  # 100 pixels of the screen, at 5×
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    expect(row(page, SAMPLE_ID)).to_be_focused()


def test_leaving_the_viewer_is_not_reverted_by_a_late_frame(pages: Pages) -> None:
    page = pages.open()
    view(page, SAMPLE_ID)
    # The browser tells later that the address has changed; until then a frame may be drawn, here for the ruler.
    page.evaluate("""async () => {
        const { acts } = await import("/viewer/viewer.js");
        acts.leave();
        acts.toggleRuler();
    }""")
    expect(page.locator("#viewer")).to_be_hidden()
    assert not page.evaluate("location.hash")


def test_link_reopens_the_exact_view(pages: Pages) -> None:
    page = pages.open()
    view(page, SAMPLE_ID)
    page.keyboard.press("4")
    expect(page.locator(".scale .power")).to_have_text("10×")
    page.keyboard.press("r")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => /,0.5,90$/.test(location.hash)")
    page.wait_for_function(
        "() => { const now = location.hash, same = window.before === now; window.before = now; return same; }",
        polling=400,
    )
    before, address = view_in(page), page.url
    other = pages.blank()
    other.goto(address)
    wait_until_drawn(other)
    expect(other.locator(".scale .power")).to_have_text("10×")
    assert view_in(other) == pytest.approx(before, abs=0.2)
    assert difference(shown(page, 500, 400), shown(other, 500, 400)) < 2


def test_viewer_preloads_the_next_slide(pages: Pages, slides: Slides) -> None:
    ids = slides.take(2)
    page = pages.open()
    expect(row(page, ids[0])).to_be_visible()
    first, second = in_list_order(page, ids)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with page.expect_request(re.compile(f"/DeepZoom/{second}_files/\\d+/0_0")):
        view(page, first)
    page.keyboard.press("n")
    expect(page.locator(".title h1")).to_have_text(f"S{second}")
    wait_until_drawn(page)
    assert sum(f"/DeepZoom/{second}.dzi" in url for url in asked) == 1
    page.keyboard.press("p")
    expect(page.locator(".title h1")).to_have_text(f"S{first}")


def test_viewer_keeps_the_view_of_each_slide(pages: Pages, slides: Slides) -> None:
    ids = slides.take(2)
    page = pages.open()
    expect(row(page, ids[0])).to_be_visible()
    first, _ = in_list_order(page, ids)
    view(page, first)
    page.keyboard.press("5")
    expect(page.locator(".scale .power")).to_have_text("20×")
    page.wait_for_function("() => location.hash.includes('@')")
    before = view_in(page)
    page.keyboard.press("n")
    wait_until_drawn(page)
    expect(page.locator(".scale .power")).not_to_have_text("20×")
    page.keyboard.press("p")
    expect(page.locator(".scale .power")).to_have_text("20×")
    page.wait_for_function("() => location.hash.includes('@')")
    assert view_in(page) == pytest.approx(before, abs=0.2)


def test_viewer_shows_selected_slides_side_by_side_or_singly(pages: Pages, slides: Slides) -> None:
    ids = slides.take(2)
    page = pages.open()
    for image_id in ids:
        row(page, image_id).get_by_role("checkbox").check()
    page.locator("#actions").get_by_role("button", name="View").click()
    wait_until_drawn(page, panes=2)
    first, second = in_list_order(page, ids)
    expect(page.locator(".pane .caption b")).to_have_text([f"S{first}", f"S{second}"])
    page.keyboard.press(".")
    expect(page.locator(".title h1")).to_have_text(f"S{second}")
    page.keyboard.press("v")
    wait_until_drawn(page, panes=1)
    expect(page.get_by_role("navigation", name="Open slides").get_by_role("button")).to_have_count(2)
    page.keyboard.press(",")
    expect(page.locator(".title h1")).to_have_text(f"S{first}")
    page.reload()
    wait_until_drawn(page, panes=1)
    expect(page.locator(".title h1")).to_have_text(f"S{first}")
    page.keyboard.press("v")
    wait_until_drawn(page, panes=2)
    page.keyboard.press("x")
    wait_until_drawn(page, panes=1)
    expect(page.locator(".title h1")).to_have_text(f"S{second}")


def test_viewer_saves_id_and_status_changes_and_moves_to_the_next_slide(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    ids = slides.take(2)
    page = pages.open()
    expect(row(page, ids[0])).to_be_visible()
    first, second = in_list_order(page, ids)
    view(page, first)
    page.keyboard.press("e")
    expect(page.locator(".title input:focus")).to_be_visible()
    page.keyboard.type("read off the label")
    page.keyboard.press("Enter")
    expect(page.locator(".title h1")).to_have_text("read off the label")
    page.keyboard.press("b")
    expect(page.locator(".title h1")).to_have_text(f"S{second}")
    expect(notice(page, "read off the label marked Bad")).to_be_visible()
    found = server.slide(first)
    assert (found["SlideID"], found["Status"]) == ("read off the label", "BAD")
    server.set(second, Status="GOOD")  # somebody else
    expect(page.locator(".title").get_by_role("button", name="Good")).to_have_attribute(
        "aria-pressed", "true"
    )
    page.keyboard.press("Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".title h1")).not_to_have_text(f"S{second}")
    assert server.slide(second)["Status"] == "DELETED"


def test_keys_toggle_label_and_navigator(pages: Pages) -> None:
    page = pages.open()
    view(page, SAMPLE_ID)
    expect(page.locator(".label-panel")).to_be_hidden()
    page.keyboard.press("l")
    expect(page.locator(".label-panel img").first).to_be_visible()
    expect(page.locator(".navigator")).to_be_visible()
    page.keyboard.press("o")
    expect(page.locator(".navigator")).to_be_hidden()


def test_viewer_reports_a_missing_label_and_a_missing_slide(pages: Pages, slides: Slides) -> None:
    (image_id,) = slides.take()
    page = pages.open()
    expect(row(page, image_id)).to_contain_text("No label")
    view(page, image_id)
    page.keyboard.press("l")
    expect(page.locator(".label-panel")).to_contain_text("No label")
    other = pages.blank()
    other.goto(f"{pages.url}#/view/{'no%2Fsuch%20slide'}")
    expect(other.get_by_text("Slide no/such slide not found.")).to_be_visible()
    other.keyboard.press("Escape")
    expect(other.locator("#viewer")).to_be_hidden()
    choose(other, image_id)


def test_damaged_tiles_are_outlined_where_they_are_and_told_in_table_and_title(
    pages: Pages, server: StandaloneServer, sample: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "damaged.svs"
    path.write_bytes(with_image_id(sample, "4900077"))
    zeroed(path, 0, 0)
    server.drop("damaged.svs", path.read_bytes())
    server.wait_for_slide("4900077")
    page = pages.open()
    expect(row(page, "4900077").get_by_text("1 tile is damaged")).to_be_visible()
    view(page, "4900077")
    expect(page.locator(".title .about")).to_contain_text("1 tile is damaged")
    outline = page.locator(".damage .line")
    expect(outline).to_be_visible()
    left, top, width, height = map(int, re.findall(r"\d+", str(outline.get_attribute("d")))[:4])
    assert (left, top, width, height) == (0, 0, 256, 256)
    page.keyboard.press("5")
    page.wait_for_function("() => /@[^,]+,[^,]+,1,0/.test(location.hash)")
    x, y, _zoom, _ = view_in(page)
    box, stage = outline.bounding_box(), page.locator(".stage").bounding_box()
    assert box is not None
    assert stage is not None
    # Centres are compared: the browser's box of a path includes the path's own line.
    found = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    right = stage["x"] + stage["width"] / 2 + 128 - x, stage["y"] + stage["height"] / 2 + 128 - y
    assert found == pytest.approx(right, abs=1.5)
