"""Answer IIIF: the Image API 3.0 (``/iiif/{ImageID}/…`` or ``/iiif/3/…``), 2.1 (``/iiif/2/…``), and a manifest.

Source: IIIF Image API 3.0, sections 2 (addresses), 4.8 (canonical address), 5.1 (content types), 6 (profile link);
IIIF Image API 2.1, section 5 (content types).
"""

import json
from urllib.parse import unquote

from lambda_support.http import Request, Response, content_etag, tagged
from vsv.errors import InvalidTileAddressError
from vsv.identifiers import checked_image_id
from vsv.rendering.colour_management import colour_state, effective_intent
from vsv.rendering.colour_request import parse_colour
from vsv.rendering.image_request import View, halvings
from vsv.services import Services
from vsv.slides.slide import Slide

from serve_image import caching
from serve_image.colour_headers import picture_headers
from serve_image.iiif import documents
from serve_image.iiif.parameters import Dialect, ImageAddress, read
from serve_image.record_lookup import record_of
from serve_image.same_origin import VARY, is_same_origin
from serve_image.site_address import site_address

PREFIX = "/iiif/"
MAX_ADDRESS = 300
JSON_LD = "application/ld+json"
_MIME_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "tif": "image/tiff"}
_DOCUMENTS = {"info.json", "manifest.json"}


def respond(services: Services, request: Request) -> Response:
    """Answer one IIIF request; raises the domain's errors."""
    if len(request.path) > MAX_ADDRESS:
        raise InvalidTileAddressError("the address is too long")
    # API Gateway and a function's own address differ in whether they decode the path.
    parts = [unquote(part) for part in request.path[len(PREFIX) :].split("/")]
    dialect, prefix = Dialect(3), PREFIX
    if parts[0] in {"2", "3"} and not _is_image(parts):
        dialect, prefix, parts = Dialect(int(parts[0])), f"{PREFIX}{parts[0]}/", parts[1:]
    image_id = checked_image_id(parts[0])
    slide, base = services.slide_cache.slide(image_id), f"{site_address(services, request)}{prefix}{image_id}"
    match parts[1:]:
        case [] | [""]:
            return Response(303, "", {"location": f"{base}/info.json", **caching.cors_headers(services)})
        case ["info.json"]:
            state = colour_state(slide, parse_colour(request.query, services.settings.icc))
            document = documents.info(
                dialect.version, base, slide.grid, str(state), state.problem, _channels(slide)
            )
            # A client without an Accept header gets JSON-LD of version 3, and JSON of version 2.
            accept = request.headers.get("accept", JSON_LD if dialect.version == 3 else "")
            return _document(services, request, document, accept, documents.profile(dialect.version))
        case ["manifest.json"]:
            site = site_address(services, request)
            record = record_of(services, image_id) if is_same_origin(services, request) else None
            document = documents.manifest(site, image_id, slide.grid, record)
            return _document(services, request, document, JSON_LD, None)
        case [region, size, rotation, last]:
            whole = slide.grid.width_px, slide.grid.height_px
            address = read(dialect, whole, region, size, rotation, last)
            return _picture(services, request, slide, address, f"{base}/{address.canonical}", dialect)
    raise InvalidTileAddressError("an address is ImageID/region/size/rotation/quality.format")


def _channels(slide: Slide) -> list[documents.Document] | None:
    """Return a slide's own channels, None for a slide of 8-bit RGB."""
    from vsv.rendering.shown_channels import RGB, shown_channels  # noqa: PLC0415  cold start

    shown = shown_channels(slide)
    return None if shown is RGB else shown.document()


def _is_image(parts: list[str]) -> bool:
    """Return whether the first part is an ImageID although it looks like a version: a slide may be called 2 or 3."""
    return len(parts) in {1, 5} or (len(parts) == 2 and (not parts[1] or parts[1] in _DOCUMENTS))


def _document(
    services: Services, request: Request, document: documents.Document, accept: str, profile: str | None
) -> Response:
    """Answer with a document, as JSON-LD where the client accepts that."""
    body = json.dumps(document, separators=(",", ":")).encode()
    mime = "application/json"
    if JSON_LD in accept:
        mime = f'{JSON_LD};profile="{document["@context"]}"'
    headers = caching.document_headers(services, content_etag(body)) | {"vary": f"Accept, {VARY}"}
    if profile is not None:
        headers["link"] = f'<{profile}>;rel="profile"'
    return tagged(request, body, mime, headers)


def _picture(
    services: Services,
    request: Request,
    slide: Slide,
    address: ImageAddress,
    canonical: str,
    dialect: Dialect,
) -> Response:
    view = address.view
    colour = parse_colour(request.query, services.settings.icc)
    etag = caching.etag_of(slide.stamp, address.canonical, effective_intent(slide, colour))
    lifetime = caching.lifetime(_is_provisional(slide, view))
    links = f'<{canonical}>;rel="canonical",<{documents.profile(dialect.version)}>;rel="profile"'

    def headers() -> dict[str, str]:
        made = picture_headers(services, slide, view.reach_l0, etag, lifetime, colour)
        return made | {"link": links}

    def make() -> bytes:
        from vsv.rendering.draw import draw  # noqa: PLC0415  cold start: Deep Zoom's stored tiles need no pixels

        return draw(slide, view, address.fmt, colour=colour)

    return caching.image_response(request, make, _MIME_TYPES[address.fmt], headers)


def _is_provisional(slide: Slide, view: View) -> bool:
    return slide.is_provisional(slide.max_level - halvings(view, slide.grid))
