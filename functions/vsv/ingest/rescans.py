"""Rescans: the link from a new slide to the deleted slide that it replaces."""

from collections.abc import Iterator

from vsv.records.models import SlideRecord, Status
from vsv.services import Services

# No slide is scanned this often; further records are not read.
MOST = 100


def predecessor(services: Services, record: SlideRecord) -> str | None:
    """Return the ImageID of the deleted slide that a new slide replaces; None for most slides.

    The deleted slide has the same barcode or filename, and other content: it is another scan. Of several, the latest
    deleted is returned.
    """
    others = (slide for slide in _same_slides(services, record) if _is_other_scan(slide, record))
    deleted = [slide for slide in others if slide.status is Status.DELETED]
    latest = max(deleted, key=lambda slide: (slide.deleted_at or "", slide.image_id), default=None)
    return None if latest is None else latest.image_id


def _is_other_scan(slide: SlideRecord, record: SlideRecord) -> bool:
    return slide.checksum is None or slide.checksum != record.checksum


def _same_slides(services: Services, record: SlideRecord) -> Iterator[SlideRecord]:
    yield from services.slides.by_filename(record.filename, MOST).items
    if record.barcode is None or record.case_id is None:
        return
    for slide in services.slides.by_case(record.case_id, MOST).items:
        if slide.barcode == record.barcode:
            yield slide
