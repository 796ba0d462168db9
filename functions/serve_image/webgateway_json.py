"""JSON answers of OMERO's webgateway, also as a script for pages of other sites (``?callback=name``)."""

import json
import re
from typing import Any

from http_api import Request, Response
from vsv.errors import InvalidQueryError
from vsv.installation import Installation

from serve_image import webgateway_caching as caching
from serve_image.webgateway_grammar import text

_CALLBACK = re.compile(r"[a-zA-Z_$][0-9a-zA-Z_$]{0,99}\Z", re.ASCII)


def json_answer(here: Installation, request: Request, content: Any, *, varies: bool = False) -> Response:
    """Give JSON, asked for anew each time; ``varies``: it depends on which site's page asks."""
    body = json.dumps(content, separators=(",", ":")).encode()
    callback, mime = text(request.query, "callback"), "application/json"
    if callback is not None:
        if not _CALLBACK.match(callback):
            raise InvalidQueryError("callback must be a name in JavaScript")
        body, mime = callback.encode() + b"(" + body + b")", "application/javascript"
    found = caching.headers(here, caching.etag_of(body), caching.REVALIDATE)
    if varies:
        found["vary"] = "Origin, Sec-Fetch-Site"
    return caching.tagged(request, lambda: body, mime, found)


def is_own_page(here: Installation, request: Request) -> bool:
    """Tell whether who asks is no other site's page: those may see slides, but not read whose they are.

    Such a page, open in the same browser, reaches a server on loopback too. ``allow_origin`` may name one that may.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if origin is not None and origin == here.settings.allow_origin:
        return True
    if site is not None:
        return site in {"same-origin", "none"}
    return origin is None and "callback" not in request.query
