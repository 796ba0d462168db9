"""Object store: files outside the data folder, in a folder of another disk or in a bucket, by one interface.

An object store holds files by key. The content of a key never changes: other content is refused. A key may carry an
owner's mark, such as the installation's whose original the file is, so that several can share a store; who may do
what with a marked file is for the callers to decide.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vsv.errors import InvalidNameError, UnavailableError
from vsv.storage.atomic_write import PART_SUFFIX

MAX_KEY = 512
_PART = r"[A-Za-z0-9_-](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?"
_KEY = re.compile(rf"{_PART}(?:/{_PART}){{0,7}}\Z")
# Suffixes of the store's own files beside a stored file.
OWNER_SUFFIX = ".owner"
RESERVED_SUFFIXES = (".sha256", OWNER_SUFFIX, PART_SUFFIX)
_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EROFS, errno.EACCES, errno.EPERM}


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored file: its size in bytes, and the SHA-256 that was given when it was stored."""

    size: int
    sha256: str


class ObjectStore(Protocol):
    """Files by key; each method raises InvalidNameError for an impossible key, and UnavailableError on I/O errors."""

    def put(self, source: Path, key: str, sha256: str) -> None:
        """Store and verify a file; idempotent: the work of a killed run is continued.

        Raise ConflictError where the key holds other content, or ``source`` does not have this ``sha256``.
        """

    def find(self, key: str) -> Stored | None:
        """Return size and SHA-256 of the file stored under a key; None where no complete file is stored."""

    def fetch(self, key: str, target: Path) -> None:
        """Copy a stored file to ``target`` atomically and verified.

        Raise FileMissingError where no file is stored, NotYetError while the storage class has to restore the file.
        """

    def remove(self, key: str) -> None:
        """Remove a stored file, and leave its mark; a missing file is no error."""

    def discard(self, key: str, sha256: str) -> None:
        """Remove what a put of a file with this SHA-256 has left, whole or not; other content under the key stays."""

    def owner(self, key: str) -> str | None:
        """Return the owner whose mark a key carries, with or without a stored file; None without a mark."""

    def claim(self, key: str, owner: str) -> str:
        """Mark a key for an owner, atomically, unless it is marked; return the owner whose mark it carries then.

        The empty text is returned where another owner's mark was released at the same moment.
        """

    def release(self, key: str) -> None:
        """Remove a key's mark; a missing mark is no error."""


def is_key(text: str) -> bool:
    """Return whether a text is one to eight plain names between slashes."""
    return _KEY.match(text) is not None


def checked_key(key: object) -> str:
    """Return a key that consists of plain names between slashes; raise InvalidNameError for any other."""
    if not isinstance(key, str) or len(key) > MAX_KEY or not is_key(key) or key.endswith(RESERVED_SUFFIXES):
        raise InvalidNameError("a stored file's key is one to eight plain names between slashes")
    return key


def part_of(target: Path) -> Path:
    """Return the temporary path of a fetch; always the same, so that a killed fetch leaves one file at most."""
    return target.with_name(f"{target.name}.fetched{PART_SUFFIX}")


@contextmanager
def plain_errors(place: str) -> Iterator[None]:
    """Convert OSError to UnavailableError; ``place`` is the place's name in messages."""
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
