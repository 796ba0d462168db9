"""A fake of AppSync's realtime endpoint: its protocol ``graphql-ws`` over the local feed of changes.

Source: "Building a real-time WebSocket client in AWS AppSync", AWS AppSync GraphQL developer guide.
"""

import asyncio
import base64
import json
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any

from tests.support.aws_site.asgi import Receive, Scope, Send
from vsv_local.graphql.change_feed import ChangeFeed
from vsv_local.graphql.execution import RefusedError, prepare
from vsv_local.graphql.resolvers import Request, User
from vsv_local.graphql.subscriptions import follow

TIMEOUT_MS = 300_000
UNAUTHORIZED = {"errors": [{"errorType": "UnauthorizedException", "message": "Permission denied"}]}


class Realtime:
    """The endpoint; ``user_of`` returns the user that a token belongs to."""

    def __init__(self, host: str, user_of: Callable[[str], User | None], threads: Executor) -> None:
        self.host, self.user_of, self.threads = host, user_of, threads
        self.open: dict[Send, asyncio.AbstractEventLoop] = {}
        self.served = 0

    def drop(self) -> None:
        """Close every connection, as AppSync does after a day at the latest."""
        for send, loop in list(self.open.items()):
            asyncio.run_coroutine_threadsafe(send({"type": "websocket.close"}), loop).result()

    async def accept(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        if "graphql-ws" not in scope["subprotocols"] or self._user(_header(scope)) is None:
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.accept", "subprotocol": "graphql-ws"})
        live, tasks = ChangeFeed(), []
        await live.begin()
        self.open[send], self.served = asyncio.get_running_loop(), self.served + 1
        try:
            while (event := await receive())["type"] == "websocket.receive":
                tasks += await self._hear(json.loads(event["text"]), live, send)
        finally:
            del self.open[send]
            live.end()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _hear(self, message: dict[str, Any], live: ChangeFeed, send: Send) -> list[asyncio.Task[None]]:
        match message["type"]:
            case "connection_init":
                await _say(send, type="connection_ack", payload={"connectionTimeoutMs": TIMEOUT_MS})
                await _say(send, type="ka")
            case "start":
                return await self._start(message["id"], message["payload"], live, send)
            case other:
                raise AssertionError(f"AppSync knows no {other}")
        return []

    async def _start(self, name: str, payload: Any, live: ChangeFeed, send: Send) -> list[asyncio.Task[None]]:
        user = self._user(payload["extensions"]["authorization"])
        if user is None:
            await _say(send, id=name, type="error", payload=UNAUTHORIZED)
            return []
        task = asyncio.create_task(self._follow(name, json.loads(payload["data"]), user, live, send))
        await asyncio.sleep(0)  # the task begins to follow the feed
        if not task.done():
            await _say(send, id=name, type="start_ack")
        return [task]

    async def _follow(self, name: str, body: Any, user: User, live: ChangeFeed, send: Send) -> None:
        try:
            async for answer in follow(prepare(body), Request(user, self.threads), live):
                slide = answer["data"].get("onUpdateSlide")
                if slide is not None:
                    slide["LabelURL"] = None  # notifications contain no address of a label
                await _say(send, id=name, type="data", payload=answer)
        except RefusedError as refused:
            await _say(send, id=name, type="error", payload={"errors": refused.answer["errors"]})

    def _user(self, header: dict[str, str]) -> User | None:
        return self.user_of(header.get("Authorization", "")) if header.get("host") == self.host else None


def _header(scope: Scope) -> dict[str, str]:
    """Return the header that is sent as a subprotocol: base64url without padding."""
    sent = next((one[7:] for one in scope["subprotocols"] if one.startswith("header-")), "")
    with suppress(ValueError):
        found: dict[str, str] = json.loads(base64.urlsafe_b64decode(sent + "=" * (-len(sent) % 4)))
        return found
    return {}


async def _say(send: Send, **message: Any) -> None:
    await send({"type": "websocket.send", "text": json.dumps(message)})
