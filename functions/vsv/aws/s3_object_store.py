"""A vault in a bucket: files of any size, verified by S3 itself, gone on with after a kill.

What a file is, its SHA-256, stands in its object's metadata; an upload that was not finished is no object. Which
storage class a file gets is a setting, how it is encrypted is the bucket's default.
Sources: "PutObject" (If-None-Match), "HeadObject", "GetObject", Amazon S3 API reference.
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

from vsv.aws.s3_multipart import Place, abandon, upload
from vsv.aws.s3_restore import check_readable
from vsv.errors import ConflictError, FileMissingError, UnavailableError
from vsv.storage import atomic_write
from vsv.storage.object_store import Stored, checked_key, part_of, plain_errors

log = logging.getLogger(__name__)

# What is fetched by one request.
RANGE = 64 << 20
_BLOCK = 1 << 20
_CONFIG = Config(connect_timeout=3, read_timeout=60, retries={"mode": "standard", "max_attempts": 4})
_MISSING = {"NoSuchKey", "NotFound", "404"}
_REFUSED = {"AccessDenied", "AllAccessDisabled", "403"}
_TAKEN = {"PreconditionFailed", "412"}


def s3_client() -> Any:
    """Give a boto3 client that does not wait for long."""
    return boto3.client("s3", config=_CONFIG)


class S3ObjectStore:
    """Objects of a bucket whose keys begin with ``prefix``."""

    def __init__(self, bucket: str, prefix: str, storage_class: str, client: Any = None) -> None:
        self._bucket, self._prefix, self._class = bucket, prefix, storage_class
        self._client = client or s3_client()

    def put(self, source: Path, key: str, sha256: str) -> None:
        """Upload; see ``Vault``."""
        place = self._place(key)
        with _plain_errors(), plain_errors("the data folder"):
            size = source.stat().st_size
            is_ours = self._found(place) is None and self._upload(place, source, size, sha256)
            if self._found(place) != Stored(size, sha256):
                if not is_ours:
                    raise ConflictError(
                        "another file is stored under this name already: nothing was overwritten"
                    )
                self._client.delete_object(**place)  # an upload of another content was gone on with
                raise UnavailableError("the stored copy does not match what was sent: it is stored again")
            abandon(self._client, place)

    def _upload(self, place: Place, source: Path, size: int, sha256: str) -> bool:
        made = {**place, "StorageClass": self._class, "Metadata": {"sha256": sha256}}
        try:
            upload(self._client, made, source, size, sha256)
        except ClientError as error:
            if _code(error) not in _TAKEN:
                raise
            return False  # somebody was faster
        return True

    def find(self, key: str) -> Stored | None:
        """Ask S3; see ``Vault``."""
        with _plain_errors():
            return self._found(self._place(key))

    def _found(self, place: Place) -> Stored | None:
        told = self._told(place)
        return None if told is None else Stored(told["ContentLength"], told["Metadata"].get("sha256", ""))

    def _told(self, place: Place) -> dict[str, Any] | None:
        try:
            told: dict[str, Any] = self._client.head_object(**place)
        except ClientError as error:
            if _code(error) in _MISSING:
                return None
            raise
        return told

    def fetch(self, key: str, target: Path) -> None:
        """Download in ranges, and go on with what a killed download has left; see ``Vault``."""
        place = self._place(key)
        with _plain_errors(), plain_errors("the data folder"):
            if (told := self._told(place)) is None:
                raise FileMissingError("there is no stored copy of this file")
            check_readable(self._client, place, told)
            part = part_of(target)
            self._download({**place, "IfMatch": told["ETag"]}, part, told["ContentLength"])
            atomic_write.flush(part)
            if _sha256(part) != told["Metadata"].get("sha256"):
                part.unlink()
                raise UnavailableError("the fetched copy does not match what was stored: it is fetched again")
            part.replace(target)
            atomic_write.flush(target.parent)

    def _download(self, wanted: Place, part: Path, size: int) -> None:
        with part.open("ab") as file:
            # The last range of a killed download may have holes: only those before it are surely here.
            done = max(0, (min(file.tell(), size) - 1) // RANGE * RANGE)
            file.truncate(done)
            while done < size:
                end = min(done + RANGE, size)
                answer = self._client.get_object(**wanted, Range=f"bytes={done}-{end - 1}")
                done += sum(map(file.write, answer["Body"].iter_chunks(_BLOCK)))
                file.flush()
                if done != end:
                    raise UnavailableError("the bucket sent less than was asked for: it is fetched again")

    def remove(self, key: str) -> None:
        """Remove the object and unfinished uploads; see ``Vault``. What a versioned bucket keeps is its own rule."""
        place = self._place(key)
        with _plain_errors():
            abandon(self._client, place)
            self._client.delete_object(**place)

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
    """Turn boto3's errors into ours; what S3 said is for the log."""
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
