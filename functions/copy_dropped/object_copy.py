"""Copy one version of an S3 object in ranges, resume after a killed copy, and verify the whole.

Source: "GetObject", "Checking object integrity", Amazon S3 API reference and user guide.
"""

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, IncompleteReadError
from vsv.errors import FileMissingError, TransferError, UnavailableError
from vsv.ingest.drop_object import DroppedObject
from vsv.storage import atomic_write

RANGE = 64 << 20
_BLOCK = 4 << 20
_GONE = (
    "NoSuchKey",
    "NoSuchVersion",
    "NoSuchBucket",
    "404",
    "PreconditionFailed",
    "412",
    "InvalidObjectState",
)
# S3 answers 403, not 404, for a missing object to a caller that may not list the bucket.
_REFUSED = ("AccessDenied", "403")
_CONFIG = Config(connect_timeout=3, read_timeout=30, retries={"mode": "standard", "max_attempts": 4})


Progress = Callable[[int, int], None]  # bytes copied so far, and bytes in all


class _Digest(Protocol):
    def update(self, data: bytes) -> None: ...

    def matches(self, expected: str) -> bool: ...


def s3_client() -> Any:
    """Return a boto3 client whose timeouts are seconds, not minutes."""
    return boto3.client("s3", config=_CONFIG)


class ObjectCopy:
    """The copy of one object into ``part``, from the first range to the verified whole."""

    def __init__(self, client: Any, dropped: DroppedObject, part: Path, size: int) -> None:
        self._client, self._part, self._size = client, part, size
        self._request: dict[str, str] = {"Bucket": dropped.bucket, "Key": dropped.key}
        self._request |= (
            {"VersionId": dropped.version} if dropped.version else {"IfMatch": f'"{dropped.etag}"'}
        )

    def resume(self, has_time: Callable[[], bool], progress: Progress) -> bool:
        """Copy at least one range more and as many as there is time for; return whether the copy is complete.

        Raises FileMissingError where the object is gone, TransferError where the object is another than was
        announced, UnavailableError where S3 or the disk does not answer.
        """
        with _domain_errors():
            copied_before = self._bytes_present()
            # A killed copy may leave holes in the last range: only the ranges before that one are surely complete.
            copied = max(0, (copied_before - 1) // RANGE * RANGE)
            while copied < self._size:
                copied += self._copy_range(copied)
                progress(copied, self._size)
                if copied_before < copied < self._size and not has_time():
                    return False
        return True

    def _bytes_present(self) -> int:
        try:
            return min(self._part.stat().st_size, self._size)
        except FileNotFoundError:
            self._part.parent.mkdir(parents=True, exist_ok=True)
            self._part.touch()
            return 0

    def _copy_range(self, start: int) -> int:
        """Copy one range, flush it to the disk, and compare what the disk holds with what S3 sent."""
        end = min(start + RANGE, self._size)
        response = self._client.get_object(**self._request, Range=f"bytes={start}-{end - 1}")
        if response.get("ContentRange") != f"bytes {start}-{end - 1}/{self._size}":
            raise TransferError("the dropped file has another size than was announced")
        digest = hashlib.sha256()
        with self._part.open("r+b") as file:
            file.seek(start)
            for block in response["Body"].iter_chunks(_BLOCK):
                digest.update(block)
                file.write(block)
            copied = file.tell() - start
        atomic_write.flush(self._part)
        if copied != end - start or _checksum_from(self._part, start, end) != digest.digest():
            raise TransferError("the copy differs from the dropped file: it is copied again")
        return copied

    def verify(self) -> str:
        """Return the SHA-256 of the whole copy.

        Raises TransferError, and deletes the copy, where one of S3's checksums differs.
        """
        with _domain_errors():
            head = self._client.head_object(**self._request, ChecksumMode="ENABLED")
            sha256, digests = hashlib.sha256(), _expected_digests(head)
            for block in _blocks(self._part, 0, self._size):
                sha256.update(block)
                for digest, _ in digests:
                    digest.update(block)
            digests.append((_Hashed(sha256), head.get("ChecksumSHA256", "") if _is_whole(head) else ""))
            is_right = self._part.stat().st_size == self._size == head["ContentLength"]
            if not is_right or not all(digest.matches(value) for digest, value in digests if value):
                self._part.unlink(missing_ok=True)
                raise TransferError("the copy differs from the dropped file: it is copied again")
        return sha256.hexdigest()


class _Crc32:
    def __init__(self) -> None:
        self._crc = 0

    def update(self, data: bytes) -> None:
        self._crc = zlib.crc32(data, self._crc)

    def matches(self, expected: str) -> bool:
        return base64.b64encode(self._crc.to_bytes(4)).decode() == expected


class _Hashed:
    def __init__(self, digest: "hashlib._Hash") -> None:
        self._digest = digest

    def update(self, data: bytes) -> None:
        self._digest.update(data)

    def matches(self, expected: str) -> bool:
        return expected in (self._digest.hexdigest(), base64.b64encode(self._digest.digest()).decode())


def _expected_digests(head: dict[str, Any]) -> list[tuple[_Digest, str]]:
    """Return each checksum in S3's answer that covers the whole object and can be computed here.

    A multipart upload has checksums of checksums, and CRC-64 would need a package of its own. In those cases every
    range has still been read back, and was encrypted and authenticated in transit.
    """
    digests: list[tuple[_Digest, str]] = []
    if _is_whole(head) and head.get("ChecksumCRC32"):
        digests.append((_Crc32(), head["ChecksumCRC32"]))
    etag = head.get("ETag", "").strip('"')
    if len(etag) == 32 and head.get("ServerSideEncryption", "AES256") == "AES256":
        digests.append((_Hashed(hashlib.md5(usedforsecurity=False)), etag))
    return digests


def _is_whole(head: dict[str, Any]) -> bool:
    return bool(head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT")


def _checksum_from(path: Path, start: int, end: int) -> bytes:
    digest = hashlib.sha256()
    for block in _blocks(path, start, end):
        digest.update(block)
    return digest.digest()


def _blocks(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while start < end and (block := file.read(min(_BLOCK, end - start))):
            start += len(block)
            yield block


@contextmanager
def _domain_errors() -> Iterator[None]:
    """Raise boto3's errors and the disk's as the domain's errors."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _GONE:
            raise FileMissingError("the dropped file is no longer in the bucket: upload it again") from error
        if code in _REFUSED:
            raise FileMissingError(
                "the dropped file cannot be read: it was removed, or the function may not read it"
            ) from error
        raise UnavailableError("the drop-in bucket does not answer now") from error
    except (BotoCoreError, IncompleteReadError) as error:
        raise UnavailableError("the drop-in bucket does not answer now") from error
    except OSError as error:
        raise UnavailableError(
            "the file could not be copied: is the disk full or the folder gone?"
        ) from error
