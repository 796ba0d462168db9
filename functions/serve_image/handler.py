"""GET tiles and images. Each protocol is one module that reads a request and gives a response."""

from typing import Any, Protocol

from http_api import Request, Response, answer
from vsv.errors import NotFoundError
from vsv.installation import Installation, current

from serve_image import deepzoom_protocol, iiif_protocol, webgateway_protocol


class ImageProtocol(Protocol):
    """What a module must have to be one: how its addresses begin, and how it answers."""

    PREFIXES: tuple[str, ...]

    def respond(self, here: Installation, request: Request) -> Response:
        """Answer a request; raises the domain's errors."""


PROTOCOLS: tuple[ImageProtocol, ...] = (deepzoom_protocol, iiif_protocol, webgateway_protocol)


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer GET and HEAD for an image."""
    return answer(event, context, serve)


def serve(request: Request) -> Response:
    """Answer a request by the protocol that its address belongs to; raises the domain's errors."""
    if request.method not in {"GET", "HEAD"}:
        return Response(405, "", {"allow": "GET, HEAD"})
    for protocol in PROTOCOLS:
        if request.path.startswith(protocol.PREFIXES):
            return protocol.respond(current(), request)
    raise NotFoundError("there is nothing at this address")
