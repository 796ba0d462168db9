"""Answer Deep Zoom addresses: descriptors, tiles and thumbnails; ``serve_label`` answers labels and macros.

``/DeepZoom/{ImageID}.dzi``, ``/DeepZoom/{ImageID}_files/{level}/{col}_{row}.{format}`` and
``/DeepZoom/{ImageID}_files/thumbnail.jpeg``, each with optional ``?tilesize&overlap&fmt&icc&intent``;
``/DeepZoom/{ImageID}_files/profile.icc``, the slide's ICC profile;
``/DeepZoom/{ImageID}_files/damage.json``, the places of tiles that cannot be decoded.

Caches keep a tile for a year. Where a slide's levels were rendered again, the descriptor has a ``vsv:Version``:
viewers that add it to tiles' addresses, as ``?v=``, show none of the old tiles.
"""

import re
from collections.abc import Mapping

from lambda_support.http import Request, Response, content_etag, is_unchanged, tagged, whole
from vsv.errors import InvalidQueryError, InvalidTileAddressError
from vsv.identifiers import checked_image_id
from vsv.rendering.colour_management import NAMESPACE, ColourState, colour_state, effective_intent
from vsv.rendering.colour_request import PASSTHROUGH, Colour, parse_colour
from vsv.rendering.tiles import MIME_TYPES, OWN_TILING, Tiling, render_tile
from vsv.services import Services
from vsv.slides.slide import Slide

from serve_image import caching
from serve_image.colour_headers import picture_headers, with_colour_state

PREFIX = "/DeepZoom/"
MAX_ADDRESS = 200
MAX_BOXES = 5000
_TILE = re.compile(PREFIX + r"([^/]*)_files/(\d{1,2})/(\d{1,7})_(\d{1,7})\.([a-z]{3,4})\Z", re.ASCII)
_NUMBER = re.compile(r"\d{1,5}\Z", re.ASCII)


def respond(services: Services, request: Request) -> Response:
    """Answer one Deep Zoom request; raises the domain's errors."""
    if len(request.path) > MAX_ADDRESS:
        raise InvalidTileAddressError("the address is too long")
    if (tile := _TILE.match(request.path)) is not None:
        image_id, level_dz, col, row, fmt = tile.groups()
        return _tile(services, request, image_id, (int(level_dz), int(col), int(row)), fmt)
    rest = request.path[len(PREFIX) :]
    if rest.endswith(".dzi"):
        return _descriptor(services, request, checked_image_id(rest[: -len(".dzi")]))
    image_id, separator, address = rest.partition("_files/")
    if not separator:
        raise InvalidTileAddressError("a Deep Zoom address is ID.dzi or ID_files/level/column_row.jpeg")
    if address in {"thumbnail.jpeg", "thumbnail.jpg"}:
        return _thumbnail(services, checked_image_id(image_id), request)
    if address == "profile.icc":
        return _profile(services, checked_image_id(image_id), request)
    if address == "damage.json":
        return _damage(services, checked_image_id(image_id), request)
    raise InvalidTileAddressError("a tile's address is level/column_row.jpeg")


def _descriptor(services: Services, request: Request, image_id: str) -> Response:
    slide, tiling = services.slide_cache.slide(image_id), _tiling(services, request)
    state = colour_state(slide, tiling.colour)
    attributes = _with_version(_attributes(slide, state), slide.damage.version)
    body = tiling.grid(slide).descriptor(tiling.fmt or "jpeg", attributes).encode()
    headers = with_colour_state(caching.document_headers(services, content_etag(body)), state)
    return tagged(request, body, "application/xml", headers)


def _attributes(slide: Slide, state: ColourState) -> str:
    """Return the descriptor's attributes of our own namespace: colours, and a slide's own channels."""
    from json import dumps  # noqa: PLC0415  cold start
    from xml.sax.saxutils import quoteattr  # noqa: PLC0415  cold start

    from vsv.rendering.shown_channels import RGB, shown_channels  # noqa: PLC0415  cold start

    text, shown = state.attributes(), shown_channels(slide)
    if shown is RGB:
        return text
    declared = text or f' xmlns:vsv="{NAMESPACE}"'
    return f"{declared} vsv:Channels={quoteattr(dumps(shown.document()))}"


