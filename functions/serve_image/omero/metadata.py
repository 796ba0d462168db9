"""Collect the metadata of OMERO's documents from the slide's record, or from its file where there are no records."""

from lambda_support.http import Request, Response
from vsv.formats.aperio_description import positive_number
from vsv.records.models import SlideRecord
from vsv.rendering.shown_channels import shown_channels
from vsv.services import Services
from vsv.slides.slide import Slide

from serve_image.omero.documents import SlideMetadata, image_data, part_of
from serve_image.omero.json_responses import json_answer
from serve_image.omero.planes import default_plane, plane_count
from serve_image.record_lookup import record_of
from serve_image.same_origin import is_same_origin

NumberedSlide = tuple[int, str, Slide]


def describe(services: Services, request: Request, numbered: NumberedSlide, key: str | None) -> Response:
    """Answer with ``imgData`` or a part of it."""
    slide, metadata = numbered[2], slide_metadata(services, request, numbered)
    shown = shown_channels(slide)
    document = image_data(slide.grid, metadata, shown, plane_count(slide), default_plane(slide))
    return json_answer(services, request, document if key is None else part_of(document, key), varies=True)


def slide_metadata(services: Services, request: Request, numbered: NumberedSlide) -> SlideMetadata:
    """Return a slide's metadata as this request may read it: other sites' pages get the ImageID for a name."""
    number, image_id, slide = numbered
    record = record_of(services, image_id)
    metadata = _from_file(number, image_id, slide) if record is None else _from_record(number, slide, record)
    return metadata if is_same_origin(services, request) else metadata.anonymous(image_id)


def _from_record(number: int, slide: Slide, record: SlideRecord) -> SlideMetadata:
    return SlideMetadata(
        number=number,
        name=record.slide_id or record.image_id,
        case=record.case_id,
        mpp=record.mpp,
        power=positive_number(record.app_mag),
        moment=record.scan_date,
        stored_s=slide.stored_ns / 1e9,
    )


def _from_file(number: int, image_id: str, slide: Slide) -> SlideMetadata:
    from vsv.slides.readers import read_scan  # noqa: PLC0415  cold start: OpenSlide

    scan = read_scan(slide.path)
    return SlideMetadata(
        number=number,
        name=image_id,
        case=None,
        mpp=scan.mpp,
        power=positive_number(scan.app_mag),
        moment=scan.time.text if scan.time else None,
        stored_s=slide.stored_ns / 1e9,
    )
