"""uvicorn's HTTP/1.1 protocol, which answers tiles before it makes an ASGI request of them.

A task, a scope and two messages cost more than a tile that the page cache holds. Only what is wholly ordinary is
answered here: GET or HEAD for a tile without a query, one at a time on a connection that stays open and takes its
answers. Everything else, and everything that would have to wait, goes uvicorn's way to the application.
"""

import re
from asyncio import Event, TimerHandle
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from local import images
from local.app import App, host_of

# An address that means what it says: no query, nothing to decode.
_PLAIN_TILE = re.compile(rb"[^%?#\x80-\xff]+\.jpe?g\Z")
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
        self._default_headers, self._default_head = [(b"", b"")], b""
        # One timer for as long as tiles are asked for: uvicorn sets one after each answer and cancels it again.
        self._idle_since: float | None = None
        self._idle_timer: TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the connection."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin a request; uvicorn's scope is made where the request turns out to be uvicorn's."""
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._idle_since = None

    def on_headers_complete(self) -> None:
        """Answer a tile now, or let uvicorn have the request."""
        if not (self._is_free() and self._is_plain() and self._answered(self.url.decode("ascii"))):
            url, headers, expects = self.url, self.headers, self.expect_100_continue
            super().on_message_begin()
            self.url, self.expect_100_continue = url, expects
            self.headers.extend(headers)
            super().on_headers_complete()

    def _is_free(self) -> bool:
        """Tell whether the connection is ready for an answer and the server may give one."""
        if self.cycle is not None and not self.cycle.response_complete:
            return False
        if self.pipeline or self.flow.write_paused or self.transport.is_closing():
            return False
        return self.limit_concurrency is None or len(self.connections) < self.limit_concurrency

    def _is_plain(self) -> bool:
        parser = self.parser
        return (
            _PLAIN_TILE.match(self.url) is not None
            and parser.should_keep_alive()
            and parser.get_http_version() == "1.1"
            and not parser.should_upgrade()
        )

    def _answered(self, path: str) -> bool:
        method = _METHODS.get(self.parser.get_method())
        if method is None or not self._tiles.answers_to(host_of(self.headers)):
            return False
        response = images.at_once(method, path, self.headers)
        if response is None:
            return False
        head, body = images.head_and_body(response)
        start = STATUS_LINE[response.status] + self._default()
        self.transport.write(b"".join((start, head, body if method == "GET" else b"")))
        self.cycle = _Answered  # type: ignore[assignment]
        self.server_state.total_requests += 1
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._look_whether_idle)
        return True

    def _default(self) -> bytes:
        """Give uvicorn's own headers, which it makes anew each second."""
        if self._default_headers is not self.server_state.default_headers:
            self._default_headers = self.server_state.default_headers
            self._default_head = b"".join(b"%b: %b\r\n" % pair for pair in self._default_headers)
        return self._default_head

    def _look_whether_idle(self) -> None:
        """Close the connection when nothing was asked for as long as uvicorn would wait."""
        self._idle_timer = None
        if self._idle_since is None:
            return  # a request is under way, or uvicorn has answered the last one and set its own timer
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._look_whether_idle)
        else:
            self.timeout_keep_alive_handler()
