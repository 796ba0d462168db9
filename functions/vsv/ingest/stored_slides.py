"""Stored slides of a file: the slides that were imported under its filename."""

import re
from collections.abc import Iterator

from vsv.errors import ConflictError, NotFoundError, UnreadableSlideError
from vsv.records.models import ImportRecord, SlideRecord
from vsv.services import Services

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def is_sha256(text: str) -> bool:
    """Return whether a checksum is a SHA-256, that is, of a file's whole content."""
    return _SHA256.fullmatch(text) is not None


def is_whole(services: Services, slide: SlideRecord, size: int) -> bool:
    """Return whether a recorded slide of that size is stored whole and, unless deleted or archived, can be read.

    The archive's copy was verified when the slide was archived.
    """
    if slide.file_size != size or services.files.stored_size(slide.image_id) != size:
        return False
    if services.files.is_hidden(slide.image_id) or not services.files.slide(slide.image_id).exists():
        return True
    try:
        services.slide_cache.slide(slide.image_id, is_seen=False)
    except (UnreadableSlideError, ConflictError, NotFoundError):
        return False
    return True


def is_summed_in_part(slide: SlideRecord) -> bool:
    """Return whether a slide's checksum is not of the whole content: only the ends of originals in place are read."""
    return slide.checksum is not None and not is_sha256(slide.checksum)


def slide_of(services: Services, run: ImportRecord) -> SlideRecord | None:
    """Return the slide that a run has stored; None where no slide is stored whole."""
    slide = services.slides.get(run.image_id) if run.image_id is not None else None
    is_of_run = slide is not None and slide.checksum == run.checksum and is_whole(services, slide, run.size)
    return slide if is_of_run else None


def slides_named(services: Services, filename: str) -> Iterator[SlideRecord]:
    """Yield every slide that was imported under this filename."""
    token = None
    while True:
        page = services.slides.by_filename(filename, limit=100, token=token)
        yield from page.items
        if (token := page.next_token) is None:
            return
