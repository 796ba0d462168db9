"""uvicorn's HTTP/1.1 protocol, which answers tiles before it makes an ASGI request of them.

A task, a scope and two messages cost more than a tile that the page cache holds. Only what is wholly ordinary is
answered here: GET or HEAD for a tile without a query, one at a time on a connection that stays open and takes its
answers. Everything else, and everything that would have to wait, goes uvicorn's way to the application.
"""

from asyncio import Event
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from local import images
from local.app import App, host_of, is_image

_TILES = (b".jpeg", b".jpg")
_METHODS = {b"GET": "GET", b"HEAD": "HEAD"}


class _Answered:
    """What uvicorn finds where it looks for the request under way: one that is over."""

    response_complete = True
    disconnected = False
    message_event = Event()


class TileProtocol(HttpToolsProtocol):
    """A connection of the standalone server; ``tiles`` is the application, asked for nothing but tiles."""

    def __init__(self, *, tiles: App, **given: Any) -> None:
        super().__init__(**given)
        self._tiles = tiles

    def on_headers_complete(self) -> None:
        """Answer a tile now, or let uvicorn have the request."""
        if not (self._is_free() and self._is_plain_tile() and self._answered()):
            super().on_headers_complete()

    def _is_free(self) -> bool:
        """Tell whether the connection is ready for an answer and the server may give one."""
        if self.cycle is not None and not self.cycle.response_complete:
            return False
        if self.pipeline or self.flow.write_paused or self.transport.is_closing():
            return False
        return self.limit_concurrency is None or len(self.connections) < self.limit_concurrency

    def _is_plain_tile(self) -> bool:
        url, parser = self.url, self.parser
        return (
            url.endswith(_TILES)
            and url.isascii()
            and not (b"%" in url or b"?" in url or b"#" in url)
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and is_image(url.decode("ascii"))
        )

    def _answered(self) -> bool:
        method = _METHODS.get(self.parser.get_method())
        if method is None or not self._tiles.answers_to(host_of(self.headers)):
            return False
        response = images.at_once(method, self.url.decode("ascii"), self.headers)
        if response is None:
            return False
        always = [b"%b: %b\r\n" % pair for pair in self.server_state.default_headers]
        head, body = images.head_and_body(response)
        self.transport.write(
            b"".join((STATUS_LINE[response.status], *always, head, body if method == "GET" else b""))
        )
        self.cycle = _Answered  # type: ignore[assignment]
        self.on_response_complete()
        return True
