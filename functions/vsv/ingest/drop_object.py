"""Objects of the drop-in bucket, as an import's record names them: one version of one object.

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
    """One version of an object; ``etag`` tells versions apart where the bucket keeps none.

    ``sequencer`` tells which of two versions of a key came later.
    """

    bucket: str
    key: str
    version: str | None = None
    etag: str | None = None
    sequencer: str = ""

    @classmethod
    def from_event(cls, detail: Mapping[str, Any]) -> "DroppedObject":
        """Read it from the detail of an "Object Created" event; raises BadRequestError where it is none."""
        try:
            bucket, found = detail["bucket"]["name"], detail["object"]
            key, version, etag = found["key"], found.get("version-id"), found.get("etag")
            sequencer = found.get("sequencer", "")
        except (KeyError, TypeError, AttributeError) as error:
            raise BadRequestError("this is not the event of a new object") from error
        texts = (bucket, key, version or "", etag or "", sequencer)
        if not all(isinstance(text, str) and len(text) <= MAX_KEY for text in texts) or not (version or etag):
            raise BadRequestError("this is not the event of a new object")
        return cls(bucket, key, version or None, None if version else etag, sequencer)

    @classmethod
    def from_source(cls, source: str) -> "DroppedObject":
        """Read it from a record's ``source``; raises BadRequestError where it is none."""
        parts = urlsplit(source)
        given = {name: values[0] for name, values in parse_qs(parts.query).items()}
        version, etag = given.get("versionId"), given.get("etag")
        if parts.scheme != "s3" or not parts.netloc or not (version or etag):
            raise BadRequestError("the source is not an object of the drop-in bucket")
        return cls(parts.netloc, unquote(parts.path[1:]), version, etag, given.get("sequencer", ""))

    @property
    def filename(self) -> str:
        """The name that it is imported under: what follows the last slash of its key. It may be no legal one."""
        return self.key.rpartition("/")[2]

    @property
    def source(self) -> str:
        """Give it as a record's ``source``."""
        named = {"versionId": self.version, "etag": self.etag, "sequencer": self.sequencer}
        query = urlencode({name: text for name, text in named.items() if text})
        return f"s3://{self.bucket}/{quote(self.key)}?{query}"

    def is_older_than(self, other: "DroppedObject") -> bool:
        """Tell whether the other one is a later version of the same key."""
        if (self.bucket, self.key) != (other.bucket, other.key):
            return False
        length = max(len(self.sequencer), len(other.sequencer))
        # Hexadecimal numbers of different lengths are filled up at their right.
        return self.sequencer.ljust(length, "0").lower() < other.sequencer.ljust(length, "0").lower()
