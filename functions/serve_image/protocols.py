"""Load the protocols by the prefixes of their addresses; each is one module that answers requests."""

from functools import cache
from typing import Protocol

from lambda_support.http import Request, Response
from vsv.services import Services


class ImageProtocol(Protocol):
    """The interface of a protocol's module."""

    def respond(self, services: Services, request: Request) -> Response:
        """Answer a request; raises the domain's errors."""


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
