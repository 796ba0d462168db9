"""Where the texts of OMERO's documents come from: the slide's record, or its own file where there are no records."""

from lambda_support.http import Request, Response
from vsv.formats.aperio_description import positive_number
from vsv.records.models import SlideRecord
from vsv.services import Services
from vsv.slides.slide import Slide

from serve_image.known_records import record_of
from serve_image.omero.documents import About, image_data, part_of
from serve_image.omero.json_responses import json_answer
from serve_image.own_pages import is_own_page

Found = tuple[int, str, Slide]


def describe(services: Services, request: Request, found: Found, key: str | None) -> Response:
    """Answer with ``imgData`` or a part of it."""
    document = image_data(found[2].grid, about(services, request, found))
    return json_answer(services, request, document if key is None else part_of(document, key), varies=True)


def about(services: Services, request: Request, found: Found) -> About:
    """Give what may be told of a slide to who asks: other sites' pages get the ImageID for a name."""
    number, image_id, slide = found
    record = record_of(services, image_id)
    known = _from_file(number, image_id, slide) if record is None else _from_record(number, slide, record)
    return known if is_own_page(services, request) else known.anonymous(image_id)


def _from_record(number: int, slide: Slide, record: SlideRecord) -> About:
    return About(
        number=number,
        name=record.slide_id or record.image_id,
        case=record.case_id,
        mpp=record.mpp,
        power=positive_number(record.app_mag),
        moment=record.scan_date,
        stored_s=slide.stored_ns / 1e9,
    )


def _from_file(number: int, image_id: str, slide: Slide) -> About:
    from vsv.slides.properties import read_scan  # noqa: PLC0415  cold start: OpenSlide

    scan = read_scan(slide.path)
    return About(
        number=number,
        name=image_id,
        case=None,
        mpp=scan.mpp,
        power=positive_number(scan.app_mag),
        moment=scan.time.text if scan.time else None,
        stored_s=slide.stored_ns / 1e9,
    )
