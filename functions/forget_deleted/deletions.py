"""Read which images are no longer shown, deleted slides and withdrawn copies, from the slides table's stream.

Every other record is skipped: a record that failed would be sent again and again, and block the changes behind it.
Source: "DynamoDB Streams record" (``StreamRecord``, ``AttributeValue``), Amazon DynamoDB API reference.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vsv.identifiers import is_image_id
from vsv.records.models import Status
from vsv.storage.numeric_id_hash import candidates

# The attributes that name a copy which may be seen: a published one, and one whose publication is not completed.
_COPIES = ("PublishedAs", "PublishingAs")
_NUMBER = re.compile(r"\d{1,40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Deletion:
    """One slide, or published copy, to forget; ``sequence_number`` is that of the change in its stream."""

    sequence_number: str
    image_id: str

    @property
    def paths(self) -> list[str]:
        """The slide's addresses as CloudFront patterns that match no other slide whose ID begins the same.

        CloudFront takes 15 such patterns at a time; these are seven, so two slides fit. Addresses left out expire by
        themselves within a day (``docs/operating/edge.md``): OMERO's smaller pictures, and a slide whose first number
        was already in use. Source: "Invalidation quotas", Amazon CloudFront developer guide.
        """
        number = next(candidates(self.image_id))
        return [
            f"/DeepZoom/{self.image_id}.dzi*",
            f"/DeepZoom/{self.image_id}_files/*",
            *(f"/iiif/{version}{self.image_id}/*" for version in ("", "2/", "3/")),
            *(f"/{app}/render_image_region/{number}/*" for app in ("webgateway", "webclient")),
        ]


def deletions(event: Mapping[str, Any]) -> list[Deletion]:
    """Return the deletions of a batch, only the last of each slide, in their order."""
    latest: dict[str, Deletion] = {}
    records = event.get("Records")
    for record in records if isinstance(records, list) else ():
        for deletion in _deletions(_dict(record)):
            latest.pop(deletion.image_id, None)
            latest[deletion.image_id] = deletion
    return list(latest.values())


def _deletions(record: Mapping[str, Any]) -> Iterator[Deletion]:
    change = _dict(record.get("dynamodb"))
    number = change.get("SequenceNumber")
    if record.get("eventName") != "MODIFY" or not isinstance(number, str) or not _NUMBER.fullmatch(number):
        return
    for image_id in _ids_to_forget(change):
        if is_image_id(image_id):
            yield Deletion(number, image_id)


def _ids_to_forget(change: Mapping[str, Any]) -> Iterator[str]:
    """Yield the IDs whose images must not be seen any more: the deleted slide, and a copy that was taken back.

    A copy is taken back when it is withdrawn, and when its publication fails after the copy could be seen already.
    """
    old, new = _dict(change.get("OldImage")), _dict(change.get("NewImage"))
    if _text(new.get("Status")) == Status.DELETED:
        yield _text(_dict(change.get("Keys")).get("ImageID"))
    if new:
        shown = {_text(new.get(name)) for name in _COPIES}
        yield from sorted({_text(old.get(name)) for name in _COPIES} - shown)


def _text(typed: object) -> str:
    text = _dict(typed).get("S")
    return text if isinstance(text, str) else ""


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
