"""Answer OMERO's webgateway, ``/webgateway/…`` and ``/webclient/…``, as OMERO.web and the microservice do.

The microservice is OMERO's image region microservice. An image is addressed by its number
(``vsv/storage/numeric_ids.py``). The slash at the end of an address may be left out. ``docs/protocols.md`` has every
address and parameter.
"""

import re
from collections.abc import Callable
from typing import Any

from lambda_support.http import Request, Response
from vsv.errors import (
    ConflictError,
    InvalidQueryError,
    InvalidTileAddressError,
    NotFoundError,
    TooLargeError,
    UnreadableSlideError,
)
from vsv.rendering.colour_management import effective_intent
from vsv.rendering.colour_request import Colour, parse_colour
from vsv.rendering.image_request import MAX_AREA_PX, View
from vsv.rendering.shown_channels import shown_channels
from vsv.services import Services
from vsv.slides.slide import Slide
from vsv.storage.numeric_ids import parse_number

from serve_image import caching
from serve_image.colour_headers import picture_headers
from serve_image.omero import images, unsupported, webclient
from serve_image.omero.channels import read_color
from serve_image.omero.histograms import plane_histogram
from serve_image.omero.json_responses import json_answer
from serve_image.omero.metadata import describe
from serve_image.omero.parameters import flips, read_region_query, text, whole_number
from serve_image.omero.planes import at_plane, queried_plane

MAX_ADDRESS = 200
THUMBNAIL_PX = 96
# As OMERO's omero.web.thumbnails_batch; and the most pixels of all thumbnails together.
MAX_THUMBNAILS, MAX_THUMBNAILS_PX = 50, MAX_AREA_PX // 4
_NUMBER = re.compile(r"\d{1,9}\Z", re.ASCII)
_Endpoint = Callable[[Services, Request, list[str]], Response]
_Headers = Callable[[], dict[str, str]]


def respond(services: Services, request: Request) -> Response:
    """Answer one request; raises the domain's errors."""
    if len(request.path) > MAX_ADDRESS:
        raise InvalidTileAddressError("the address is too long")
    name, *parts = request.path.split("/", 2)[2].removesuffix("/").split("/")
    if name not in _ENDPOINTS:
        raise NotFoundError("there is nothing at this address")
    return _ENDPOINTS[name](services, request, parts)


def _region(services: Services, request: Request, parts: list[str]) -> Response:
    """Answer ``render_image_region/{id}/{z}/{t}/``."""
    return _picture(services, request, parts, min_parts=3)


def _region_rdef(services: Services, request: Request, parts: list[str]) -> Response:
    """Answer ``render_image_region_rdef/{id}/{z}/{t}/``: all settings must be given."""
    return _picture(services, request, parts, min_parts=3, strict=True)


def _image(services: Services, request: Request, parts: list[str]) -> Response:
    """Answer ``render_image/{id}/[{z}/[{t}/]]``: the whole slide, where that is small enough for one picture."""
    return _picture(services, request, parts, min_parts=1)


def _image_rdef(services: Services, request: Request, parts: list[str]) -> Response:
    """Answer ``render_image_rdef/{id}/[{z}/[{t}/]]``: all settings must be given."""
    return _picture(services, request, parts, min_parts=1, strict=True)


def _picture(
    services: Services, request: Request, parts: list[str], *, min_parts: int, strict: bool = False
) -> Response:
    if not min_parts <= len(parts) <= 3:
        raise InvalidTileAddressError("the address is the image's number, then z and t")
    slide = at_plane(_slide(services, parts[0])[1], *map(_whole_number, parts[1:]))
    defaults, whole = shown_channels(slide).defaults, min_parts == 1
    image = read_region_query(request.query, slide.grid, strict=strict, whole=whole, defaults=defaults)
    colour = parse_colour(request.query, services.settings.icc)
    variant = image.canonical, effective_intent(slide, colour)
    headers = _headers(services, slide, image.view, variant, slide.is_provisional(image.level_dz), colour)
    return caching.image_response(
        request, lambda: images.draw_image(slide, image, colour), images.MIME_TYPES[image.fmt], headers
    )


def _slide(services: Services, number: str) -> tuple[str, Slide]:
    """Return the ImageID and the slide that have a number; raises InvalidNameError and SlideNotFoundError."""
    image_id = services.numeric_ids.image_id(parse_number(number))
    return image_id, services.slide_cache.slide(image_id)


