"""Answer every request with the same tile from memory, as an ASGI application: the cost of HTTP alone in Python."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

TILE = Path(os.environ["TILE_FILE"]).read_bytes()
HEADERS = [
    (b"etag", b'"12870000-18a0f3c2d4e5f607-16-100-100-jpeg-0-0"'),
    (b"cache-control", b"private, max-age=31536000, immutable"),
    (b"x-content-type-options", b"nosniff"),
    (b"access-control-allow-origin", b"*"),
    (b"content-type", b"image/jpeg"),
    (b"content-length", b"%d" % len(TILE)),
]


async def app(
    scope: MutableMapping[str, Any], _receive: Any, send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """Answer one request."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": TILE})
