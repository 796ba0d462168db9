"""Answer OMERO's JSON API, ``/api/``: as much as QuPath's OMERO extension reads before the webgateway's pixels.

The API is read only and nobody logs in. A client must know a slide's number to read about the slide: lists of slides,
and of everything else that OMERO stores, are empty. Source: OMERO.web 5.31's ``omeroweb.api``. ``docs/protocols.md``
lists which client reads which address.
"""

from lambda_support.http import Request, Response
from vsv.errors import InvalidTileAddressError, NotFoundError
from vsv.rendering.shown_channels import shown_channels
from vsv.services import Services
from vsv.slides.slide import Slide
from vsv.storage.numeric_ids import parse_number

from serve_image.omero import json_api_documents as documents
from serve_image.omero.json_responses import json_answer
from serve_image.omero.metadata import slide_metadata
from serve_image.omero.parameters import whole_number
from serve_image.omero.planes import plane_count
from serve_image.site_address import site_address

PREFIX = "/api/"
MAX_ADDRESS = 200


def respond(services: Services, request: Request) -> Response:
    """Answer one request; raises the domain's errors."""
    if len(request.path) > MAX_ADDRESS:
        raise InvalidTileAddressError("the address is too long")
    match request.path.removeprefix(PREFIX).removesuffix("/").split("/"):
        case ["v0", "m", "images", number]:
            return _image(services, request, number)
        case ["v0", "m", "images", number, "datasets" | "rois"]:
            _slide(services, number)
            return json_answer(services, request, _page(request, []))
        case ["v0", "m", *parts]:
            return json_answer(services, request, _list_document(services, request, parts))
        case parts:
            return json_answer(services, request, _entry_document(services, request, parts))


def _entry_document(services: Services, request: Request, parts: list[str]) -> documents.Document:
    """Return one of the documents that a client reads first."""
    site = site_address(services, request)
    match parts:
        case [""]:
            return documents.versions(site)
        case ["v0"]:
            return documents.addresses(site)
        case ["v0", "token"]:
            return {"data": documents.TOKEN}
        case ["v0", "servers"]:
            return documents.servers(site)
    raise NotFoundError("there is nothing at this address")


def _list_document(services: Services, request: Request, parts: list[str]) -> documents.Document:
    """Return a list."""
    site = site_address(services, request)
    match parts:
        case [kind] if kind in documents.EMPTY:
            return _page(request, [])
        case ["experimenters"] | ["experimentergroups", documents.GROUP, "experimenters"]:
            return _page(request, [documents.experimenter(site)])
        case ["experimentergroups"] | ["experimenters", documents.USER, "experimentergroups"]:
            return _page(request, [documents.group(site)])
    raise NotFoundError("there is nothing at this address")


def _page(request: Request, items: list[documents.Document]) -> documents.Document:
    offset, limit = (
        whole_number(request.query, *parameter) for parameter in (("offset", 0), ("limit", documents.LIMIT))
    )
    return documents.page(items, offset, limit)


def _image(services: Services, request: Request, number: str) -> Response:
    """Answer ``v0/m/images/{id}/``."""
    image_id, slide = _slide(services, number)
    metadata = slide_metadata(services, request, (int(number), image_id, slide))
    shown, planes = shown_channels(slide), plane_count(slide)
    document = documents.image(site_address(services, request), slide.grid, metadata, shown, planes)
    return json_answer(services, request, {"data": document}, varies=True)


def _slide(services: Services, number: str) -> tuple[str, Slide]:
    """Return the ImageID and the slide that have a number; raises InvalidNameError and SlideNotFoundError."""
    image_id = services.numeric_ids.image_id(parse_number(number))
    return image_id, services.slide_cache.slide(image_id)
