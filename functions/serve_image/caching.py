"""How long images may be kept, and by whom: the headers that all protocols give."""

from vsv.installation import Installation

IMMUTABLE = "max-age=31536000, immutable"
REVALIDATE = "no-cache"
PROVISIONAL = "max-age=60"


def headers(here: Installation, etag: str, kept: str) -> dict[str, str]:
    """Give the headers of an image; what is asked for anew each time concerns no shared cache."""
    for_whom = "private" if kept == REVALIDATE else here.settings.tile_caching
    return {
        "etag": etag,
        "cache-control": f"{for_whom}, {kept}",
        "x-content-type-options": "nosniff",
        **cors(here),
    }


def cors(here: Installation) -> dict[str, str]:
    """Give the header that lets other sites' pages read images, where they may."""
    allowed = here.settings.allow_origin
    return {"access-control-allow-origin": allowed} if allowed else {}
