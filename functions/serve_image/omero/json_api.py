"""OMERO's JSON API, ``/api/``: as much as QuPath's OMERO extension reads before it asks the webgateway for pixels.

It is read only, nobody logs in, and it tells of a slide only to who knows its number: lists of slides and of what
OMERO keeps beside them are empty. Source: OMERO.web 5.31's ``omeroweb.api``. ``docs/protocols.md`` says who asks for
what.
"""

from lambda_support.http import Request, Response
from vsv.errors import InvalidTileAddressError, NotFoundError
from vsv.services import Services
from vsv.slides.slide import Slide
from vsv.storage.numeric_ids import parse_number

from serve_image.omero import json_api_documents as documents
from serve_image.omero.json_responses import json_answer
from serve_image.omero.metadata import about
from serve_image.omero.parameters import whole_number
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
            return json_answer(services, request, _listed(services, request, parts))
        case parts:
            return json_answer(services, request, _start(services, request, parts))


def _start(services: Services, request: Request, parts: list[str]) -> documents.Document:
    """Give what a client reads first."""
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


def _listed(services: Services, request: Request, parts: list[str]) -> documents.Document:
    """Give a list."""
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
    offset, limit = (whole_number(request.query, *one) for one in (("offset", 0), ("limit", documents.LIMIT)))
    return documents.page(items, offset, limit)


def _image(services: Services, request: Request, number: str) -> Response:
    """``v0/m/images/{id}/``."""
    image_id, slide = _slide(services, number)
    told = about(services, request, (int(number), image_id, slide))
    document = documents.image(site_address(services, request), slide.grid, told)
    return json_answer(services, request, {"data": document}, varies=True)


def _slide(services: Services, number: str) -> tuple[str, Slide]:
    """Give the ImageID and the slide that have a number; raises InvalidNameError and SlideNotFoundError."""
    image_id = services.numeric_ids.image_id(parse_number(number))
    return image_id, services.slide_cache.slide(image_id)
