"""Changes of IDs: what the pattern of IDs makes of slides that were imported before it was set."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from vsv.ingest.id_pattern import find_ids, texts_of
from vsv.records.models import SlideRecord
from vsv.services import Services

AUTHOR = "vsv ids"  # in the slide's history
_FIELDS = frozenset({"SlideID", "CaseID"})
MOST = 1000  # changes of one slide; further ones are not read


@dataclass(frozen=True, slots=True)
class IdChange:
    """A slide whose IDs differ from those that an import would give today."""

    record: SlideRecord
    slide_id: str
    case_id: str
    is_confirmed: bool

    @property
    def loses_its_case(self) -> bool:
        """Whether a published copy's dates were shifted by another case than that of the slide from now on."""
        return self.record.published_as is not None and self.record.case_id != self.case_id


def id_changes(services: Services, records: Iterable[SlideRecord]) -> Iterator[IdChange]:
    """Yield the changes of slides whose IDs no person has set: what a person typed stays."""
    for record in records:
        change = _change_of(services, record)
        if _differs(change) and not _is_set_by_a_person(services, record.image_id):
            yield change


def apply(services: Services, change: IdChange) -> SlideRecord:
    """Store a change, with history; raise VersionConflictError where the slide was changed in the meantime."""
    changes: dict[str, Any] = {
        "slide_id": change.slide_id,
        "case_id": change.case_id,
        "id_not_confirmed": None if change.is_confirmed else True,
    }
    version = change.record.version
    return services.slides.update(change.record.image_id, changes, by=AUTHOR, expected_version=version)


def _change_of(services: Services, record: SlideRecord) -> IdChange:
    texts = texts_of(record.barcode, record.tags, record.filename)
    ids = find_ids(texts, services.settings.id_order, services.settings.id_pattern)
    if ids is None:
        return IdChange(record, record.image_id, record.image_id, is_confirmed=False)
    return IdChange(record, ids.slide, ids.case, is_confirmed=True)


def _differs(change: IdChange) -> bool:
    record = change.record
    return (record.slide_id, record.case_id, record.id_not_confirmed is not True) != (
        change.slide_id,
        change.case_id,
        change.is_confirmed,
    )


def _is_set_by_a_person(services: Services, image_id: str) -> bool:
    history = services.slides.history(image_id, MOST).items
    return any(one.field in _FIELDS and one.by != AUTHOR for one in history)
