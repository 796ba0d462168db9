"""Set how long images may be cached and by whom, and answer 304 to clients that have them; for all protocols."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from lambda_support.http import Request, Response, content_etag, is_unchanged, tagged
from vsv.services import Services

if TYPE_CHECKING:  # labels are served without a slide
    from vsv.slides.slide import Slide

IMMUTABLE = "max-age=31536000, immutable"
REVALIDATE = "no-cache"
PROVISIONAL = "max-age=60"

Box = tuple[int, int, int, int]


def image_headers(services: Services, etag: str, lifetime: str) -> dict[str, str]:
    """Return the headers of an image; a cache at the edge that checks access may keep the image for everybody."""
    return {
        "etag": etag,
        **_shared_headers(services.settings.allow_origin, services.settings.tile_caching, lifetime),
    }


def lifetime(provisional: bool) -> str:
    """Return how long an image may be cached; ``provisional``: it will look different once levels are rendered."""
    return PROVISIONAL if provisional else IMMUTABLE


def slide_headers(services: Services, slide: Slide, box_l0: Box, etag: str, lifetime: str) -> dict[str, str]:
    """Return the headers of an image of a part of a slide: caches revalidate one that shows damage every time.

    Its ETag differs: a copy in a cache, from before the damage was found, is not confirmed.
    """
    if slide.shows_damage(box_l0):
        return image_headers(services, f'{etag[:-1]}-damaged"', REVALIDATE)
    return image_headers(services, etag, lifetime)


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
    request: Request, make: Callable[[], bytes], mime: str, headers: Callable[[], dict[str, str]]
) -> Response:
    """Answer with the image that ``make`` returns; for a client that has the image, 304 without calling ``make``.

    ``headers`` is called again once the image is made, because damage may have been found meanwhile.
    """
    if is_unchanged(request, (before := headers())["etag"]):
        return Response(304, "", before)
    return tagged(request, make(), mime, headers())
