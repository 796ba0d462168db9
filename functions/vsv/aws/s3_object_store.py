"""Object store in a bucket: files of any size, verified by S3, with transfers that continue after a crash.

A file's SHA-256 is stored in its object's metadata; an unfinished upload is no object. A mark is a small object of
its own, ``{key}.owner``: unlike metadata it can be added to an object of any size and storage class. The class is a
setting; the encryption is the bucket's default. Sources: "PutObject" (If-None-Match), "HeadObject", "GetObject",
Amazon S3 API reference.
"""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from vsv.aws.s3_multipart import Place, abort_unfinished, put_small, upload
from vsv.aws.s3_restore import check_readable
from vsv.errors import ConflictError, FileMissingError, UnavailableError
from vsv.storage import atomic_write
from vsv.storage.object_store import OWNER_SUFFIX, Stored, checked_key, part_of, plain_errors

log = logging.getLogger(__name__)

# Bytes that one request fetches.
RANGE = 64 << 20
_BLOCK = 1 << 20
_MAX_OWNER = 1024
_CONFIG = Config(connect_timeout=3, read_timeout=60, retries={"mode": "standard", "max_attempts": 4})
_MISSING = {"NoSuchKey", "NotFound", "404"}
_REFUSED = {"AccessDenied", "AllAccessDisabled", "403"}
_TAKEN = {"PreconditionFailed", "412"}


def s3_client() -> Any:
    """Return a boto3 client with short timeouts."""
    return boto3.client("s3", config=_CONFIG)


class S3ObjectStore:
    """Objects of a bucket whose keys begin with ``prefix``."""

    def __init__(self, bucket: str, prefix: str, storage_class: str, client: Any = None) -> None:
        self._bucket, self._prefix, self._class = bucket, prefix, storage_class
        self._client = client or s3_client()

    def put(self, source: Path, key: str, sha256: str) -> None:
        """Upload and verify a file; see ``ObjectStore``."""
        place = self._place(key)
        with _plain_errors(), plain_errors("the data folder"):
            size = source.stat().st_size
            is_ours = self._read_stored(place) is None and self._upload(place, source, size, sha256)
            if self._read_stored(place) != Stored(size, sha256):
                if not is_ours:
                    raise ConflictError(
                        "another file is stored under this name already: nothing was overwritten"
                    )
                self._client.delete_object(**place)  # an unfinished upload of other content was continued
                raise UnavailableError("the stored copy does not match what was sent: it is stored again")
            abort_unfinished(self._client, place)

    def _upload(self, place: Place, source: Path, size: int, sha256: str) -> bool:
        parameters = {**place, "StorageClass": self._class, "Metadata": {"sha256": sha256}}
        try:
            upload(self._client, parameters, source, size, sha256)
        except ClientError as error:
            if _code(error) not in _TAKEN:
                raise
            return False  # another writer was faster
        return True

    def find(self, key: str) -> Stored | None:
        """Return the stored size and SHA-256; see ``ObjectStore``."""
        with _plain_errors():
            return self._read_stored(self._place(key))

    def _read_stored(self, place: Place) -> Stored | None:
        head = self._head(place)
        return None if head is None else Stored(head["ContentLength"], head["Metadata"].get("sha256", ""))

    def _head(self, place: Place) -> dict[str, Any] | None:
        try:
            head: dict[str, Any] = self._client.head_object(**place)
        except ClientError as error:
            if _code(error) in _MISSING:
                return None
            raise
        return head

    def fetch(self, key: str, target: Path) -> None:
        """Download in ranges, continuing a killed download; see ``ObjectStore``."""
        place = self._place(key)
        with _plain_errors(), plain_errors("the data folder"):
            if (head := self._head(place)) is None:
                raise FileMissingError("there is no stored copy of this file")
            check_readable(self._client, place, head)
            part = part_of(target)
            self._download({**place, "IfMatch": head["ETag"]}, part, head["ContentLength"])
            atomic_write.flush(part)
            if _sha256(part) != head["Metadata"].get("sha256"):
                part.unlink()
                raise UnavailableError("the fetched copy does not match what was stored: it is fetched again")
            part.replace(target)
            atomic_write.flush(target.parent)

    def _download(self, request: Place, part: Path, size: int) -> None:
        with part.open("ab") as file:
            # The last range of a killed download may have holes: only the ranges before it are certainly complete.
            downloaded = max(0, (min(file.tell(), size) - 1) // RANGE * RANGE)
            file.truncate(downloaded)
            while downloaded < size:
                end = min(downloaded + RANGE, size)
                response = self._client.get_object(**request, Range=f"bytes={downloaded}-{end - 1}")
                downloaded += sum(map(file.write, response["Body"].iter_chunks(_BLOCK)))
                file.flush()
                if downloaded != end:
                    raise UnavailableError("the bucket sent less than was asked for: it is fetched again")

    def remove(self, key: str) -> None:
        """Remove the object and unfinished uploads; see ``ObjectStore``. A versioned bucket keeps old versions."""
        place = self._place(key)
        with _plain_errors():
            abort_unfinished(self._client, place)
            self._client.delete_object(**place)

    def discard(self, key: str, sha256: str) -> None:
        """Remove unfinished uploads, and the object if it has this SHA-256; see ``ObjectStore``."""
        place = self._place(key)
        with _plain_errors():
            abort_unfinished(self._client, place)
            stored = self._read_stored(place)
            if stored is not None and stored.sha256 == sha256:
                self._client.delete_object(**place)

    def owner(self, key: str) -> str | None:
        """Return the owner in the mark; see ``ObjectStore``."""
        place = self._mark(key)
        with _plain_errors():
            try:
                body: bytes = self._client.get_object(**place)["Body"].read(_MAX_OWNER)
            except ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise
        return body.decode("ascii", "replace").strip()

    def claim(self, key: str, owner: str) -> str:
        """Create the mark's object, which only one writer can; see ``ObjectStore``."""
        with _plain_errors():
            try:
                put_small(self._client, self._mark(key), owner.encode())
            except ClientError as error:
                if _code(error) not in _TAKEN:
                    raise
                return self.owner(key) or ""  # released a moment ago: the caller tries again
        return owner

    def release(self, key: str) -> None:
        """Remove the mark's object; see ``ObjectStore``."""
        place = self._mark(key)
        with _plain_errors():
            if (
                self._head(place) is not None
            ):  # of what is missing a versioned bucket would keep a delete marker
                self._client.delete_object(**place)

    def _mark(self, key: str) -> Place:
        place = self._place(key)
        return {**place, "Key": place["Key"] + OWNER_SUFFIX}

    def _place(self, key: str) -> Place:
        prefix = f"{self._prefix}/" if self._prefix else ""
        return {"Bucket": self._bucket, "Key": f"{prefix}{checked_key(key)}"}


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Convert boto3's errors to UnavailableError, and log S3's messages."""
    try:
        yield
    except ClientError as error:
        log.warning("a bucket for copies: %s", error)
        if _code(error) in _REFUSED:
            raise UnavailableError(
                "the bucket for copies denies access: this installation lacks the permission"
            ) from error
        if _code(error) == "NoSuchBucket":
            raise UnavailableError("the bucket for copies is not there") from error
        raise UnavailableError("the bucket for copies does not answer now") from error
    except BotoCoreError as error:
        log.warning("a bucket for copies: %s", error)
        raise UnavailableError("the bucket for copies does not answer now") from error
