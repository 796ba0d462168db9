"""Serve large_image's own tile source by the smallest WSGI application, for gunicorn; the slide is $SLIDE."""

import os
from collections.abc import Callable, Iterable
from typing import Any

import large_image

source = large_image.open(os.environ["SLIDE"], encoding="JPEG", jpegQuality=75)
top = source.getMetadata()["levels"] - 1


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer /{halvings}/{col}/{row}."""
    try:
        shift, col, row = (int(part) for part in environ["PATH_INFO"][1:].split("/"))
        body = bytes(source.getTile(col, row, top - shift))
    except Exception:
        start_response("404 Not Found", [("Content-Length", "0")])
        return [b""]
    start_response("200 OK", [("Content-Type", "image/jpeg"), ("Content-Length", str(len(body)))])
    return [body]
