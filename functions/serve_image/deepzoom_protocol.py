"""Deep Zoom addresses: descriptors, tiles and associated images.

``/DeepZoom/{ImageID}.dzi``, ``/DeepZoom/{ImageID}_files/{level}/{col}_{row}.{format}`` and
``/DeepZoom/{ImageID}_files/{label|thumbnail|macro}.jpeg``, each with optional ``?tilesize&overlap&fmt``.
"""

import re
from collections.abc import Mapping

from http_api import Request, Response
from vsv.errors import (
    FileMissingError,
    ImageNotFoundError,
    InvalidQueryError,
    InvalidTileAddressError,
    SlideNotFoundError,
)
from vsv.files import ASSOCIATED
from vsv.installation import Installation
from vsv.names import checked_image_id
from vsv.slide import Slide
from vsv.tiles import MIME_TYPES, OWN_TILING, Tiling, render_tile

PREFIX = "/DeepZoom/"
MAX_ADDRESS = 200
IMMUTABLE = "private, max-age=31536000, immutable"
REVALIDATE = "private, no-cache"
PROVISIONAL = "private, max-age=60"
_TILE = re.compile(r"(\d{1,2})/(\d{1,7})_(\d{1,7})\.([a-z]{3,4})\Z", re.ASCII)
_NUMBER = re.compile(r"\d{1,5}\Z", re.ASCII)
_PRIVATE = {"label", "macro"}  # both show the patient's label


def respond(here: Installation, request: Request) -> Response:
    """Answer one Deep Zoom request; raises the domain's errors."""
    if len(request.path) > MAX_ADDRESS:
        raise InvalidTileAddressError("the address is too long")
    rest = request.path[len(PREFIX) :]
    if rest.endswith(".dzi"):
        return _descriptor(here, request, checked_image_id(rest[: -len(".dzi")]))
    image_id, found, address = rest.partition("_files/")
    if not found:
        raise InvalidTileAddressError("a Deep Zoom address is ID.dzi or ID_files/level/column_row.jpeg")
    if (tile := _TILE.match(address)) is not None:
        level_dz, col, row = int(tile[1]), int(tile[2]), int(tile[3])
        return _tile(here, request, checked_image_id(image_id), (level_dz, col, row), tile[4])
    return _associated(here, request, checked_image_id(image_id), address)


def _descriptor(here: Installation, request: Request, image_id: str) -> Response:
    slide, tiling = here.library.slide(image_id), _tiling(request)
    body = tiling.grid(slide).descriptor(tiling.fmt or "jpeg").encode()
    etag = _etag_of(body)
    return _cached(here, request, body, "application/xml", etag, REVALIDATE)


def _tile(
    here: Installation, request: Request, image_id: str, address: tuple[int, int, int], fmt: str
) -> Response:
    tiling = _tiling(request) if request.query else OWN_TILING
    if fmt not in MIME_TYPES:
        raise InvalidTileAddressError("a tile's format is one of jpeg, jpg, png")
    slide, fmt = here.library.slide(image_id), tiling.fmt or fmt
    etag = _etag(slide, address, fmt, tiling)
    caching = PROVISIONAL if slide.is_provisional(address[0]) else IMMUTABLE
    if _unchanged(request, etag):
        # Raises: a tile that never was is 404, whatever the client says.
        tiling.grid(slide).tile_box(*address)
        return Response(304, "", _headers(here, etag, caching))
    return _cached(here, request, render_tile(slide, *address, fmt, tiling), MIME_TYPES[fmt], etag, caching)


def _etag_of(body: bytes) -> str:
    """Make a tag of the content itself."""
    import hashlib  # noqa: PLC0415  cold start: a tile has no checksum

    return f'"{hashlib.sha256(body).hexdigest()[:24]}"'


def _etag(slide: Slide, address: tuple[int, int, int], fmt: str, tiling: Tiling) -> str:
    """Make a tag that changes with the slide's files and with every choice that changes the bytes."""
    kind = "png" if fmt == "png" else "jpeg"
    level_dz, col, row = address
    return f'"{slide.stamp}-{level_dz}-{col}-{row}-{kind}-{tiling.tile_size or 0}-{tiling.overlap}"'


def _tiling(request: Request) -> Tiling:
    """Read the query; other keys are a viewer's own affair (cache busters)."""
    query = request.query
    return Tiling(_number(query, "tilesize"), _number(query, "overlap") or 0, query.get("fmt") or None)


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if not text:
        return None
    if not _NUMBER.match(text):
        raise InvalidQueryError(f"{name} must be a whole number of pixels")
    return int(text)


def _associated(here: Installation, request: Request, image_id: str, address: str) -> Response:
    name, _, suffix = address.partition(".")
    if name not in ASSOCIATED or suffix not in {"jpeg", "jpg"}:
        raise InvalidTileAddressError("a tile's address is level/column_row.jpeg")
    path = here.files.associated(image_id, name)
    try:
        body = path.read_bytes()
    except FileNotFoundError as error:
        if not here.files.slide(image_id).exists():
            raise SlideNotFoundError("there is no slide with this ImageID") from error
        raise ImageNotFoundError(f"this slide has no {name}") from error
    except OSError as error:
        raise FileMissingError(f"the {name} cannot be read now") from error
    etag = _etag_of(body)
    return _cached(here, request, body, "image/jpeg", etag, "no-store" if name in _PRIVATE else REVALIDATE)


def _cached(
    here: Installation, request: Request, body: bytes, mime: str, etag: str, caching: str
) -> Response:
    """Answer with the body, or without it where the client has it or asked only for the headers."""
    headers = _headers(here, etag, caching)
    if caching == "no-store":
        del headers["access-control-allow-origin"]  # no other site's page may read a label
    if _unchanged(request, etag):
        return Response(304, "", headers)
    headers["content-type"] = mime
    if request.method == "HEAD":
        headers["content-length"] = str(len(body))
        return Response(200, "", headers)
    return Response(200, body, headers)


def _headers(here: Installation, etag: str, caching: str) -> dict[str, str]:
    return {
        "etag": etag,
        "cache-control": caching,
        "access-control-allow-origin": here.settings.allow_origin,
        "x-content-type-options": "nosniff",
    }


def _unchanged(request: Request, etag: str) -> bool:
    """Compare If-None-Match weakly, as RFC 9110 section 13.1.2 says."""
    sent = request.headers.get("if-none-match")
    if not sent:
        return False
    return sent.strip() == "*" or etag in {part.strip().removeprefix("W/") for part in sent.split(",")}
