"""Extend uvicorn's HTTP/1.1 protocol to answer tiles before an ASGI request is made.

A task, a scope and two messages cost more than a tile in the page cache. Only ordinary requests are answered here:
GET or HEAD for a tile without a query, one at a time on a connection that stays open and accepts answers. Every other
request, and every request that would have to wait, goes to the application as uvicorn does it.

Viewers request one tile after the other with the same headers. Where a request equals the previous one in every byte
but the tile's address, only the address is parsed.
"""

import re
from asyncio import Event, TimerHandle
from collections.abc import Mapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from vsv_local.server import event_loop_tiles
from vsv_local.server.app import App, host_of

# An address without a query and without encoded characters.
_ADDRESS = rb"[^\x00-\x20%?#\x7f-\xff]+\.jpe?g"
_PLAIN_TILE = re.compile(_ADDRESS + rb"\Z")
_REQUEST_LINE = re.compile(rb"GET (" + _ADDRESS + rb")\Z")
_REQUEST = re.compile(rb"GET " + _ADDRESS + rb"( HTTP/1\.1\r\n.*)\Z", re.DOTALL)
_END = b"\r\n\r\n"
# The longest request that is remembered: longer than browsers send.
_MAX_REMEMBERED_BYTES = 8192
_METHODS = {b"GET": "GET", b"HEAD": "HEAD"}


class _Answered:
    """A finished request, in the place where uvicorn looks for the request under way."""

    response_complete = True
    disconnected = False
    message_event = Event()


class TileProtocol(HttpToolsProtocol):
    """A connection of the standalone server; ``tiles`` is the application, used only for its tiles."""

    def __init__(self, *, tiles: App, **options: Any) -> None:
        super().__init__(**options)
        self._tiles = tiles
        self._default_headers, self._default_head = [(b"", b"")], b""
        # One timer for a whole series of tiles: uvicorn would set one after each answer and cancel it again.
        self._idle_since: float | None = None
        self._idle_timer: TimerHandle | None = None
        # The rest of the last tile's request after its address, and its headers; empty after other requests.
        self._last_rest, self._last_headers = b"", dict[str, str]()
        self._is_between, self._answered_here = True, False

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timer of a closed connection."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Answer a request that repeats the last one's headers; parse any other data."""
        if self._last_rest and data.endswith(self._last_rest) and self._is_free():
            match = _REQUEST_LINE.match(data[: -len(self._last_rest)])
            if match is not None and self._answer_tile("GET", match[1].decode("ascii"), self._last_headers):
                self._unset_keepalive_if_required()
                return
        was_between, self._last_rest = self._is_between, b""
        super().data_received(data)
        if was_between and self._is_between and self._answered_here:
            self._last_rest = _rest_after_address(data)

    def on_message_begin(self) -> None:
        """Begin a request; uvicorn's scope is made only for requests that uvicorn answers."""
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._idle_since, self._is_between, self._answered_here = None, False, False

    def on_headers_complete(self) -> None:
        """Answer a tile now, or pass the request to uvicorn."""
        if not (self._is_free() and self._is_plain() and self._is_answered()):
            url, headers, expects = self.url, self.headers, self.expect_100_continue
            super().on_message_begin()
            self.url, self.expect_100_continue = url, expects
            self.headers.extend(headers)
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request."""
        super().on_message_complete()
        self._is_between = True

    def _is_free(self) -> bool:
        """Return whether the connection is ready for an answer and the server's limit allows one."""
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

    def _is_answered(self) -> bool:
        method = _METHODS.get(self.parser.get_method())
        if method is None or not self._tiles.is_own_host(host_of(self.headers)):
            return False
        self._last_headers = event_loop_tiles.header_dict(self.headers)
        if len(self._last_headers) < len(self.headers):
            return False  # a repeated header: left to the application
        return self._answer_tile(method, self.url.decode("ascii"), self._last_headers)

    def _answer_tile(self, method: str, path: str, headers: Mapping[str, str]) -> bool:
        """Answer, or return False for a request that the event loop cannot answer."""
        response = event_loop_tiles.answer_non_blocking(method, path, headers)
        if response is None:
            return False
        head, body = event_loop_tiles.head_and_body(response)
        start = STATUS_LINE[response.status] + self._default_lines()
        self.transport.write(b"".join((start, head, body if method == "GET" else b"")))
        self.cycle, self._answered_here = _Answered, True  # type: ignore[assignment]
        self.server_state.total_requests += 1
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._close_when_idle)
        return True

    def _default_lines(self) -> bytes:
        """Return uvicorn's own headers, which uvicorn renews each second."""
        if self._default_headers is not self.server_state.default_headers:
            self._default_headers = self.server_state.default_headers
            self._default_head = b"".join(b"%b: %b\r\n" % pair for pair in self._default_headers)
        return self._default_head

    def _close_when_idle(self) -> None:
        """Close the connection when no request came for as long as uvicorn would wait."""
        self._idle_timer = None
        if self._idle_since is None:
            return  # a request is under way, or uvicorn has answered the last one and set its own timer
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._close_when_idle)
        else:
            self.timeout_keep_alive_handler()


def _rest_after_address(data: bytes) -> bytes:
    """Return the rest of a single complete request after its address; empty for any other data."""
    match = _REQUEST.match(data) if len(data) <= _MAX_REMEMBERED_BYTES else None
    return match[1] if match is not None and data.find(_END) == len(data) - len(_END) else b""
