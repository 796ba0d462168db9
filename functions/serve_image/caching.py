"""Set how long images may be cached and by whom, and answer 304 to clients that have them; for all protocols."""

from collections.abc import Callable, Mapping
from functools import lru_cache

from lambda_support.http import Request, Response, content_etag, is_unchanged, tagged
from vsv.services import Services

IMMUTABLE = "max-age=31536000, immutable"
REVALIDATE = "no-cache"
PROVISIONAL = "max-age=60"


def image_headers(services: Services, etag: str, lifetime: str) -> dict[str, str]:
    """Return the headers of an image; a cache at the edge that checks access may keep the image for everybody."""
    return {
        "etag": etag,
        **_shared_headers(services.settings.allow_origin, services.settings.tile_caching, lifetime),
    }


def document_headers(services: Services, etag: str) -> dict[str, str]:
    """Return the headers of a document about a slide, which caches revalidate every time."""
    return {"etag": etag, **_shared_headers(services.settings.allow_origin, "private", REVALIDATE)}


@lru_cache(maxsize=64)
def _shared_headers(allowed: str, scope: str, lifetime: str) -> Mapping[str, str]:
    """Return the headers that all images with these settings have in common."""
    return {"cache-control": f"{scope}, {lifetime}", "x-content-type-options": "nosniff", **_cors(allowed)}


def cors_headers(services: Services) -> dict[str, str]:
    """Return the header that lets other sites' pages read images, where the settings allow that."""
    return _cors(services.settings.allow_origin)


def _cors(allowed: str) -> dict[str, str]:
    return {"access-control-allow-origin": allowed} if allowed else {}


def etag_of(*parts: object) -> str:
    """Return an ETag that changes with any of the parts."""
    return content_etag(repr(parts).encode())


def image_response(
    request: Request, make: Callable[[], bytes], mime: str, headers: dict[str, str]
) -> Response:
    """Answer with the image that ``make`` returns; for a client that has the image, 304 without calling ``make``."""
    if is_unchanged(request, headers["etag"]):
        return Response(304, "", headers)
    return tagged(request, make(), mime, headers)
