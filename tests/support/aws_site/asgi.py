"""HTTP answers and servers for the fakes of AWS services."""

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import uvicorn

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes]


def answer(status: int, body: bytes | str = b"", headers: Mapping[str, str] | None = None) -> Answer:
    content = body.encode() if isinstance(body, str) else body
    given = {**(headers or {}), "content-length": str(len(content))}
    return status, [(key.encode(), value.encode()) for key, value in given.items()], content


def json_answer(status: int, content: Any, headers: Mapping[str, str] | None = None) -> Answer:
    return answer(status, json.dumps(content), {"content-type": "application/json", **(headers or {})})


def header(scope: Scope, name: str) -> str:
    return next((value.decode() for key, value in scope["headers"] if key == name.encode()), "")


async def body_of(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def respond(send: Send, made: Answer) -> None:
    status, headers, body = made
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


@contextmanager
def served(make: Callable[[str], Any]) -> Iterator[Any]:
    """Serve the application that ``make`` returns for an origin, on a free port, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        app = make(f"http://127.0.0.1:{listening.getsockname()[1]}")
        config = uvicorn.Config(app, log_config=None, ws="websockets-sansio", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=asyncio.run, args=(server.serve(sockets=[listening]),))
        thread.start()
        try:
            yield app
        finally:
            server.should_exit = True
            thread.join()
