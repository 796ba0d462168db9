"""Records of the slides table's stream as what is shown no more: deleted slides, withdrawn copies.

Whatever is neither is passed over: sent again and again, it would hold up the changes behind it.
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
        """Give the slide's addresses as CloudFront matches them, and no other slide's whose ID begins alike.

        CloudFront takes 15 such paths at a time, so these are seven: two slides. What they leave out ends by itself
        within a day (``docs/operating/edge.md``): OMERO's smaller pictures, and a slide whose first number was taken.
        Source: "Invalidation quotas", Amazon CloudFront developer guide.
        """
        number = next(candidates(self.image_id))
        return [
            f"/DeepZoom/{self.image_id}.dzi*",
            f"/DeepZoom/{self.image_id}_files/*",
            *(f"/iiif/{version}{self.image_id}/*" for version in ("", "2/", "3/")),
            *(f"/{app}/render_image_region/{number}/*" for app in ("webgateway", "webclient")),
        ]


def deletions(event: Mapping[str, Any]) -> list[Deletion]:
    """Give a batch's deletions, the last of each slide, in their order."""
    latest: dict[str, Deletion] = {}
    records = event.get("Records")
    for record in records if isinstance(records, list) else ():
        found = _deletion(_dict(record))
        if found:
            latest.pop(found.image_id, None)
            latest[found.image_id] = found
    return list(latest.values())


def _deletion(record: Mapping[str, Any]) -> Deletion | None:
    change = _dict(record.get("dynamodb"))
    image_id, number = _gone(change), change.get("SequenceNumber")
    if record.get("eventName") != "MODIFY":
        return None
    if not isinstance(number, str) or not _NUMBER.fullmatch(number) or not is_image_id(image_id):
        return None
    return Deletion(number, image_id)


def _gone(change: Mapping[str, Any]) -> str:
    """Give whose addresses nobody is to see any more: a deleted slide's, or those of the copy that was withdrawn."""
    old, new = _dict(change.get("OldImage")), _dict(change.get("NewImage"))
    if _text(new.get("Status")) == Status.DELETED:
        return _text(_dict(change.get("Keys")).get("ImageID"))
    published_as = _text(old.get("PublishedAs"))
    return published_as if new and published_as != _text(new.get("PublishedAs")) else ""


def _text(typed: object) -> str:
    found = _dict(typed).get("S")
    return found if isinstance(found, str) else ""


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
