"""Read and write a backup folder: contents named by their SHA-256, and one manifest that lists each file's content.

``contents/{first two digits}/{sha256}`` appear whole or not at all, and stay until a new manifest no longer needs
them; the records have a second copy, ``{sha256}.spare``. ``manifest.json`` is replaced in one step: before it, the
folder holds the previous backup; after it, the new one.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock, Timeout
from vsv.errors import ConflictError, NotFoundError, TransferError, UnreadableSlideError, UnsupportedError
from vsv.ingest.validation import checksum
from vsv.storage import atomic_write

MANIFEST = "manifest.json"
VERSION = 1
_BLOCK = 4 << 20
_SPARE = ".spare"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DAMAGED = "the backup's manifest is damaged: use another backup"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the data folder: its path there and its content, or, for a link, its target.

    ``size`` is in bytes, ``modified`` in ns since the epoch, ``mode`` the permissions.
    """

    path: str
    size: int
    modified: int
    mode: int
    sha256: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of one backup, and when it was made (ISO 8601 UTC)."""

    made_at: str
    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries if entry.sha256)

    @property
    def sha256s(self) -> set[str]:
        """The contents of all files."""
        return {entry.sha256 for entry in self.entries if entry.sha256}


class BackupStore:
    """The folder of a backup."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the backup for the length of a block; raises ConflictError where another process holds the lock."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)  # labels and records of patients
        try:
            with FileLock(self.root / "lock", timeout=0):
                yield
        except Timeout as error:
            raise ConflictError("another vsv is working on this backup") from error

    def manifest(self) -> Manifest | None:
        """Return the backup's manifest, None where none was finished; raises UnreadableSlideError if damaged."""
        return read_manifest(self.root / MANIFEST)

    def required(self) -> Manifest:
        """Return the backup's manifest; raises NotFoundError where none was finished."""
        if (manifest := self.manifest()) is None:
            raise NotFoundError("this folder holds no finished backup")
        return manifest

    def content(self, sha256: str) -> Path:
        """Return the path of a content."""
        return self.root / "contents" / sha256[:2] / sha256

    def spare(self, sha256: str) -> Path:
        """Return the path of a content's second copy; only the records have one."""
        return self.root / "contents" / sha256[:2] / f"{sha256}{_SPARE}"

    def keep_spare(self, sha256: str) -> None:
        """Store a second copy of a content that nothing could replace; raises TransferError where it differs."""
        with atomic_write.replacing(self.spare(sha256)) as part:
            if write_summed(read_blocks(self.content(sha256)), part) != sha256:
                raise TransferError("a copy differs from its original: check the disks")

    def has(self, sha256: str | None, size: int) -> bool:
        """Return whether a content is stored, complete as far as its size shows."""
        try:
            return sha256 is not None and self.content(sha256).stat().st_size == size
        except OSError:
            return False

    def keep(self, source: Path, *, may_link: bool) -> str:
        """Store a file's content and return its SHA-256; raises TransferError where the copy differs.

        ``may_link``: the file is never written to again, only replaced, so that a hard link is as good as a copy and
        takes no room.
        """
        folder = self.root / "contents"
        folder.mkdir(mode=0o700, exist_ok=True)  # private, even in a folder that others may read
        part = folder / f"{os.urandom(8).hex()}{atomic_write.PART_SUFFIX}"
        try:
            digest = _linked(source, part) if may_link else None
            digest = digest or _copied(source, part)
            target = self.content(digest)
            target.parent.mkdir(exist_ok=True)
            part.replace(target)
            atomic_write.flush(target.parent)
        finally:
            part.unlink(missing_ok=True)
        return digest

    def finish(self, manifest: Manifest) -> None:
        """Make ``manifest`` the backup."""
        item = {"version": VERSION, "made_at": manifest.made_at}
        entries = [{k: v for k, v in asdict(entry).items() if v is not None} for entry in manifest.entries]
        atomic_write.write(self.root / MANIFEST, json.dumps(item | {"entries": entries}).encode())

    def sweep(self) -> None:
        """Remove partial files of a killed backup; only for the process that holds the backup."""
        for part in (self.root / "contents").rglob(f"*{atomic_write.PART_SUFFIX}"):
            part.unlink(missing_ok=True)

    def remove_all_but(self, needed: set[str]) -> None:
        """Remove the contents that are not needed any more."""
        for path in (self.root / "contents").glob("??/*"):
            if path.name.removesuffix(_SPARE) not in needed:
                path.unlink(missing_ok=True)


def _linked(source: Path, part: Path) -> str | None:
    """Link a file and return its checksum; None where a hard link between these folders is impossible."""
    try:
        os.link(source, part, follow_symlinks=True)
    except FileNotFoundError:
        raise
    except OSError:
        return None
    return checksum(part)


def _copied(source: Path, part: Path) -> str:
    digest = write_summed(read_blocks(source), part)
    if checksum(part) != digest:
        raise TransferError("a copy differs from its original: check the disks")
    return digest


def read_blocks(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes in blocks."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def write_summed(blocks: Iterable[bytes], target: Path) -> str:
    """Write blocks to a file, flush the file, and return the SHA-256 of the blocks."""
    digest = hashlib.sha256()
    with target.open("wb") as writing:
        for block in blocks:
            digest.update(block)
            writing.write(block)
    atomic_write.flush(target)
    return digest.hexdigest()


def read_manifest(path: Path) -> Manifest | None:
    """Return the manifest in a file, None without the file.

    Raises UnreadableSlideError for a damaged manifest, UnsupportedError for one that a newer version wrote.
    """
    try:
        item = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UnreadableSlideError(_DAMAGED) from error
    return _manifest_of(item)


def _manifest_of(item: Any) -> Manifest:
    """Return the manifest in a JSON object that anybody may have written; raises UnreadableSlideError."""
    try:
        if item["version"] != VERSION:
            raise UnsupportedError("the backup was made by a newer version: update this program")
        datetime.fromisoformat(item["made_at"])
        manifest = Manifest(item["made_at"], tuple(_entries(item["entries"])))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableSlideError(_DAMAGED) from error
    return manifest


def _entries(items: Iterable[Any]) -> Iterator[Entry]:
    for item in items:
        entry = Entry(**item)
        if not _is_inside(entry.path) or (entry.sha256 is None) == (entry.link is None):
            raise ValueError(entry.path)
        if entry.sha256 is not None and not _SHA256.fullmatch(entry.sha256):
            raise ValueError(entry.sha256)
        if not all(isinstance(number, int) for number in (entry.size, entry.modified, entry.mode)):
            raise TypeError(entry.path)
        yield entry


def _is_inside(text: str) -> bool:
    parts = PurePosixPath(text).parts
    return (
        bool(parts)
        and not text.startswith("/")
        and ".." not in parts
        and "\\" not in text
        and "\0" not in text
    )
