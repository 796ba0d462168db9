"""Answer the pages of OMERO.web's webclient that people get links to: a slide's page redirects to the viewer.

QuPath's OMERO extension takes such links, and reads the user's ID from the start page.
"""

import re
from urllib.parse import quote

from lambda_support.http import Request, Response, tagged
from vsv.errors import InvalidTileAddressError, NotFoundError
from vsv.services import Services
from vsv.storage.numeric_ids import parse_number

from serve_image import caching
from serve_image.omero.json_api_documents import FULL_NAME, USER
from serve_image.omero.parameters import text

_SHOWN = re.compile(r"image-(\d{1,16})\Z", re.ASCII)
# The extension searches for this comment, part of OMERO.web's script (WebclientApi.USER_ID_PATTERN).
_START = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Slides for OMERO's clients</title>
<!-- WEBCLIENT.USER = {{'id': {USER}, 'fullName': "{FULL_NAME}"}}; -->
<p>A slide's address for OMERO's clients is <code>/webclient/?show=image-NUMBER</code>. <a href="/">All slides</a></p>
""".encode()
_NOTHING_RUNS = {"content-security-policy": "default-src 'none'; frame-ancestors 'none'"}


def start_page(services: Services, request: Request, parts: list[str]) -> Response:
    """Answer ``webclient/``; with ``?show=image-{id}``, redirect to the slide."""
    shown = text(request.query, "show")
    if not request.path.startswith("/webclient/") or parts:
        raise NotFoundError("there is nothing at this address")
    if shown:
        return _redirect_to_viewer(services, _number_shown(shown))
    headers = caching.document_headers(services, caching.etag_of(_START)) | _NOTHING_RUNS
    return tagged(request, _START, "text/html; charset=utf-8", headers)


def image_page(services: Services, request: Request, parts: list[str]) -> Response:  # noqa: ARG001  as all endpoints
    """Redirect from ``img_detail/{id}/`` to the slide."""
    if len(parts) != 1:
        raise InvalidTileAddressError("the address is the image's number")
    return _redirect_to_viewer(services, parts[0])


def ping(services: Services, request: Request, parts: list[str]) -> Response:
    """Answer ``keepalive_ping/``: nobody is logged in whose session could end."""
    if parts:
        raise NotFoundError("there is nothing at this address")
    return tagged(request, b"OK", "text/plain", caching.document_headers(services, caching.etag_of("ping")))


def _number_shown(shown: str) -> str:
    match = _SHOWN.match(shown)
    if match is None:
        raise NotFoundError("only images can be shown here: image-NUMBER")
    return match[1]


def _redirect_to_viewer(services: Services, number: str) -> Response:
    """Redirect to the slide in the viewer; raises InvalidNameError and SlideNotFoundError."""
    image_id = services.numeric_ids.image_id(parse_number(number))
    services.slide_cache.slide(image_id)
    caching_headers = {"cache-control": f"private, {caching.REVALIDATE}"}
    return Response(303, "", {"location": f"/#/view/{quote(image_id, safe='')}", **caching_headers})
