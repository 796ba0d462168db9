"""Slides for tests of OMERO's webgateway, and functions that request them."""

import base64
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
from PIL import Image
from serve_image.handler import lambda_handler
from vsv import runtime
from vsv.errors import SettingsError
from vsv.pyramids.renderer import render_pyramid
from vsv.services import Services
from vsv.settings import Settings
from vsv.storage.slide_files import SlideFiles

from tests.support.slides.aperio import Pixels, Plan, write_slide
from tests.support.slides.opened import decoded

# 1293×1051 pixels in tiles of 256: resolutions 0 to 3.
NUMBER, WIDTH, HEIGHT, TILE, LEVELS = "1004486", 1293, 1051, 256, 4
NAMED, SMALL = "S17-a", "7"
IMMUTABLE = "private, max-age=31536000, immutable"


def no_records() -> Any:
    raise SettingsError("the setting VSV_SLIDES_TABLE is missing")


@contextmanager
def served(data: Path) -> Iterator[Services]:
    """Serve a slide with its pyramid, one whose ImageID is no number, and one of a single tile; without records."""
    services = runtime.assemble(
        Settings(data), slides=no_records, imports=no_records, starter=no_records, jobs=no_records
    )
    services.files.prepare()
    for image_id, plan in (
        (NUMBER, Plan(WIDTH, HEIGHT)),
        (NAMED, Plan(600, 500)),
        (SMALL, Plan(200, 150, downsamples=(1,))),
    ):
        put_slide(services.files, image_id, plan)
    render_pyramid(services.slide_cache.slide(NUMBER), services.files.pyramid(NUMBER), jobs=1)
    services.slide_cache.forget(NUMBER)
    runtime.use(services)
    try:
        yield services
    finally:
        runtime.use(None)


def put_slide(files: SlideFiles, image_id: str, plan: Plan) -> Path:
    files.folder(image_id).mkdir()
    return write_slide(files.slide(image_id), plan)


def ask(
    address: str,
    query: str | dict[str, str] = "",
    method: str = "GET",
    headers: dict[str, str] | None = None,
    prefix: str = "/webgateway/",
) -> dict[str, Any]:
    """Call the handler as API Gateway does; a ``query`` that is a text is split into parts."""
    pairs = dict(parse_qsl(query, keep_blank_values=True)) if isinstance(query, str) else query
    path = prefix + address
    event = {
        "version": "2.0",
        "rawPath": path,
        "headers": headers or {},
        "requestContext": {"http": {"method": method, "path": path}},
        **({"queryStringParameters": pairs} if pairs else {}),
    }
    return lambda_handler(event, None)


def body(answer: dict[str, Any]) -> bytes:
    found: str = answer["body"]
    return base64.b64decode(found, validate=True) if answer["isBase64Encoded"] else found.encode()


def picture(address: str, query: str | dict[str, str] = "", **more: Any) -> Pixels:
    """Request a picture and decode it."""
    answer = ask(address, query, **more)
    assert answer["statusCode"] == 200, answer["body"]
    return decoded(body(answer))


def region(query: str, *, z: str = "0/0", number: str = NUMBER) -> Pixels:
    """Request a region as PNG, whose pixels are exact."""
    return picture(f"render_image_region/{number}/{z}/", f"format=png&{query}")


def document(address: str, query: str | dict[str, str] = "", **more: Any) -> Any:
    """Request a JSON document and decode it."""
    answer = ask(address, query, **more)
    assert answer["statusCode"] == 200, answer["body"]
    assert answer["headers"]["content-type"] == "application/json"
    return json.loads(body(answer))


def rgba(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGBA"))
