"""Speak ``graphql-transport-ws`` at ``/graphql``: one connection, its operations, its limits.

Source: the protocol document of the npm package graphql-ws (PROTOCOL.md), which also defines the close codes.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any

from graphql import OperationType

from vsv_local.graphql.change_feed import ChangeFeed
from vsv_local.graphql.execution import Answer, Operation, RefusedError, prepare, run
from vsv_local.graphql.resolvers import Request, User
from vsv_local.graphql.subscriptions import follow

log = logging.getLogger(__name__)

Message = dict[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

SUBPROTOCOL = "graphql-transport-ws"
INIT_S = 10.0
# A page has two subscriptions; a browser with many tabs has many connections.
MAX_OPERATIONS = 20
MAX_ID = 100

INVALID, UNAUTHORIZED, NO_SUBPROTOCOL, INIT_TIMEOUT, TAKEN_ID, TOO_MANY = 4400, 4401, 4406, 4408, 4409, 4429


class CloseError(Exception):
    """A breach of the protocol by the client: the connection closes with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Connection:
    """One client's WebSocket, after it was accepted."""

    def __init__(self, receive: Receive, send: Send, threads: Executor, feed: ChangeFeed) -> None:
        self._receive, self._send_event, self._threads, self._feed = receive, send, threads, feed
        self._operations: dict[str, asyncio.Task[None]] = {}
        # Operations run at the same time, but send one message after the other: a slow client slows them all.
        self._sending = asyncio.Lock()

    async def serve(self) -> None:
        """Answer until the client leaves or breaks the protocol."""
        try:
            if await self._begin():
                while (message := await self._next()) is not None:
                    await self._handle(message)
        except CloseError as close:
            with suppress(Exception):  # the client may be gone already
                await self._send_event(
                    {"type": "websocket.close", "code": close.code, "reason": close.reason}
                )
        finally:
            for task in self._operations.values():
                task.cancel()
            await asyncio.gather(*self._operations.values(), return_exceptions=True)

    async def _begin(self) -> bool:
        """Wait for the client's ``connection_init``; return False where the client has left."""
        try:
            async with asyncio.timeout(INIT_S):
                message = await self._next()
        except TimeoutError:
            raise CloseError(INIT_TIMEOUT, "Connection initialisation timeout") from None
        if message is None:
            return False
        if message["type"] != "connection_init":
            raise CloseError(UNAUTHORIZED, "Unauthorized")
        await self._send({"type": "connection_ack"})
        return True

    async def _next(self) -> Message | None:
        """Return the next message, None when the client has left."""
        event = await self._receive()
        if event["type"] != "websocket.receive":
            return None
        try:
            message = json.loads(event.get("text") or "")
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise CloseError(INVALID, "Invalid message received")
        return message

    async def _handle(self, message: Message) -> None:
        match message["type"]:
            case "ping":
                await self._send({"type": "pong"})
            case "pong":
                pass
            case "subscribe":
                self._subscribe(_id(message), message.get("payload"))
            case "complete":
                if (task := self._operations.pop(_id(message), None)) is not None:
                    task.cancel()
            case "connection_init":
                raise CloseError(TOO_MANY, "Too many initialisation requests")
            case _:
                raise CloseError(INVALID, "Invalid message received")

    def _subscribe(self, operation_id: str, payload: object) -> None:
        if operation_id in self._operations:
            raise CloseError(TAKEN_ID, f"Subscriber for {operation_id} already exists")
        if len(self._operations) >= MAX_OPERATIONS:
            raise CloseError(INVALID, "Too many operations at once on one connection")
        task = asyncio.get_running_loop().create_task(self._operate(operation_id, payload))
        self._operations[operation_id] = task

    async def _operate(self, operation_id: str, payload: object) -> None:
        """Run one operation to its end; the connection handles a client that has gone."""
        try:
            operation = prepare(payload)
            await self._answer(operation_id, operation)
            await self._send({"id": operation_id, "type": "complete"})
        except RefusedError as refused:
            await self._send({"id": operation_id, "type": "error", "payload": refused.answer["errors"]})
        except Exception:  # this is a task's last frame: no caller would see the error
            log.exception("an operation failed")
        finally:
            self._operations.pop(operation_id, None)

    async def _answer(self, operation_id: str, operation: Operation) -> None:
        request = Request(User(), self._threads)
        if operation.kind is not OperationType.SUBSCRIPTION:
            await self._send_answer(operation_id, await run(operation, request))
            return
        async for answer in follow(operation, request, self._feed):
            await self._send_answer(operation_id, answer)

    async def _send_answer(self, operation_id: str, answer: Answer) -> None:
        await self._send({"id": operation_id, "type": "next", "payload": answer})

    async def _send(self, message: Message) -> None:
        async with self._sending:
            await self._send_event({"type": "websocket.send", "text": json.dumps(message)})


def _id(message: Message) -> str:
    operation_id = message.get("id")
    if not isinstance(operation_id, str) or not 0 < len(operation_id) <= MAX_ID:
        raise CloseError(INVALID, "Invalid message received")
    return operation_id
