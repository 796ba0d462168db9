"""Object store in a folder, on another disk or a NAS.

Beside each file is ``{name}.sha256``, in the format that ``sha256sum`` writes and ``sha256sum -c`` checks. This
checksum file is written last: a file without a checksum file does not count as stored. A mark is ``{name}.owner``.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from vsv.errors import ConflictError, FileMissingError, UnavailableError
from vsv.storage import atomic_write, nfs, owner_files
from vsv.storage.object_store import OWNER_SUFFIX, Stored, checked_key, part_of, plain_errors

_BLOCK = 4 << 20
_LINE = re.compile(r"([0-9a-f]{64})  ")
_DATA_FOLDER, _COPIES_FOLDER = "the data folder", "the folder for copies"


class FolderObjectStore:
    """Files under a folder, which must exist: where a disk is not mounted, nothing is written to its mount point."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, source: Path, key: str, sha256: str) -> None:
        """Copy, flush, read back and compare a file, then rename it; see ``ObjectStore``."""
        path = self._path(key)
        with plain_errors(_COPIES_FOLDER):
            if (stored := self.find(key)) is None:
                self._store(source, path, sha256)
            elif stored.sha256 != sha256 or stored.size != source.stat().st_size:
                raise ConflictError("another file is stored under this name already: nothing was overwritten")
            # The file may have been stored long ago, and bits on a disk can decay.
            elif _hash_from_disk(self._path(key)) != sha256:
                raise ConflictError("the stored copy has changed since it was stored: check that disk")

    def _store(self, source: Path, path: Path, sha256: str) -> None:
        self._make_folder(path.parent)
        atomic_write.sweep(path.parent)
        _remove_parts(path)
        if not path.exists():
            with atomic_write.replacing(path) as part:
                if _copy(source, part) != sha256:
                    raise ConflictError("the file does not match its record: nothing was stored")
                if _hash_from_disk(part) != sha256:
                    raise UnavailableError("what was copied cannot be read back: check that disk")
        elif _hash_from_disk(path) != sha256:  # the file exists: left by a killed run, or not this store's
            raise ConflictError("another file is stored under this name already: nothing was overwritten")
        atomic_write.write(_checksum_file(path), f"{sha256}  {path.name}\n".encode())

    def _make_folder(self, folder: Path) -> None:
        for ancestor in reversed([f for f in (folder, *folder.parents) if f.is_relative_to(self.root)]):
            if not ancestor.is_dir():
                ancestor.mkdir(exist_ok=True)
                atomic_write.flush(ancestor.parent)

    def find(self, key: str) -> Stored | None:
        """Return the stored size and SHA-256; see ``ObjectStore``."""
        path = self._path(key)
        with plain_errors(_COPIES_FOLDER):
            self._check_mounted()
            try:
                line = _LINE.match(_checksum_file(path).read_text("ascii", "replace"))
            except (FileNotFoundError, NotADirectoryError):
                return None
            size = nfs.size_of(path)
        return None if line is None or size is None else Stored(size, line[1])

    def fetch(self, key: str, target: Path) -> None:
        """Copy a stored file back and verify the copy; see ``ObjectStore``."""
        path = self._path(key)
        if (stored := self.find(key)) is None:
            raise FileMissingError("there is no stored copy of this file")
        part = part_of(target)
        with plain_errors(_DATA_FOLDER):
            try:
                if _copy(path, part) != stored.sha256:
                    raise UnavailableError("the stored copy cannot be read as it was stored: check that disk")
                if _hash_from_disk(part) != stored.sha256:
                    raise UnavailableError("what was copied back cannot be read: check this disk")
                part.replace(target)
                atomic_write.flush(target.parent)
            finally:
                part.unlink(missing_ok=True)

    def remove(self, key: str) -> None:
        """Remove a stored file, and the folders that become empty; see ``ObjectStore``."""
        path = self._path(key)
        with plain_errors(_COPIES_FOLDER):
            self._check_mounted()
            # The checksum file first: a partly removed file must not count as stored.
            _checksum_file(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            _remove_parts(path)
            self._remove_empty_folders(path)

    def discard(self, key: str, sha256: str) -> None:
        """Remove the file if its content, noted or read, has this SHA-256; see ``ObjectStore``."""
        path, stored = self._path(key), self.find(key)
        with plain_errors(_COPIES_FOLDER):
            present = stored.sha256 if stored else _hash_from_disk(path) if path.is_file() else sha256
            if present == sha256:
                self.remove(key)
            else:
                _remove_parts(path)

    def _remove_empty_folders(self, path: Path) -> None:
        for folder in path.parents[: len(path.relative_to(self.root).parts) - 1]:
            with suppress(OSError):
                folder.rmdir()

    def owner(self, key: str) -> str | None:
        """Return the owner in the mark; see ``ObjectStore``."""
        path = _owner_file(self._path(key))
        with plain_errors(_COPIES_FOLDER):
            self._check_mounted()
            nfs.revalidate(path.parent)  # another machine may have written the mark a moment ago
            return owner_files.read_owner(path)

    def claim(self, key: str, owner: str) -> str:
        """Create the mark's file, which only one writer can; see ``ObjectStore``."""
        path = _owner_file(self._path(key))
        with plain_errors(_COPIES_FOLDER):
            self._check_mounted()
            self._make_folder(path.parent)
            _link_new(path, f"{owner}\n".encode("ascii"))
            # Where the file system has no hard links, or a writer was killed in the middle.
            return owner_files.read_owner(path) or owner_files.claim(path, owner)

    def release(self, key: str) -> None:
        """Remove the mark, and the folders that become empty; see ``ObjectStore``."""
        path = self._path(key)
        with plain_errors(_COPIES_FOLDER):
            self._check_mounted()
            _owner_file(path).unlink(missing_ok=True)
            self._remove_empty_folders(path)

    def _check_mounted(self) -> None:
        if not self.root.is_dir():
            raise UnavailableError(f"{_COPIES_FOLDER} is not there: is its disk mounted?")

    def _path(self, key: str) -> Path:
        return self.root / checked_key(key)


def _checksum_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _remove_parts(path: Path) -> None:
    """Remove the temporary files of killed puts of a file; a put that another process runs fails, and is retried."""
    of_this_file = re.compile(
        rf"{re.escape(path.name)}(\.sha256|\.owner)?\.[0-9a-f]{{8}}{re.escape(atomic_write.PART_SUFFIX)}"
    )
    for part in path.parent.glob(f"*{atomic_write.PART_SUFFIX}"):
        if of_this_file.fullmatch(part.name):
            part.unlink(missing_ok=True)


def _link_new(path: Path, content: bytes) -> None:
    """Create a file, whole from its first moment, unless there is one, or the file system has no hard links."""
    part = path.with_name(f"{path.name}.{os.urandom(4).hex()}{atomic_write.PART_SUFFIX}")
    try:
        part.write_bytes(content)
        atomic_write.flush(part)
        with suppress(OSError):
            os.link(part, path)
        atomic_write.flush(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _owner_file(path: Path) -> Path:
    return path.with_name(f"{path.name}{OWNER_SUFFIX}")


def _copy(source: Path, part: Path) -> str:
    """Copy a file; return the SHA-256 of the bytes that were read."""
    digest = hashlib.sha256()
    with source.open("rb") as original, part.open("wb") as copy:
        for block in _blocks(original):
            digest.update(block)
            copy.write(block)
    atomic_write.flush(part)
    return digest.hexdigest()


def _hash_from_disk(path: Path) -> str:
    """Return the SHA-256 of a file as the disk holds it, not as the page cache does."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        for block in _blocks(file):
            digest.update(block)
    return digest.hexdigest()


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block
