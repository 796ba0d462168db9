"""Changes of IDs: what the pattern of IDs makes of slides that were imported before it was set."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vsv.ingest.id_choice import IdChoice, choose_ids, stored_texts
from vsv.ingest.replacement import BY_ITSELF
from vsv.records.models import SlideRecord
from vsv.services import Services
from vsv.workflow import duplicates

AUTHOR = "vsv ids"  # in the slide's history
_FIELDS = frozenset({"SlideID", "CaseID"})
MOST = 1000  # changes of one slide; further ones are not read


@dataclass(frozen=True, slots=True)
class IdChange:
    """A slide whose IDs differ from those that an import would give today."""

    record: SlideRecord
    choice: IdChoice

    @property
    def slide_id(self) -> str:
        """The slide's ID from now on."""
        return self.choice.ids.slide if self.choice.ids else self.record.image_id

    @property
    def case_id(self) -> str:
        """The slide's case from now on."""
        return self.choice.ids.case if self.choice.ids else self.record.image_id

    @property
    def is_confirmed(self) -> bool:
        """Whether a text fits the pattern."""
        return self.choice.ids is not None

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
    before = change.record
    after = services.slides.update(
        before.image_id, change.choice.attributes(before.image_id), by=AUTHOR, expected_version=before.version
    )
    return duplicates.settle(services, before, after).get(before.image_id, after)


def _change_of(services: Services, record: SlideRecord) -> IdChange:
    settings = services.settings
    return IdChange(record, choose_ids(stored_texts(record), settings.id_order, settings.id_pattern))


def _differs(change: IdChange) -> bool:
    record = change.record
    return (record.slide_id, record.case_id, record.id_not_confirmed is not True) != (
        change.slide_id,
        change.case_id,
        change.is_confirmed,
    )


def _is_set_by_a_person(services: Services, image_id: str) -> bool:
    history = services.slides.history(image_id, MOST).items
    return any(one.field in _FIELDS and one.by not in BY_ITSELF | {AUTHOR} for one in history)
