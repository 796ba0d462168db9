"""Accept the server's WebSocket connections: only from its own page, and no more than the limit."""

from collections.abc import MutableMapping
from concurrent.futures import Executor
from typing import Any

from vsv_local.graphql.change_feed import ChangeFeed
from vsv_local.graphql.endpoint import is_same_origin
from vsv_local.graphql.websocket import NO_SUBPROTOCOL, SUBPROTOCOL, Connection, Receive, Send

MAX_CONNECTIONS = 100
TRY_AGAIN_LATER = 1013


class Sockets:
    """Accepts connections; the feed looks for changes while there is a connection."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._feed = ChangeFeed()
        self._open = 0

    async def accept(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection to its end, or refuse it."""
        await receive()  # websocket.connect
        # Browsers let pages of any site open a WebSocket here: only this server's own page is accepted.
        if not is_same_origin(scope["headers"]):
            await send({"type": "websocket.close"})
            return
        if SUBPROTOCOL not in scope.get("subprotocols", ()):
            await _refuse(send, NO_SUBPROTOCOL, "Subprotocol not acceptable")
        elif self._open >= MAX_CONNECTIONS:
            await _refuse(send, TRY_AGAIN_LATER, "Too many connections")
        else:
            await self._serve(receive, send)

    async def _serve(self, receive: Receive, send: Send) -> None:
        self._open += 1
        try:
            # Before the client is connected, so that it misses no change after that.
            await self._feed.begin()
            await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
            await Connection(receive, send, self._threads, self._feed).serve()
        finally:
            self._open -= 1
            if not self._open:
                self._feed.end()


async def _refuse(send: Send, code: int, reason: str) -> None:
    """Accept, then close with a code: a browser shows no code for a refused handshake."""
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": code, "reason": reason})
