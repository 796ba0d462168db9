"""Tiles that the page cache holds, answered on the event loop itself: no thread, no event, no base64.

The handler's own logic answers; what would have to wait or to work goes to a thread, the long way.
"""

import secrets
from collections.abc import Mapping, MutableMapping
from typing import Any

from http_api import Request, Response, answered
from serve_image.handler import serve
from vsv.haste import WouldWaitError
from vsv.haste import at_once as in_haste

Scope = MutableMapping[str, Any]
Answer = tuple[int, list[tuple[bytes, bytes]], bytes]

_TILES = (".jpeg", ".jpg")
_NO_QUERY: Mapping[str, str] = {}


def at_once(scope: Scope) -> Answer | None:
    """Answer a request for a tile now, or give None where that would take time."""
    path = scope["path"]
    if scope["query_string"] or not path.endswith(_TILES) or scope["method"] not in {"GET", "HEAD"}:
        return None
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    request = Request(scope["method"], path, _NO_QUERY, headers, {})
    try:
        with in_haste():
            return http_answer(answered(lambda: serve(request), secrets.token_hex(8)))
    except WouldWaitError:
        return None


def http_answer(response: Response) -> Answer:
    """Give a response's status, headers and body as ASGI wants them."""
    body = response.body if isinstance(response.body, bytes) else response.body.encode()
    headers = [(name.encode("latin-1"), text.encode("latin-1")) for name, text in response.headers.items()]
    if "content-length" not in response.headers and response.status != 304:
        headers.append((b"content-length", b"%d" % len(body)))
    return response.status, headers, body
