"""uvicorn's HTTP/1.1 protocol, which answers tiles before it makes an ASGI request of them.

A task, a scope and two messages cost more than a tile that the page cache holds. Only what is wholly ordinary is
answered here: GET or HEAD for a tile without a query, one at a time on a connection that stays open and takes its
answers. Everything else, and everything that would have to wait, goes uvicorn's way to the application.

Viewers ask for one tile after the other with the same headers. Of a request that is the last one to the byte but for
the tile's address, nothing else is parsed.
"""

import re
from asyncio import Event, TimerHandle
from collections.abc import Mapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from vsv_local.server import event_loop_tiles
from vsv_local.server.app import App, host_of

# An address that means what it says: no query, nothing to decode.
_ADDRESS = rb"[^\x00-\x20%?#\x7f-\xff]+\.jpe?g"
_PLAIN_TILE = re.compile(_ADDRESS + rb"\Z")
_ASKED_FOR = re.compile(rb"GET (" + _ADDRESS + rb")\Z")
_REQUEST = re.compile(rb"GET " + _ADDRESS + rb"( HTTP/1\.1\r\n.*)\Z", re.DOTALL)
_END = b"\r\n\r\n"
# Of a request, to be remembered: more than browsers send.
_MAX_ALIKE_BYTES = 8192
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
        # What the last tile's request had behind its address, and the headers in it; nothing after other requests.
        self._alike, self._named = b"", dict[str, str]()
        self._is_between, self._is_ours = True, False

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the connection."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Answer what is like the last request; let all else be parsed."""
        if self._alike and data.endswith(self._alike) and self._is_free():
            asked = _ASKED_FOR.match(data[: -len(self._alike)])
            if asked is not None and self._answered("GET", asked[1].decode("ascii"), self._named):
                self._unset_keepalive_if_required()
                return
        was_between, self._alike = self._is_between, b""
        super().data_received(data)
        if was_between and self._is_between and self._is_ours:
            self._alike = _behind_address(data)

    def on_message_begin(self) -> None:
        """Begin a request; uvicorn's scope is made where the request turns out to be uvicorn's."""
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._idle_since, self._is_between, self._is_ours = None, False, False

    def on_headers_complete(self) -> None:
        """Answer a tile now, or let uvicorn have the request."""
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

    def _is_answered(self) -> bool:
        method = _METHODS.get(self.parser.get_method())
        if method is None or not self._tiles.answers_to(host_of(self.headers)):
            return False
        self._named = event_loop_tiles.named(self.headers)
        if len(self._named) < len(self.headers):
            return False  # a header was said twice: what that means is not to be settled here
        return self._answered(method, self.url.decode("ascii"), self._named)

    def _answered(self, method: str, path: str, headers: Mapping[str, str]) -> bool:
        """Answer, or tell that this is not for the event loop."""
        response = event_loop_tiles.non_blocking(method, path, headers)
        if response is None:
            return False
        head, body = event_loop_tiles.head_and_body(response)
        start = STATUS_LINE[response.status] + self._default()
        self.transport.write(b"".join((start, head, body if method == "GET" else b"")))
        self.cycle, self._is_ours = _Answered, True  # type: ignore[assignment]
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


def _behind_address(data: bytes) -> bytes:
    """Give what one whole request has behind its address; nothing where there are more, or it does not begin here."""
    found = _REQUEST.match(data) if len(data) <= _MAX_ALIKE_BYTES else None
    return found[1] if found is not None and data.find(_END) == len(data) - len(_END) else b""
