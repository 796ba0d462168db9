"""How long images may be kept, by whom, and what is answered to who has one already; the same for all protocols."""

from collections.abc import Callable

from http_api import Request, Response, content_etag, is_unchanged, tagged
from vsv.installation import Installation

IMMUTABLE = "max-age=31536000, immutable"
REVALIDATE = "no-cache"
PROVISIONAL = "max-age=60"


def headers(here: Installation, etag: str, kept: str) -> dict[str, str]:
    """Give the headers of an image, which an edge that knows who asks may keep for all."""
    return _headers(here, etag, f"{here.settings.tile_caching}, {kept}")


def document_headers(here: Installation, etag: str) -> dict[str, str]:
    """Give the headers of a document about a slide, which is asked for anew each time."""
    return _headers(here, etag, f"private, {REVALIDATE}")


def _headers(here: Installation, etag: str, caching: str) -> dict[str, str]:
    return {"etag": etag, "cache-control": caching, "x-content-type-options": "nosniff", **cors(here)}


def cors(here: Installation) -> dict[str, str]:
    """Give the header that lets other sites' pages read images, where they may."""
    allowed = here.settings.allow_origin
    return {"access-control-allow-origin": allowed} if allowed else {}


def etag_of(*parts: object) -> str:
    """Give a tag that changes with any of the parts."""
    return content_etag(repr(parts).encode())


def made(request: Request, make: Callable[[], bytes], mime: str, found: dict[str, str]) -> Response:
    """Answer with what ``make`` gives; without making it for a client that has it already."""
    if is_unchanged(request, found["etag"]):
        return Response(304, "", found)
    return tagged(request, make(), mime, found)
