"""All WebSocket connections of the server: who may open one, and how many there may be."""

from collections.abc import MutableMapping
from concurrent.futures import Executor
from typing import Any

from vsv_local.graphql.change_feed import Live
from vsv_local.graphql.endpoint import is_same_origin
from vsv_local.graphql.websocket import NO_SUBPROTOCOL, SUBPROTOCOL, Connection, Receive, Send

MAX_CONNECTIONS = 100
TRY_AGAIN_LATER = 1013


class Sockets:
    """Accepts connections; changes are looked for while there is one."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._live = Live()
        self._open = 0

    async def accept(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection to its end, or refuse it."""
        await receive()  # websocket.connect
        # A browser sends any site's pages here without asking: only our own may stay.
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
            # Before the client hears that it is connected: it will miss nothing that it does afterwards.
            await self._live.begin()
            await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
            await Connection(receive, send, self._threads, self._live).serve()
        finally:
            self._open -= 1
            if not self._open:
                self._live.end()


async def _refuse(send: Send, code: int, reason: str) -> None:
    """Accept, then close with a code: a handshake that is refused shows a browser none."""
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": code, "reason": reason})
