"""Fixtures: a browser, a server, and pages that fail their test when their console reports an error."""

import re
import shutil
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.browser.standalone_server import StandaloneServer, with_image_id
from tests.support.paths import ROOT
from tests.support.slides.aperio import Plan, write_slide
from vsv_local.sample.slide import write_sample_slide

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: scripts/setup dev")

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT_MS = 15_000
SAMPLE_ID = "4900001"  # the sample slide's, with label, thumbnail and scale
SMALL = Plan(
    width_px=600, height_px=400, associated="none"
)  # without a label to read: most of an import's time
SMALL_SLIDES = 66
TECHNICIANS_SCREEN = {"width": 1366, "height": 768}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    if not (ROOT / "web/node_modules/axe-core").is_dir():
        pytest.skip("the page's packages are not installed: scripts/web dev")
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the sample slide's bytes."""
    path = tmp_path_factory.mktemp("sample") / "sample.svs"
    write_sample_slide(path)
    return path.read_bytes()


@pytest.fixture(scope="session")
def server(
    browser: Browser,
    sample: bytes,
    small_slides: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[StandaloneServer]:
    """Start one server for all tests, with the sample and small slides; each test uses slides of its own."""
    made = StandaloneServer(tmp_path_factory.mktemp("server"))
    contents = {**small_slides, SAMPLE_ID: with_image_id(sample, SAMPLE_ID)}
    for image_id, content in contents.items():
        made.drop(f"slide-{image_id}.svs", content)
    made.start()
    for image_id in contents:
        made.wait_for_slide(image_id)
    yield made
    made.stop()


@pytest.fixture(scope="session")
def small_slides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return small slides, which are imported quickly, by ImageID."""
    content = write_slide(tmp_path_factory.mktemp("small") / "small.svs", SMALL).read_bytes()
    ids = [str(5_000_001 + number) for number in range(SMALL_SLIDES)]
    return {image_id: with_image_id(content, image_id) for image_id in ids}


@dataclass
class Slides:
    """Imported slides; each is given to one test at a time."""

    server: StandaloneServer
    ids: deque[str]
    taken: list[str] = field(default_factory=list)

    def take(self, count: int = 1, *, case: str | None = None) -> list[str]:
        """Return the ImageIDs of NEW slides; slide 5000001 has the SlideID S5000001 and the CaseID C5000001."""
        assert len(self.ids) >= count, "raise SMALL_SLIDES"
        taken = [self.ids.popleft() for _ in range(count)]
        self.taken += taken
        for image_id in taken:
            self.server.set(image_id, SlideID=f"S{image_id}", CaseID=case or f"C{image_id}")
        return taken

    def give_back(self) -> None:
        """Let later tests have the slides that can be made NEW again."""
        for image_id in self.taken:
            with suppress(AssertionError):  # deleted, archived, published or sent
                self.server.set(
                    image_id,
                    Status="NEW",
                    Note=None,
                    Reviewer=None,
                    SlideID=f"S{image_id}",
                    CaseID=f"C{image_id}",
                )
                self.ids.append(image_id)
        self.taken.clear()


@pytest.fixture(scope="session")
def all_slides(server: StandaloneServer, small_slides: dict[str, bytes]) -> Slides:
    return Slides(server, deque(small_slides))


@pytest.fixture
def slides(all_slides: Slides) -> Iterator[Slides]:
    yield all_slides
    all_slides.give_back()


@dataclass
class Pages:
    """Browser pages, each in a context of its own, and the errors that their consoles report."""

    browser: Browser
    url: str
    contexts: list[BrowserContext] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def open(self, path: str = "", **options: Any) -> Page:
        """Open the page and wait until it receives changes."""
        page = self.blank(**options)
        page.goto(self.url + path)
        expect(page.locator("#health")).to_have_attribute("data-health", "live")
        return page

    def blank(self, **options: Any) -> Page:
        context = self.browser.new_context(**{"viewport": TECHNICIANS_SCREEN, **options})
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.on("console", lambda message: message.type == "error" and self._complain(message.text))
        page.on("pageerror", lambda error: self._complain(str(error)))
        return page

    def expect_complaint(self, pattern: str) -> None:
        """Accept console errors that match a pattern; violations of the security policy still fail the test."""
        self.expected.append(pattern)

    def check(self) -> None:
        unexpected = [
            text
            for text in self.complaints
            if "Content Security Policy" in text or not any(re.search(one, text) for one in self.expected)
        ]
        assert unexpected == []

    def _complain(self, text: str) -> None:
        self.complaints.append(text)


@pytest.fixture
def pages(browser: Browser, server: StandaloneServer) -> Iterator[Pages]:
    yield from _pages(browser, server)


@pytest.fixture
def own_server(browser: Browser, tmp_path: Path) -> Iterator[StandaloneServer]:
    """Start an empty server for one test, which may stop it."""
    made = StandaloneServer(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def own_pages(browser: Browser, own_server: StandaloneServer) -> Iterator[Pages]:
    yield from _pages(browser, own_server)


def _pages(browser: Browser, server: StandaloneServer) -> Iterator[Pages]:
    made = Pages(browser, server.url)
    yield made
    for context in made.contexts:
        context.close()
    made.check()
