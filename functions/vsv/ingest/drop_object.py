"""Objects of the drop-in bucket, as an import's record names them: a version of an object.

Source: "EventBridge event message structure", Amazon S3 user guide.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from vsv.errors import BadRequestError

MAX_KEY = 1024


@dataclass(frozen=True, slots=True)
class DroppedObject:
    """Version of an object; ``etag`` distinguishes versions where the bucket keeps no versions.

    ``sequencer`` orders the versions of a key.
    """

    bucket: str
    key: str
    version: str | None = None
    etag: str | None = None
    sequencer: str = ""

    @classmethod
    def from_event(cls, detail: Mapping[str, Any]) -> "DroppedObject":
        """Return the object that an "Object Created" event's detail names; raise BadRequestError for other input."""
        try:
            bucket, item = detail["bucket"]["name"], detail["object"]
            key, version, etag = item["key"], item.get("version-id"), item.get("etag")
            sequencer = item.get("sequencer", "")
        except (KeyError, TypeError, AttributeError) as error:
            raise BadRequestError("this is not the event of a new object") from error
        texts = (bucket, key, version or "", etag or "", sequencer)
        if not all(isinstance(text, str) and len(text) <= MAX_KEY for text in texts) or not (version or etag):
            raise BadRequestError("this is not the event of a new object")
        return cls(bucket, key, version or None, None if version else etag, sequencer)

    @classmethod
    def from_source(cls, source: str) -> "DroppedObject":
        """Return the object named by a record's ``source``; raise BadRequestError where it names no object."""
        parts = urlsplit(source)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        version, etag = query.get("versionId"), query.get("etag")
        if parts.scheme != "s3" or not parts.netloc or not (version or etag):
            raise BadRequestError("the source is not an object of the drop-in bucket")
        return cls(parts.netloc, unquote(parts.path[1:]), version, etag, query.get("sequencer", ""))

    @property
    def filename(self) -> str:
        """Name that the object is imported under: its key after the last slash; not necessarily a legal filename."""
        return self.key.rpartition("/")[2]

    @property
    def source(self) -> str:
        """The object as a record's ``source``."""
        fields = {"versionId": self.version, "etag": self.etag, "sequencer": self.sequencer}
        query = urlencode({name: text for name, text in fields.items() if text})
        return f"s3://{self.bucket}/{quote(self.key)}?{query}"

    def is_older_than(self, other: "DroppedObject") -> bool:
        """Return whether the other object is a later version of the same key."""
        if (self.bucket, self.key) != (other.bucket, other.key):
            return False
        length = max(len(self.sequencer), len(other.sequencer))
        # Hexadecimal numbers of different lengths are padded on the right.
        return self.sequencer.ljust(length, "0").lower() < other.sequencer.ljust(length, "0").lower()
