"""Third-party viewers: a site of another origin that shows them, and the requests that they send."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import ceil
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, Request, Response

SHELL = """<!doctype html><html lang="en"><meta charset="utf-8">
<title>Elsewhere</title><link rel="icon" href="data:,">
<style>#viewer {{ position: absolute; inset: 0 auto auto 0; width: {width}px; height: {height}px; }}</style>
<div id="viewer"></div><script src="/viewer.js"></script></html>"""
SIZE = 1000, 700


@contextmanager
def other_site(script: Path) -> Iterator[str]:
    """Serve a page that contains only a viewer's script, and yield its origin.

    A server of its own and no intercepted address: Chromium lets only pages that came from this machine, or that the
    person allowed to, ask a server on this machine.
    """
    shell = SHELL.format(width=SIZE[0], height=SIZE[1]).encode()
    files = {
        "/": ("text/html; charset=utf-8", shell),
        "/viewer.js": ("text/javascript; charset=utf-8", script.read_bytes()),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            mime, content = files.get(self.path, ("text/plain", b""))
            self.send_response(200 if self.path in files else 404)
            self.send_header("Content-Type", mime)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        # Another host's name than the slides' 127.0.0.1: another port alone would be the same site for the browser.
        yield f"http://localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Traffic:
    """The requests that a page sends to a server, and the server's answers."""

    page: Page
    base: str
    answers: list[Response] = field(default_factory=list)
    failed: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("response", lambda found: found.url.startswith(self.base) and self.answers.append(found))
        self.page.on(
            "requestfailed", lambda found: found.url.startswith(self.base) and self.failed.append(found)
        )

    def statuses(self) -> dict[str, int]:
        """Return the status of each answered address; addresses are without the server's URL."""
        return {answer.url.removeprefix(self.base): answer.status for answer in self.answers}

    def of(self, start: str) -> dict[str, Response]:
        """Return the answers whose addresses start with ``start``, by the rest of the address."""
        whole = self.base + start
        return {one.url.removeprefix(whole): one for one in self.answers if one.url.startswith(whole)}


def tiles_of(info: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    """Return the tiles that an ``info.json`` offers: scale factor, column and row by address.

    Source: IIIF Image API 3.0 and 2.1, implementation notes on tile region parameter calculation. 2.1 has two ways
    to write a size, of which ``w,`` is the canonical one.
    """
    (tiles,) = info["tiles"]
    version_2 = info["@context"].endswith("/image/2/context.json")
    found = {}
    for factor in tiles["scaleFactors"]:
        step = tiles["width"] * factor
        for column in range(ceil(info["width"] / step)):
            for row in range(ceil(info["height"] / step)):
                left, top = column * step, row * step
                width, height = min(step, info["width"] - left), min(step, info["height"] - top)
                whole = (width, height) == (info["width"], info["height"])
                region = "full" if whole else f"{left},{top},{width},{height}"
                across, down = ceil(width / factor), ceil(height / factor)
                for size in (f"{across},{down}", *([f"{across},"] if version_2 else [])):
                    found[f"{region}/{size}/0/default.jpg"] = factor, column, row
    return found


def deep_zoom_tile(url: str, image_id: str, info: dict[str, Any], tile: tuple[int, int, int]) -> bytes:
    """Ask for the same tile by Deep Zoom."""
    factor, column, row = tile
    level = (max(info["width"], info["height"]) - 1).bit_length() - (factor.bit_length() - 1)
    answer = httpx.get(f"{url}DeepZoom/{image_id}_files/{level}/{column}_{row}.jpeg")
    assert answer.status_code == 200
    return answer.content
