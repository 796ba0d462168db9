"""Run the standalone server's ASGI application: requests become events, the Lambda handlers answer them."""

import asyncio
import ipaddress
import json
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Set
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any

from import_slide.handler import lambda_handler as import_slide
from lambda_support.http import MAX_BODY_BYTES
from serve_image.handler import lambda_handler as serve_image
from serve_image.protocols import PROTOCOLS
from serve_label.handler import lambda_handler as serve_label

from vsv_local import web_assets
from vsv_local.graphql import endpoint as graphql
from vsv_local.graphql.limits import MAX_BODY_BYTES as MAX_GRAPHQL_BYTES
from vsv_local.graphql.sockets import Sockets
from vsv_local.server.api_gateway_events import http_answer, http_event
from vsv_local.server.json_api import lambda_handler as json_lists

log = logging.getLogger(__name__)

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Answer = tuple[int, list[tuple[bytes, bytes]], bytes]

HANDLER_THREADS = 8
_IMAGE_PREFIXES = tuple(PROTOCOLS)
BODY_SECONDS = 10
MAX_HOST = 300  # a name of at most 253 characters, and the port
_PREFLIGHT: Answer = (
    204,
    [(b"access-control-allow-origin", b"*"), (b"access-control-allow-methods", b"GET, HEAD")],
    b"",
)
_SHOWS_LABEL = re.compile(r"/DeepZoom/[^/]*_files/(label|macro)\.[^/]*", re.ASCII)
_LOOPBACK_NAMES = {"localhost", "localhost.localdomain"}


class App:
    """Routes requests as the HTTP API of the stack does, and serves the page.

    ``hosts`` are further names under which clients may address this server: any other Host header is refused, so that
    no web page can reach a server on loopback by pointing its own name there.
    """

    def __init__(self, hosts: Iterable[str] = ()) -> None:
        names = _LOOPBACK_NAMES | {host.lower() for host in hosts}
        # A browser sends the same name with each of a thousand tiles.
        self.is_own_host = lru_cache(maxsize=256)(partial(_is_own_host, frozenset(names)))
        self._threads = ThreadPoolExecutor(HANDLER_THREADS, "handler")
        self._sockets = Sockets(self._threads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        answer = self._graphql if scope["path"] == graphql.PATH else self._answer
        status, headers, body = await answer(scope, receive)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        if not self.is_own_host(host_of(scope["headers"])):
            return _plain(421, "this server does not answer to that host name")
        path = scope["path"]
        handler = _handler(path)
        if handler is None:
            return _page_file(scope["method"], path)
        if handler is serve_image and scope["method"] == "OPTIONS":
            return _PREFLIGHT
        return await self._call_handler(handler, scope, receive)

    async def _call_handler(self, handler: Handler, scope: Scope, receive: Receive) -> Answer:
        body = await _body(receive)
        if body is None:
            return _plain(413, f"the body must be under {MAX_BODY_BYTES} bytes")
        raw = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        try:
            event = http_event(scope["method"], raw, query, scope["headers"], body, secrets.token_hex(8))
        except ValueError:
            return _plain(400, "the query has too many parts")
        loop = asyncio.get_running_loop()
        return http_answer(await loop.run_in_executor(self._threads, handler, event, _Context(event)))

    async def _graphql(self, scope: Scope, receive: Receive) -> Answer:
        if not self.is_own_host(host_of(scope["headers"])):
            return _plain(421, "this server does not answer to that host name")
        if scope["method"] != "POST":
            return _plain(405, "GraphQL is asked with POST")
        body = await _body(receive, MAX_GRAPHQL_BYTES)
        if body is None:
            return _plain(413, f"the body must be under {MAX_GRAPHQL_BYTES} bytes")
        return _json(*await graphql.answer(scope["headers"], body, self._threads))

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == graphql.PATH and self.is_own_host(host_of(scope["headers"])):
            await self._sockets.accept(scope, receive, send)
        else:
            await send({"type": "websocket.close"})


def _is_own_host(names: Set[str], host: bytes) -> bool:
    """Return whether a Host header names this server."""
    text = host.decode("latin-1")
    name = text.rsplit(":", 1)[0] if not text.endswith("]") else text
    if name.lower() in names:
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True  # unlike a name, an address cannot be pointed elsewhere


class _Context:
    """The part of Lambda's context that handlers read."""

    def __init__(self, event: dict[str, Any]) -> None:
        self.aws_request_id = event["requestContext"]["requestId"]


def _handler(path: str) -> Handler | None:
    if _SHOWS_LABEL.fullmatch(path):
        return _as_local_user(serve_label)
    if path.startswith(_IMAGE_PREFIXES):
        return serve_image
    if path in {"/slides", "/imports"} or path.startswith("/slides/"):
        return json_lists
    return _post_only(import_slide) if path == "/ImportSlide" else None


def is_image(path: str) -> bool:
    """Return whether the tile function answers this path: labels and macros have another function."""
    return _handler(path) is serve_image


def _as_local_user(handler: Handler) -> Handler:
    """Return the handler with the local user as the caller, as if the HTTP API's authoriser had accepted a token."""

    def call(event: dict[str, Any], context: Any) -> dict[str, Any]:
        event["requestContext"]["authorizer"] = graphql.LOCAL_USER.authorizer()
        return handler(event, context)

    return call


def _post_only(handler: Handler) -> Handler:
    """Return the handler with 405 for other methods than POST, as the HTTP API's route answers."""

    def call(event: dict[str, Any], context: Any) -> dict[str, Any]:
        if event["requestContext"]["http"]["method"] != "POST":
            return {"statusCode": 405, "headers": {"allow": "POST"}, "body": ""}
        return handler(event, context)

    return call


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _body(receive: Receive, max_bytes: int = MAX_BODY_BYTES) -> bytes | None:
    """Return the request's body, or None where it is too long or too slow."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                body.extend(message.get("body", b""))
                if len(body) > max_bytes:
                    return None
                if not message.get("more_body"):
                    return bytes(body)
    except TimeoutError:
        return None


def host_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the Host header, empty without one; a value too long for a name is cut, which makes it invalid."""
    for name, value in headers:
        if name == b"host":
            return value[:MAX_HOST]
    return b""


def _page_file(method: str, path: str) -> Answer:
    if method not in {"GET", "HEAD"}:
        return _plain(405, "only GET is answered here")
    if path == web_assets.CONFIG:  # no log-in on this machine; an error would show in every browser's console
        return 204, [], b""
    file = web_assets.find(path)
    if file is None:
        return _plain(404, "there is nothing at this address")
    headers = {**web_assets.SECURITY_HEADERS, "content-type": web_assets.content_type(file)}
    body = file.read_bytes()
    return 200, _pairs(headers, body), body


def _plain(status: int, message: str) -> Answer:
    return _json(status, {"error": message})


def _json(status: int, content: dict[str, Any]) -> Answer:
    body = json.dumps(content).encode()
    headers = {
        "content-type": "application/json",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }
    return status, _pairs(headers, body), body


def _pairs(headers: dict[str, str], body: bytes) -> list[tuple[bytes, bytes]]:
    return [(k.encode(), v.encode()) for k, v in {**headers, "content-length": str(len(body))}.items()]
