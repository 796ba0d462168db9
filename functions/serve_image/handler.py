"""GET tiles and images: each address prefix belongs to one protocol."""

from typing import Any

from lambda_support.http import Request, Response, answer
from vsv.errors import NotFoundError, VsvError
from vsv.runtime import current

from serve_image import caching
from serve_image.protocols import PROTOCOLS


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer GET and HEAD for an image."""
    response = answer(event, context, serve)
    if response["statusCode"] >= 400:
        response["headers"] = {**response["headers"], **_cors_headers()}
    return response


def _cors_headers() -> dict[str, str]:
    """Return the header with which pages that may read images can read an error too, such as a size limit."""
    try:
        return caching.cors_headers(current())
    except VsvError:
        return {}


def serve(request: Request) -> Response:
    """Answer a request by the protocol that its address belongs to; raises the domain's errors."""
    if request.method not in {"GET", "HEAD"}:
        return Response(405, "", {"allow": "GET, HEAD"})
    for prefix, protocol in PROTOCOLS.items():
        if request.path.startswith(prefix):
            return protocol().respond(current(), request)
    raise NotFoundError("there is nothing at this address")
