"""How long images may be kept, by whom, and what is answered to who has one already; the same for all protocols."""

from collections.abc import Callable, Mapping
from functools import lru_cache

from lambda_support.http import Request, Response, content_etag, is_unchanged, tagged
from vsv.services import Services

IMMUTABLE = "max-age=31536000, immutable"
REVALIDATE = "no-cache"
PROVISIONAL = "max-age=60"


def headers(services: Services, etag: str, kept: str) -> dict[str, str]:
    """Give the headers of an image, which an edge that knows who asks may keep for all."""
    return {"etag": etag, **_alike(services.settings.allow_origin, services.settings.tile_caching, kept)}


def document_headers(services: Services, etag: str) -> dict[str, str]:
    """Give the headers of a document about a slide, which is asked for anew each time."""
    return {"etag": etag, **_alike(services.settings.allow_origin, "private", REVALIDATE)}


@lru_cache(maxsize=64)
def _alike(allowed: str, by_whom: str, kept: str) -> Mapping[str, str]:
    """Give what all such images' headers have in common."""
    return {"cache-control": f"{by_whom}, {kept}", "x-content-type-options": "nosniff", **_cors(allowed)}


def cors(services: Services) -> dict[str, str]:
    """Give the header that lets other sites' pages read images, where they may."""
    return _cors(services.settings.allow_origin)


def _cors(allowed: str) -> dict[str, str]:
    return {"access-control-allow-origin": allowed} if allowed else {}


def etag_of(*parts: object) -> str:
    """Give a tag that changes with any of the parts."""
    return content_etag(repr(parts).encode())


def made(request: Request, make: Callable[[], bytes], mime: str, found: dict[str, str]) -> Response:
    """Answer with what ``make`` gives; without making it for a client that has it already."""
    if is_unchanged(request, found["etag"]):
        return Response(304, "", found)
    return tagged(request, make(), mime, found)
