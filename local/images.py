"""Tiles that the page cache holds, answered on the event loop itself: no thread, no event, no base64.

The handler's own logic answers; what would have to wait or to work goes to a thread, the long way.
"""

import itertools
import secrets
from collections.abc import Iterable, Mapping

from http_api import Request, Response, answered
from serve_image.handler import serve
from vsv.haste import WouldWaitError
from vsv.haste import at_once as in_haste

_NO_QUERY: Mapping[str, str] = {}
_PROCESS, _count = secrets.token_hex(4), itertools.count(1)


def at_once(method: str, path: str, headers: Iterable[tuple[bytes, bytes]]) -> Response | None:
    """Answer a request without a query now, or give None where that would take time."""
    named = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    request = Request(method, path, _NO_QUERY, named, {})
    try:
        with in_haste():
            return answered(lambda: serve(request), f"{_PROCESS}-{next(_count):x}")
    except WouldWaitError:
        return None


def head_and_body(response: Response) -> tuple[bytes, bytes]:
    """Give a response's own headers as HTTP/1.1 has them, with the empty line at their end, and its body."""
    body = response.body if isinstance(response.body, bytes) else response.body.encode()
    lines = [f"{name}: {text}\r\n" for name, text in response.headers.items()]
    if "content-length" not in response.headers and response.status != 304:
        lines.append(f"content-length: {len(body)}\r\n")
    lines.append("\r\n")
    return "".join(lines).encode("latin-1"), body