def _tile(
    services: Services, request: Request, image_id: str, address: tuple[int, int, int], fmt: str
) -> Response:
    tiling = OWN_TILING
    if request.query or services.settings.icc != PASSTHROUGH:
        tiling = _tiling(services, request)
    if fmt not in MIME_TYPES:
        raise InvalidTileAddressError("a tile's format is one of jpeg, jpg, png")
    slide, fmt = services.slide_cache.slide(image_id), tiling.fmt or fmt
    level_dz, col, row = address
    headers = _tile_headers(services, slide, address, fmt, tiling)
    if is_unchanged(request, headers["etag"]):
        # Raises TileNotFoundError: a tile that never existed is 404, even for a client that claims to have it.
        tiling.grid(slide).tile_box(level_dz, col, row)
        return Response(304, "", headers)
    body = render_tile(slide, level_dz, col, row, fmt, tiling)
    if slide.damage:  # perhaps found only now
        headers = _tile_headers(services, slide, address, fmt, tiling)
    return whole(request, body, MIME_TYPES[fmt], headers)


def _tile_headers(
    services: Services, slide: Slide, address: tuple[int, int, int], fmt: str, tiling: Tiling
) -> dict[str, str]:
    etag, lifetime = _etag(slide, address, fmt, tiling), caching.lifetime(slide.is_provisional(address[0]))
    box_l0 = None
    if slide.damage:
        shift = slide.max_level - address[0]
        left, top, right, bottom = tiling.grid(slide).tile_box(*address)
        box_l0 = left << shift, top << shift, right << shift, bottom << shift
    return picture_headers(services, slide, box_l0, etag, lifetime, tiling.colour)


def _etag(slide: Slide, address: tuple[int, int, int], fmt: str, tiling: Tiling) -> str:
    """Return an ETag that changes with the slide's files and with every parameter that changes the bytes."""
    kind = "png" if fmt == "png" else "jpeg"
    level_dz, col, row = address
    intent = effective_intent(slide, tiling.colour)
    colour = "" if intent is None else f"-srgb-{intent}"
    return f'"{slide.stamp}-{level_dz}-{col}-{row}-{kind}-{tiling.tile_size or 0}-{tiling.overlap}{colour}"'


def _tiling(services: Services, request: Request) -> Tiling:
    """Return the tiling in the query; other keys, such as a viewer's cache busters, are ignored."""
    query, colour = request.query, parse_colour(request.query, services.settings.icc)
    return Tiling(
        _number(query, "tilesize"), _number(query, "overlap") or 0, query.get("fmt") or None, colour
    )


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if not text:
        return None
    if not _NUMBER.match(text):
        raise InvalidQueryError(f"{name} must be a whole number of pixels")
    return int(text)


def _thumbnail(services: Services, image_id: str, request: Request) -> Response:
    body = services.files.read_associated(image_id, "thumbnail")
    colour = parse_colour(request.query, services.settings.icc)
    if colour.icc == PASSTHROUGH:
        headers = caching.image_headers(services, content_etag(body), caching.REVALIDATE)
    else:
        slide = services.slide_cache.slide(image_id)
        body = _converted(slide, body, colour)
        headers = picture_headers(services, slide, None, content_etag(body), caching.REVALIDATE, colour)
    return tagged(request, body, "image/jpeg", headers)


def _converted(slide: Slide, thumbnail: bytes, colour: Colour) -> bytes:
    intent = effective_intent(slide, colour)
    if intent is None:
        return thumbnail
    from vsv.rendering.icc import convert_jpeg  # noqa: PLC0415  cold start

    return convert_jpeg(slide, thumbnail, intent)


def _profile(services: Services, image_id: str, request: Request) -> Response:
    from vsv.rendering.icc import stored_profile  # noqa: PLC0415  cold start

    body = stored_profile(services.slide_cache.slide(image_id))
    headers = caching.image_headers(services, content_etag(body), caching.REVALIDATE)
    return tagged(request, body, "application/vnd.iccprofile", headers)


def _damage(services: Services, image_id: str, request: Request) -> Response:
    """Answer with left, top, width and height of damaged places, in pixels of full resolution."""
    import json  # noqa: PLC0415  cold start

    slide = services.slide_cache.slide(image_id)
    boxes = slide.damaged_boxes(MAX_BOXES)
    body = json.dumps({"boxes": boxes[:MAX_BOXES], "more": len(boxes) > MAX_BOXES}).encode()
    return tagged(request, body, "application/json", caching.document_headers(services, content_etag(body)))


def _with_version(attributes: str, version: int) -> str:
    """Return a descriptor's attributes with the number of times that the levels were rendered again, if they were."""
    if not version:
        return attributes
    namespace = "" if attributes else f' xmlns:vsv="{NAMESPACE}"'
    return f'{namespace}{attributes} vsv:Version="{version}"'
