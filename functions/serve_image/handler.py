"""GET tiles and images. Each protocol is one module that reads a request and gives a response."""

from typing import Any

from http_api import Request, Response, answer
from vsv.errors import NotFoundError
from vsv.installation import current

from serve_image import deepzoom_protocol, webgateway_protocol


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer GET and HEAD for an image."""
    return answer(event, context, _serve)


def _serve(request: Request) -> Response:
    if request.method not in {"GET", "HEAD"}:
        return Response(405, "", {"allow": "GET, HEAD"})
    if request.path.startswith(deepzoom_protocol.PREFIX):
        return deepzoom_protocol.respond(current(), request)
    if request.path.startswith(webgateway_protocol.PREFIXES):
        return webgateway_protocol.respond(current(), request)
    raise NotFoundError("there is nothing at this address")
