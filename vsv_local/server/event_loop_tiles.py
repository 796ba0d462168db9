"""Tiles that the page cache holds, answered on the event loop itself: no thread, no event, no base64.

The handler's own logic answers; what would have to wait or to work goes to a thread, the long way.
"""

from collections.abc import Iterable, Mapping

from lambda_support.http import Request, Response
from serve_image.handler import serve
from vsv.nonblocking import non_blocking as is_non_blocking

_NOTHING: Mapping[str, str] = {}


def named(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Give headers as handlers read them."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


def non_blocking(method: str, path: str, headers: Mapping[str, str]) -> Response | None:
    """Answer a request without a query now, or give None where that takes time or fails: the long way says why."""
    request = Request(method, path, _NOTHING, headers, _NOTHING)
    try:
        with is_non_blocking():
            return serve(request)
    except Exception:
        return None


def head_and_body(response: Response) -> tuple[bytes, bytes]:
    """Give a response's own headers as HTTP/1.1 has them, with the empty line at their end, and its body."""
    body = response.body if isinstance(response.body, bytes) else response.body.encode()
    head = "\r\n".join(map(": ".join, response.headers.items()))
    if "content-length" not in response.headers and response.status != 304:
        head = f"{head}\r\ncontent-length: {len(body)}"
    return f"{head}\r\n\r\n".encode("latin-1"), body
