"""A vault in a folder: of another disk, of a NAS.

Beside each file lies ``{name}.sha256``, as ``sha256sum`` writes and ``sha256sum -c`` checks it. It is written last: a
file without it is not there yet.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from vsv.errors import ConflictError, FileMissingError, UnavailableError
from vsv.storage import atomic_write, nfs
from vsv.storage.object_store import Stored, checked_key, part_of, plain_errors

_BLOCK = 4 << 20
_LINE = re.compile(r"([0-9a-f]{64})  ")
_HERE, _THERE = "the data folder", "the folder for copies"


class FolderObjectStore:
    """Files under a folder, which must be there: where a disk is not mounted, nothing may be written in its place."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, source: Path, key: str, sha256: str) -> None:
        """Copy, flush, read back and compare, then give it its name; see ``Vault``."""
        path = self._path(key)
        with plain_errors(_THERE):
            if (found := self.find(key)) is None:
                self._store(source, path, sha256)
            elif found.sha256 != sha256 or found.size != source.stat().st_size:
                raise ConflictError("another file is stored under this name already: nothing was overwritten")
            elif _read_back(self._path(key)) != sha256:  # stored long ago, perhaps: disks rot
                raise ConflictError("the stored copy has changed since it was stored: check that disk")

    def _store(self, source: Path, path: Path, sha256: str) -> None:
        self._make_folder(path.parent)
        atomic_write.sweep(path.parent)
        if not path.exists():
            with atomic_write.replacing(path) as part:
                if _copied(source, part) != sha256:
                    raise ConflictError("the file does not match its record: nothing was stored")
                if _read_back(part) != sha256:
                    raise UnavailableError("what was copied cannot be read back: check that disk")
        elif _read_back(path) != sha256:  # the name was there: of a killed run, or somebody else's
            raise ConflictError("another file is stored under this name already: nothing was overwritten")
        atomic_write.write(_note(path), f"{sha256}  {path.name}\n".encode())

    def _make_folder(self, folder: Path) -> None:
        for missing in reversed([f for f in (folder, *folder.parents) if f.is_relative_to(self.root)]):
            if not missing.is_dir():
                missing.mkdir(exist_ok=True)
                atomic_write.flush(missing.parent)

    def find(self, key: str) -> Stored | None:
        """Look; see ``Vault``."""
        path = self._path(key)
        with plain_errors(_THERE):
            self._check_mounted()
            try:
                line = _LINE.match(_note(path).read_text("ascii", "replace"))
            except (FileNotFoundError, NotADirectoryError):
                return None
            size = nfs.size_of(path)
        return None if line is None or size is None else Stored(size, line[1])

    def fetch(self, key: str, target: Path) -> None:
        """Copy back; see ``Vault``."""
        path = self._path(key)
        if (found := self.find(key)) is None:
            raise FileMissingError("there is no stored copy of this file")
        part = part_of(target)
        with plain_errors(_HERE):
            try:
                if _copied(path, part) != found.sha256:
                    raise UnavailableError("the stored copy cannot be read as it was stored: check that disk")
                if _read_back(part) != found.sha256:
                    raise UnavailableError("what was copied back cannot be read: check this disk")
                part.replace(target)
                atomic_write.flush(target.parent)
            finally:
                part.unlink(missing_ok=True)

    def remove(self, key: str) -> None:
        """Remove, and the folders that are empty then; see ``Vault``."""
        path = self._path(key)
        with plain_errors(_THERE):
            self._check_mounted()
            _note(path).unlink(missing_ok=True)  # first: half of it must not be found
            path.unlink(missing_ok=True)
            for folder in path.parents[: len(path.relative_to(self.root).parts) - 1]:
                with suppress(OSError):
                    folder.rmdir()

    def _check_mounted(self) -> None:
        if not self.root.is_dir():
            raise UnavailableError(f"{_THERE} is not there: is its disk mounted?")

    def _path(self, key: str) -> Path:
        return self.root / checked_key(key)


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _copied(source: Path, part: Path) -> str:
    """Copy a file and give the SHA-256 of what was read."""
    digest = hashlib.sha256()
    with source.open("rb") as whole, part.open("wb") as file:
        for block in _blocks(whole):
            digest.update(block)
            file.write(block)
    atomic_write.flush(part)
    return digest.hexdigest()


def _read_back(path: Path) -> str:
    """Give the SHA-256 of what the disk holds, not of what is remembered of it."""
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
