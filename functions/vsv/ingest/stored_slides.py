"""Stored slides of a file: the slides that were imported under its filename."""

import re
from collections.abc import Iterator

from vsv.errors import ConflictError, NotFoundError, UnreadableSlideError
from vsv.records.models import ImportRecord, SlideRecord
from vsv.services import Services
from vsv.storage.stored_set import is_set_checksum, listing_of
from vsv.storage.stored_set import is_whole as is_set_whole

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
    if is_set_checksum(slide.checksum) and not is_set_whole(services.files, slide.image_id):
        return False
    try:
        services.slide_cache.slide(slide.image_id, is_seen=False)
    except (UnreadableSlideError, ConflictError, NotFoundError):
        return False
    return True


def may_be_named(services: Services, slide: SlideRecord, sha256: str | None) -> bool:
    """Return whether a slide may be of the file with this SHA-256; of several files, one names the index."""
    if sha256 is None or not is_set_checksum(slide.checksum):
        return True
    stored = listing_of(services.files, slide.image_id)
    return stored is not None and stored.files[stored.index].sha256 == sha256


def is_summed_in_part(slide: SlideRecord) -> bool:
    """Return whether a slide's checksum is not that of the named file: only the ends of originals in place are read.

    The checksum of a slide of several files is of all of them.
    """
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
