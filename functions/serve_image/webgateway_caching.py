"""How long webgateway's answers may be kept, and what is answered to a client that has one already."""

import hashlib
from collections.abc import Callable

from http_api import Request, Response
from vsv.installation import Installation

IMMUTABLE = "private, max-age=31536000, immutable"
REVALIDATE = "private, no-cache"
PROVISIONAL = "private, max-age=60"

Headers = dict[str, str]


def headers(here: Installation, etag: str, caching: str) -> Headers:
    """Give the headers that every answer has."""
    found = {"etag": etag, "cache-control": caching, "x-content-type-options": "nosniff"}
    if here.settings.allow_origin:
        found["access-control-allow-origin"] = here.settings.allow_origin
    return found


def etag_of(*parts: object) -> str:
    """Give a tag that changes with any of the parts."""
    return f'"{hashlib.sha256(repr(parts).encode()).hexdigest()[:24]}"'


def tagged(request: Request, make: Callable[[], bytes], mime: str, found: Headers) -> Response:
    """Answer with what ``make`` gives; without making it where the client has it, without sending it to HEAD."""
    if _is_unchanged(request, found["etag"]):
        return Response(304, "", found)
    body = make()
    if request.method == "HEAD":
        return Response(200, "", {**found, "content-type": mime, "content-length": str(len(body))})
    return Response(200, body, {**found, "content-type": mime})


def _is_unchanged(request: Request, etag: str) -> bool:
    """Compare If-None-Match weakly, as RFC 9110 section 13.1.2 says."""
    sent = request.headers.get("if-none-match")
    if not sent:
        return False
    return sent.strip() == "*" or etag in {part.strip().removeprefix("W/") for part in sent.split(",")}
