"""Draws the pictures of docs/: python -m tests.browser.screenshots. Not a test.

The slides are the sample slide under other names, with labels that say so; no patient is behind any of them. Those of
the README also show the public slide CMU-1-Small-Region.svs, where it is at hand.
"""

import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.review import choose, edit, row, view, wait_until_drawn
from tests.browser.standalone_server import StandaloneServer, with_image_id
from tests.browser.test_life import job, pretend
from tests.support.paths import ROOT
from vsv_local.sample import slide
from vsv_local.sample.tissue import paint_tissue

SIZES = {"1366": (1366, 768), "1920": (1920, 1080)}
CASES = [
    "S26-004711-A1",
    "S26-004711-A2",
    "S26-004711-B1",
    "S26-004712-A1",
    "S26-004713-A1",
    "S26-004713-A2",
    "S26-004714-A1",
    "S26-004715-A1",
    "S26-004715-B1",
    "S26-004716-A1",
    "S26-004717-A1",
    "S26-004718-A1",
]
REAL_SLIDE, REAL_ID = ROOT.parent / "shared/data/CMU-1-Small-Region.svs", "1004486"
ORIGINAL = slide.SLIDE_ID, slide.paint_tissue
STATUSES = {1: "GOOD", 2: "GOOD", 4: "BAD", 5: "GOOD", 7: "SENT", 9: "GOOD"}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = StandaloneServer(Path(folder))
        _fill(server, Path(folder))
        server.start()
        ids = [str(6_000_001 + at) for at in range(len(CASES))]
        for image_id in ids:
            server.wait_for_slide(image_id)
        _review(server, ids)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, (width, height) in SIZES.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(server.url)
            _table(page, ids, name)
            _viewer(page, ids, name)
            page.close()
        _life(browser.new_page(viewport={"width": 1366, "height": 768}), server.url, ids)
        server.stop()
        if REAL_SLIDE.exists():
            _readme(browser, Path(folder) / "readme")
        browser.close()


def _readme(browser: Browser, folder: Path) -> None:
    folder.mkdir()
    server = StandaloneServer(folder)
    slide.SLIDE_ID, slide.paint_tissue = ORIGINAL  # type: ignore[misc]
    slide.write_sample_slide(folder / "sample.svs")
    server.drop("sample.svs", with_image_id((folder / "sample.svs").read_bytes(), "2000001"))
    server.drop(REAL_SLIDE.name, REAL_SLIDE.read_bytes())
    server.start()
    for image_id in ("2000001", REAL_ID):
        server.wait_for_slide(image_id)
    page = browser.new_page(viewport={"width": 1366, "height": 441})
    page.goto(server.url)
    expect(page.locator("#imports")).to_be_hidden(timeout=60_000)
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("#health")).to_have_attribute("data-health", "live")
    _still(page)
    page.screenshot(path=ROOT / "docs/slides.png")
    page.set_viewport_size({"width": 1366, "height": 768})
    page.goto(f"{server.url}#/view/{REAL_ID}@1124.0,1485.0,0.8,0")
    wait_until_drawn(page)
    _still(page)
    _photograph(page, "viewer")
    page.close()
    server.stop()


