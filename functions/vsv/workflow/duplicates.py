"""Duplicates: slides with the same bytes, or with the same slide ID; each record names another one of its group.

A mark is derived from the records: it is settled again after each change that can make or end a duplicate. Deleted
slides are no duplicates, and the rescan of a slide has that slide's ID on purpose.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from vsv.errors import SlideNotFoundError, VersionConflictError
from vsv.records.models import SlideRecord, Status
from vsv.services import Services

AUTHOR = "vsv"  # in the history
MOST = 100  # of the slides of one group; further ones are not read
ATTEMPTS = 5  # while others change the same slide
# The record's mark by the attribute that the slides of a group share.
MARKS: Mapping[str, str] = {"checksum": "same_file_as", "slide_id": "same_id_as"}


def settle(services: Services, *versions: SlideRecord) -> Mapping[str, SlideRecord]:
    """Set or remove the marks of all slides that share bytes or ID with these versions of slides.

    Return the records that were changed, by ImageID. Can be run again after a crash.
    """
    changed: dict[str, SlideRecord] = {}
    for attribute, mark in MARKS.items():
        members: dict[str, SlideRecord] = {}
        for value in {getattr(version, attribute) for version in versions} - {None}:
            members |= {record.image_id: record for record in _group(services, attribute, value)}
        own = services.slides.get_many([version.image_id for version in versions])
        members |= {record.image_id: record for record in own}
        if len(members) == 1 and all(getattr(record, mark) is None for record in members.values()):
            continue  # as for most slides
        for image_id in sorted(members):
            changed |= _settle_mark(services, image_id, attribute, mark)
    return changed


def _group(services: Services, attribute: str, value: str) -> Sequence[SlideRecord]:
    """Return the slides that share a value, without deleted ones, in the order of their ImageIDs."""
    read = services.slides.by_checksum if attribute == "checksum" else services.slides.by_slide_id
    return sorted(read(value, MOST), key=lambda record: record.image_id)


def _settle_mark(services: Services, image_id: str, attribute: str, mark: str) -> Mapping[str, SlideRecord]:
    """Bring one mark of one slide up to date, on the version that was read."""
    for _ in range(ATTEMPTS):
        record = services.slides.get(image_id)
        if record is None:
            break
        other = _other(services, record, attribute)
        if getattr(record, mark) == other:
            break
        with suppress(VersionConflictError, SlideNotFoundError):
            changes = {mark: other}
            version = record.version
            return {image_id: services.slides.update(image_id, changes, by=AUTHOR, expected_version=version)}
    return {}


def _other(services: Services, record: SlideRecord, attribute: str) -> str | None:
    """Return the next slide of a slide's group, in a ring; None for a slide that shares its value with none."""
    value = getattr(record, attribute)
    if value is None or record.status is Status.DELETED:
        return None
    group = (other for other in _group(services, attribute, value) if other.image_id != record.image_id)
    others = [other.image_id for other in group if attribute == "checksum" or not _is_rescan(record, other)]
    return next((image_id for image_id in others if image_id > record.image_id), next(iter(others), None))


def _is_rescan(first: SlideRecord, second: SlideRecord) -> bool:
    return first.predecessor == second.image_id or second.predecessor == first.image_id