def _whole_number(part: str) -> int:
    if not _NUMBER.match(part):
        raise InvalidTileAddressError("the address holds something else where a whole number should be")
    return int(part)


def _headers(
    services: Services, slide: Slide, view: View, variant: object, provisional: bool, colour: Colour
) -> _Headers:
    """Return an image's headers; ``variant`` is everything that the image depends on besides the slide."""
    etag, lifetime = caching.etag_of(slide.stamp, variant), caching.lifetime(provisional)
    return lambda: picture_headers(services, slide, view.reach_l0, etag, lifetime, colour)


def _thumbnail(services: Services, request: Request, parts: list[str]) -> Response:
    """Answer ``render_thumbnail/{id}/[{w}/[{h}/]]``, and webclient's ``render_thumbnail/size/{w}/{id}/``."""
    if len(parts) == 3 and parts[0] == "size":
        parts = [parts[2], parts[1]]
    slide, view = _read_thumbnail(services, request, parts, 3)
    colour = parse_colour(request.query, services.settings.icc)
    variant = "thumbnail", view, effective_intent(slide, colour)
    headers = _headers(services, slide, view, variant, images.is_provisional(slide, view), colour)
    return caching.image_response(
        request, lambda: images.draw_thumbnail(slide, view, colour), "image/jpeg", headers
    )


def _birds_eye_view(services: Services, request: Request, parts: list[str]) -> Response:
    """Answer ``render_birds_eye_view/{id}/[{size}/]``: a thumbnail, as in OMERO.web."""
    if len(parts) > 2:
        raise InvalidTileAddressError("the address is the image's number, then the longest side")
    return _thumbnail(services, request, parts)


def _read_thumbnail(
    services: Services, request: Request, parts: list[str], max_parts: int
) -> tuple[Slide, View]:
    if not 1 <= len(parts) <= max_parts:
        raise InvalidTileAddressError("the address is the image's number, then width and height")
    whole_number(request.query, "rdefId", 0)  # there are no stored settings to choose from
    slide = queried_plane(_slide(services, parts[0])[1], request.query)
    width, height = [*(_whole_number(part) for part in parts[1:]), None, None][:2]
    return slide, images.thumbnail_view(slide, THUMBNAIL_PX if width is None else width, height)


def _thumbnail_json(services: Services, request: Request, parts: list[str]) -> Response:
    """Answer ``get_thumbnail/{id}/[{w}/[{h}/]]``: a data URI as JSON."""
    slide, view = _read_thumbnail(services, request, parts, 3)
    colour = parse_colour(request.query, services.settings.icc)
    return json_answer(services, request, images.data_uri(images.draw_thumbnail(slide, view, colour)))


def _thumbnails_json(services: Services, request: Request, parts: list[str]) -> Response:
    """Answer ``get_thumbnails/[{w}/]?id=…&id=…``: data URIs by number; null for a slide that cannot be shown."""
    if len(parts) > 1:
        raise InvalidTileAddressError("the address is the longest side of the thumbnails")
    numbers = _numbers(request)
    side = _whole_number(parts[0]) if parts else THUMBNAIL_PX
    if side * side * len(numbers) > MAX_THUMBNAILS_PX:
        raise TooLargeError(f"thumbnails may have at most {MAX_THUMBNAILS_PX} pixels together")
    colour = parse_colour(request.query, services.settings.icc)
    return json_answer(
        services, request, {number: _data_uri(services, number, side, colour) for number in numbers}
    )


def _numbers(request: Request) -> list[str]:
    """Return the numbers in ``id``, which may be repeated: API Gateway joins the values with commas."""
    ids = text(request.query, "id")
    if not ids:
        raise InvalidQueryError("id is required: the number of each image")
    numbers = list(dict.fromkeys(ids.split(",")))
    if len(numbers) > MAX_THUMBNAILS:
        raise TooLargeError(f"at most {MAX_THUMBNAILS} thumbnails at a time")
    return [str(parse_number(number)) for number in numbers]


def _data_uri(services: Services, number: str, side: int, colour: Colour) -> str | None:
    try:
        slide = _slide(services, number)[1]
        view = images.thumbnail_view(slide, side, None)
        return images.data_uri(images.draw_thumbnail(slide, view, colour))
    except (NotFoundError, UnreadableSlideError, ConflictError):
        return None


