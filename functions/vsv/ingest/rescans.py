"""Rescans: a new slide knows the deleted one that it was scanned again for."""

from collections.abc import Iterator

from vsv.records.models import SlideRecord, Status
from vsv.services import Services

# Nobody scans a slide this often; what lies beyond is not looked at.
MOST = 100


def predecessor(services: Services, record: SlideRecord) -> str | None:
    """Give the ImageID of the deleted slide that a new one replaces, the one deleted last; None for most slides.

    It bears the same barcode, or was brought under the same filename.
    """
    deleted = [one for one in _alike(services, record) if one.status is Status.DELETED]
    latest = max(deleted, key=lambda one: (one.deleted_at or "", one.image_id), default=None)
    return None if latest is None else latest.image_id


def _alike(services: Services, record: SlideRecord) -> Iterator[SlideRecord]:
    yield from services.slides.by_filename(record.filename, MOST).items
    if record.barcode is None or record.case_id is None:
        return
    for one in services.slides.by_case(record.case_id, MOST).items:
        if one.barcode == record.barcode:
            yield one
