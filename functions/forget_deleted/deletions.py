"""Read which images are no longer shown, deleted slides and withdrawn copies, from the slides table's stream.

Every other record is skipped: a record that failed would be sent again and again, and block the changes behind it.
Source: "DynamoDB Streams record" (``StreamRecord``, ``AttributeValue``), Amazon DynamoDB API reference.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vsv.identifiers import is_image_id
from vsv.records.models import Status
from vsv.storage.numeric_id_hash import candidates

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
        deletion = _deletion(_dict(record))
        if deletion:
            latest.pop(deletion.image_id, None)
            latest[deletion.image_id] = deletion
    return list(latest.values())


def _deletion(record: Mapping[str, Any]) -> Deletion | None:
    change = _dict(record.get("dynamodb"))
    image_id, number = _id_to_forget(change), change.get("SequenceNumber")
    if record.get("eventName") != "MODIFY":
        return None
    if not isinstance(number, str) or not _NUMBER.fullmatch(number) or not is_image_id(image_id):
        return None
    return Deletion(number, image_id)


def _id_to_forget(change: Mapping[str, Any]) -> str:
    """Return the ID whose images must not be seen any more: the deleted slide, or its withdrawn copy; "" for none."""
    old, new = _dict(change.get("OldImage")), _dict(change.get("NewImage"))
    if _text(new.get("Status")) == Status.DELETED:
        return _text(_dict(change.get("Keys")).get("ImageID"))
    published_as = _text(old.get("PublishedAs"))
    return published_as if new and published_as != _text(new.get("PublishedAs")) else ""


def _text(typed: object) -> str:
    text = _dict(typed).get("S")
    return text if isinstance(text, str) else ""


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
