"""GET tiles and images. Each protocol is one module that reads a request and returns a response."""

from functools import cache
from typing import Any, Protocol

from lambda_support.http import Request, Response, answer
from vsv.errors import NotFoundError, VsvError
from vsv.runtime import current
from vsv.services import Services

from serve_image import caching


class ImageProtocol(Protocol):
    """The interface of a protocol's module."""

    def respond(self, services: Services, request: Request) -> Response:
        """Answer a request; raises the domain's errors."""


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


# Each protocol is imported at its first request: a cold start for Deep Zoom must not wait for the others.
@cache
def _deepzoom() -> ImageProtocol:
    from serve_image.deepzoom import protocol  # noqa: PLC0415

    return protocol


@cache
def _iiif() -> ImageProtocol:
    from serve_image.iiif import protocol  # noqa: PLC0415

    return protocol


@cache
def _webgateway() -> ImageProtocol:
    from serve_image.omero import webgateway  # noqa: PLC0415

    return webgateway


@cache
def _omero_api() -> ImageProtocol:
    from serve_image.omero import json_api  # noqa: PLC0415

    return json_api


PROTOCOLS = {
    "/DeepZoom/": _deepzoom,
    "/iiif/": _iiif,
    "/webgateway/": _webgateway,
    "/webclient/": _webgateway,
    "/api/": _omero_api,
}
