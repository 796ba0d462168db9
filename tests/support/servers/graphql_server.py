"""The standalone server on a free port, with slides that have records only, for tests over HTTP and WebSocket."""

import asyncio
import itertools
import json
import socket
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn
from vsv.services import Services
from websockets.sync.client import ClientConnection, connect

from vsv_local.composition import standalone
from vsv_local.graphql.websocket import SUBPROTOCOL
from vsv_local.server.app import App

T = TypeVar("T")
WAIT_S = 20  # for messages that must arrive; a test that passes never waits this long


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a thread of its own: a browser's event loop may be running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@dataclass
class Server:
    """A running server: its installation, its data folder, and clients for it."""

    services: Services
    data: Path
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def post(self, content: Any, headers: dict[str, str] | None = None) -> httpx.Response:
        return httpx.post(f"http://{self.address}/graphql", json=content, headers=headers, timeout=WAIT_S)

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Return a query's whole answer."""
        response = self.post({"query": query, "variables": variables})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def data_of(self, query: str, **variables: Any) -> Any:
        """Return a query's data; fail if the answer has errors."""
        answer = self.ask(query, **variables)
        assert "errors" not in answer, answer
        return answer["data"]

    @contextmanager
    def socket(self, **options: Any) -> Iterator["Client"]:
        options = {"subprotocols": [SUBPROTOCOL], "proxy": None, "open_timeout": WAIT_S} | options
        with connect(f"ws://{self.address}/graphql", **options) as connection:
            yield Client(connection)


class Client:
    """A WebSocket client that sends and receives JSON messages."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._ids = map(str, itertools.count(1))

    def send(self, **message: Any) -> None:
        self.connection.send(json.dumps(message))

    def next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.connection.recv(timeout=WAIT_S))
        return message

    def begin(self) -> "Client":
        self.send(type="connection_init", payload={})
        assert self.next() == {"type": "connection_ack"}
        return self

    def subscribe(self, query: str, **variables: Any) -> str:
        name = next(self._ids)
        self.send(type="subscribe", id=name, payload={"query": query, "variables": variables})
        self.send(type="ping")  # its pong tells that the subscription has been read
        assert self.next() == {"type": "pong"}
        return name


@contextmanager
def running_server(data: Path, *folders: Path) -> Iterator[Server]:
    """Run the server on a thread of this process until the block ends; files come in from ``folders``."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(App(), log_config=None, ws="websockets-sansio", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    with listening, standalone(data, folders) as (services, _intake):
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield Server(services, data, listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()
