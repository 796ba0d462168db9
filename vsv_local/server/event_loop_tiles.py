"""Answer tiles in the page cache on the event loop itself: no thread, no event, no base64.

The handler's own logic answers; a request that would have to wait or to compute goes to a thread instead.
"""

from collections.abc import Iterable, Mapping

from lambda_support.http import Request, Response
from serve_image.handler import serve
from vsv.nonblocking import non_blocking

_NOTHING: Mapping[str, str] = {}


def header_dict(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers as handlers read them."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


def answer_non_blocking(method: str, path: str, headers: Mapping[str, str]) -> Response | None:
    """Answer a request without a query now; None where that would take time or fails: a thread then answers."""
    request = Request(method, path, _NOTHING, headers, _NOTHING)
    try:
        with non_blocking():
            return serve(request)
    except Exception:
        return None


def head_and_body(response: Response) -> tuple[bytes, bytes]:
    """Return a response's own headers in HTTP/1.1 form, with the empty line at their end, and its body."""
    body = response.body if isinstance(response.body, bytes) else response.body.encode()
    head = "\r\n".join(map(": ".join, response.headers.items()))
    if "content-length" not in response.headers and response.status != 304:
        head = f"{head}\r\ncontent-length: {len(body)}"
    return f"{head}\r\n\r\n".encode("latin-1"), body
