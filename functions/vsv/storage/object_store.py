"""Where copies lie outside the data folder: a folder of another disk, or a bucket; the same for whoever keeps them.

A vault holds files under keys. What is under a key never changes: another content is refused.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vsv.errors import InvalidNameError, SettingsError, UnavailableError
from vsv.storage.atomic_write import PART_SUFFIX

MAX_KEY = 512
_PART = r"[A-Za-z0-9_-](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?"
_KEY = re.compile(rf"{_PART}(?:/{_PART}){{0,7}}\Z")
# What a vault's own files beside a stored one end in.
KEPT_SUFFIXES = (".sha256", PART_SUFFIX)
_BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?\Z", re.ASCII)
_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EROFS, errno.EACCES, errno.EPERM}


@dataclass(frozen=True, slots=True)
class Stored:
    """What a vault holds under a key: its size in bytes, and the SHA-256 that it was stored with."""

    size: int
    sha256: str


class ObjectStore(Protocol):
    """Keeps files; each method raises InvalidNameError for an impossible key and UnavailableError while it cannot."""

    def put(self, source: Path, key: str, sha256: str) -> None:
        """Store a file and verify it; what is there already is done, and what a killed run began is gone on with.

        Raises ConflictError where another content lies under the key, or ``source`` is not what ``sha256`` says.
        """

    def find(self, key: str) -> Stored | None:
        """Tell what is stored under a key; None for nothing, and for what is not wholly there."""

    def fetch(self, key: str, target: Path) -> None:
        """Bring a stored file back: ``target`` appears whole and verified, or not at all.

        Raises FileMissingError where there is none, and NotYetError while the storage class must be asked first.
        """

    def remove(self, key: str) -> None:
        """Remove a stored file; a missing one is no error."""


def checked_key(key: object) -> str:
    """Give a key back, plain names between slashes; raises InvalidNameError."""
    if not isinstance(key, str) or len(key) > MAX_KEY or not _KEY.match(key) or key.endswith(KEPT_SUFFIXES):
        raise InvalidNameError("a stored file's key is one to eight plain names between slashes")
    return key


def object_store_at(where: str, storage_class: str = "STANDARD") -> ObjectStore:
    """Give the vault that a setting names, a folder or ``s3://bucket/prefix``; raises SettingsError."""
    if not where.startswith("s3:"):
        from vsv.storage.folder_object_store import FolderObjectStore  # noqa: PLC0415  cold start: on AWS there are buckets

        return FolderObjectStore(Path(where))
    bucket = _BUCKET.match(where)
    prefix = (bucket[2] or "").strip("/") if bucket else ""
    if bucket is None or (prefix and not _KEY.match(prefix)):
        raise SettingsError("a bucket for copies is named as s3://bucket or s3://bucket/prefix")
    from vsv.aws.s3_object_store import S3ObjectStore  # noqa: PLC0415  cold start: boto3

    return S3ObjectStore(bucket[1], prefix, storage_class)


def part_of(target: Path) -> Path:
    """Give where a file lies while it is fetched; always the same, so that a killed fetch leaves no second one."""
    return target.with_name(f"{target.name}.fetched{PART_SUFFIX}")


@contextmanager
def plain_errors(place: str) -> Iterator[None]:
    """Turn what a disk says into UnavailableError: ``place`` is what people call it."""
    try:
        yield
    except OSError as error:
        raise UnavailableError(_explained(error, place)) from error


def _explained(error: OSError, place: str) -> str:
    if error.errno in _FULL:
        return f"{place} is full: make room there"
    if error.errno in _REFUSED:
        return f"{place} is read only, or may not be written to"
    return f"{place} does not answer now"
