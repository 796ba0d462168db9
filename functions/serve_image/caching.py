"""How long images may be kept, and by whom: the headers that all protocols give."""

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