def _fill(server: StandaloneServer, folder: Path) -> None:
    tissue = paint_tissue(4000, 3000)
    for at, name in enumerate(CASES):
        turned = np.ascontiguousarray(tissue[:: (-1) ** at, :: (-1) ** (at // 2)])
        slide.SLIDE_ID = name
        slide.paint_tissue = lambda width, height, turned=turned: turned  # type: ignore[assignment]
        slide.write_sample_slide(folder / "made.svs")
        content = with_image_id((folder / "made.svs").read_bytes(), str(6_000_001 + at))
        time = f"Time = {9 + at // 6:02}:{at * 7 % 60:02}:00".encode()
        server.drop(f"{name}.svs", content.replace(b"Time = 09:30:00", time))
    whole = (folder / "made.svs").read_bytes()
    server.drop("S26-004719-A1.svs", whole[: len(whole) * 2 // 3])


def _review(server: StandaloneServer, ids: list[str]) -> None:
    for at, status in STATUSES.items():
        if status == "SENT":
            server.set(ids[at], Status="GOOD")
        server.set(ids[at], Status=status)
    server.set(ids[4], Note="out of focus at the left edge: scan again", Reviewer="M. Weber")
    server.set(ids[9], Reviewer="M. Weber")
    server.set(ids[6], SlideID="S26-0047I4-A1")  # misread: it is what the screenshot mends


def _table(page: Page, ids: list[str], name: str) -> None:
    expect(page.locator("#health")).to_have_attribute("data-health", "live")
    expect(page.locator("#import-list li.failed")).to_be_visible(timeout=20_000)
    page.wait_for_function(
        "() => [...document.querySelectorAll('tbody img')].slice(0, 14).every((img) => img.complete)"
    )
    choose(page, ids[9])
    page.screenshot(path=ROOT / f"docs/review-table-{name}.png")
    if name == "1366":
        edit(page, ids[6], "e", "S26-004714-A1")
        expect(page.locator("#label-aid img")).to_be_visible()
        page.wait_for_function("() => document.querySelector('#label-aid img').complete")
        page.screenshot(path=ROOT / "docs/review-editing-1366.png")
        page.keyboard.press("Escape")


def _life(page: Page, url: str, ids: list[str]) -> None:
    slides = {
        ids[8]: {"Status": "PUBLISHED", "PublishedAs": "STUDY-7"},
        ids[6]: {"Predecessor": "5998120"},
        ids[11]: {"Status": "ARCHIVED", "Original": "ARCHIVED"},
        ids[10]: {"Status": "ARCHIVED", "Original": "RESTORING"},
        ids[5]: {"Delivery": "WAITING"},
        ids[7]: {"Status": "GOOD", "Delivery": "FAILED"},
    }
    jobs = [
        job(ids[7], "SEND", "FAILED", Error="the registry refused it: it knows no such case"),
        job(ids[10], "RESTORE", "WAITING", ExpectedAt="2099-11-22T12:30:00Z"),
        job(ids[9], "PUBLISH", "WAITING", Name="STUDY-8"),
        job(ids[5], "SEND", "WAITING"),
    ]
    pretend(page, slides, jobs)
    page.goto(url)
    expect(page.locator("#jobs")).to_be_visible()
    page.wait_for_function(
        "() => [...document.querySelectorAll('tbody img')].slice(0, 14).every((img) => img.complete)"
    )
    choose(page, ids[7])
    page.keyboard.press("m")
    expect(page.get_by_role("menu")).to_be_visible()
    _still(page)
    page.screenshot(path=ROOT / "docs/review-life-1366.png")
    page.unroute_all(behavior="wait")
    page.close()


def _viewer(page: Page, ids: list[str], name: str) -> None:
    view(page, ids[9])
    page.keyboard.press("4")
    expect(page.locator(".scale .power")).to_have_text("10×")
    page.keyboard.press("l")
    page.wait_for_function("() => document.querySelector('.label-panel img').complete")
    page.keyboard.press("m")
    page.mouse.move(720, 300)
    page.mouse.down()
    page.mouse.move(960, 420)
    page.mouse.up()
    _still(page)
    _photograph(page, f"review-viewer-{name}")
    page.keyboard.press("Escape")
    page.keyboard.press("l")
    page.keyboard.press("Escape")
    for image_id in ids[8:10]:
        row(page, image_id).get_by_role("checkbox").check()
    page.locator("#actions").get_by_role("button", name="View").click()
    wait_until_drawn(page, panes=2)
    _still(page)
    if name == "1366":
        _photograph(page, "review-beside-1366")


def _photograph(page: Page, name: str) -> None:
    """Take a picture that is mostly tissue: as PNG it would be megabytes."""
    page.screenshot(path=ROOT / f"docs/{name}.jpg", type="jpeg", quality=82)


def _still(page: Page) -> None:
    before = b""
    while (now := page.screenshot()) != before:
        before = now


if __name__ == "__main__":
    main()