def _image_data(services: Services, request: Request, parts: list[str]) -> Response:
    """Answer ``imgData/{id}/[{key}/]``: all that is known of a slide, or the part that ``key`` names."""
    if not 1 <= len(parts) <= 2:
        raise InvalidTileAddressError("the address is the image's number, then a key such as rdefs.model")
    image_id, slide = _slide(services, parts[0])
    return describe(services, request, (int(parts[0]), image_id, slide), parts[1] if parts[1:] else None)


def _histogram(services: Services, request: Request, parts: list[str]) -> Response:
    """Answer ``histogram_json/{id}/channel/{theC}/``: of the finest level that fits into the requested plane."""
    if len(parts) != 3 or parts[1] != "channel":
        raise InvalidTileAddressError(
            "the address is the image's number, channel and the channel's index from 0"
        )
    query = request.query
    slide, channel = queried_plane(_slide(services, parts[0])[1], query), _whole_number(parts[2])
    return json_answer(services, request, plane_histogram(slide, channel, query))


def _shape_mask(services: Services, request: Request, parts: list[str]) -> Response:
    """Answer ``render_shape_mask/{shape}/?color&flip``: a stored mask as a PNG, transparent around it."""
    from vsv.rendering.masks import changed_mask, read_mask  # noqa: PLC0415  cold start: numpy and Pillow

    if len(parts) != 1:
        raise InvalidTileAddressError("the address is the shape's number")
    code, (mirrored, flipped) = text(request.query, "color"), flips(request.query)
    color = None if code is None else read_color(code)
    png = read_mask(services.files, parse_number(parts[0]))
    headers = caching.image_headers(
        services, caching.etag_of(png, color, mirrored, flipped), caching.REVALIDATE
    )
    changed = color is not None or mirrored or flipped

    def make() -> bytes:
        return changed_mask(png, color, mirrored, flipped) if changed else png

    return caching.image_response(request, make, "image/png", lambda: headers)


def _nothing_stored(content: Any) -> _Endpoint:
    """Return an endpoint that answers an address without parts as OMERO does where nothing is stored."""

    def respond_empty(services: Services, request: Request, parts: list[str]) -> Response:
        if parts:
            raise NotFoundError("there is nothing at this address")
        return json_answer(services, request, content)

    return respond_empty


def _luts_png(services: Services, request: Request, parts: list[str]) -> Response:
    """Answer ``luts_png/``: the picture from which a viewer cuts its menu of lookup tables."""
    if parts:
        raise NotFoundError("there is nothing at this address")
    headers = caching.image_headers(services, caching.etag_of(unsupported.LUTS), caching.REVALIDATE)
    return caching.image_response(request, unsupported.gradient, "image/png", lambda: headers)


def _saved_settings(services: Services, request: Request, parts: list[str]) -> Response:
    """Answer ``get_image_rdefs_json/{id}/``: the settings that people have saved for a slide."""
    if len(parts) != 1:
        raise InvalidTileAddressError("the address is the image's number")
    _slide(services, parts[0])
    return json_answer(services, request, unsupported.SAVED_SETTINGS)


def _client_api(services: Services, request: Request, parts: list[str]) -> Response:
    """Answer ``api/paths_to_object/?image={id}``: where a slide is among projects and datasets."""
    if parts != ["paths_to_object"]:
        raise NotFoundError("there is nothing at this address")
    return json_answer(services, request, unsupported.PATHS)


_ENDPOINTS: dict[str, _Endpoint] = {
    "render_image_region": _region,
    "render_image_region_rdef": _region_rdef,
    "render_image": _image,
    "render_image_rdef": _image_rdef,
    "render_thumbnail": _thumbnail,
    "render_birds_eye_view": _birds_eye_view,
    "get_thumbnail": _thumbnail_json,
    "get_thumbnails": _thumbnails_json,
    # The microservice's names for pictures of OME-NGFF images; the pixels are the same wherever they are stored.
    "render_thumbnail_ngff": _thumbnail,
    "render_birds_eye_view_ngff": _birds_eye_view,
    "get_thumbnails_ngff": _thumbnails_json,
    "imgData": _image_data,
    "histogram_json": _histogram,
    "render_shape_mask": _shape_mask,
    "luts": _nothing_stored(unsupported.LUTS),
    "luts_png": _luts_png,
    "open_with": _nothing_stored(unsupported.OPEN_WITH),
    "getImgRDef": _nothing_stored(unsupported.COPIED_SETTINGS),
    "get_image_rdefs_json": _saved_settings,
    "api": _client_api,
    "": webclient.start_page,
    "img_detail": webclient.image_page,
    "keepalive_ping": webclient.ping,
}
