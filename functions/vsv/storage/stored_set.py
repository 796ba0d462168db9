"""Stored file sets: a folder of a slide's files with their listing, under the names by which OpenSlide finds them.

A set lies in ``slides/{ImageID}/set/``, before its import in a folder in place of the incoming or taken file. Its
checksum is ``set-`` and the SHA-256 of what ``sha256sum`` prints for the files in the order of their relative names:
for each a line of its SHA-256, two blanks and its name.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vsv.errors import ConflictError, FileMissingError, UnreadableSlideError
from vsv.storage import atomic_write, nfs
from vsv.storage.archive_marker import ORIGINAL
from vsv.storage.set_folder import LISTING, SET, read_item

if TYPE_CHECKING:
    from vsv.storage.slide_files import SlideFiles

PREFIX = "set-"
_BLOCK = 4 << 20


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a set: its size in bytes and its SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class StoredSet:
    """The listing of a set: the name of its index file, and all its files by relative name."""

    index: str
    files: Mapping[str, StoredFile]

    @property
    def checksum(self) -> str:
        """The checksum of all names and contents."""
        lines = "".join(f"{self.files[name].sha256}  {name}\n" for name in sorted(self.files))
        return PREFIX + hashlib.sha256(lines.encode()).hexdigest()

    def is_whole(self, folder: Path) -> bool:
        """Return whether a folder holds all files in their sizes."""
        return all(nfs.has_size(folder / name, file.size) for name, file in self.files.items())


def is_set_checksum(checksum: str | None) -> bool:
    """Return whether a checksum is that of a set."""
    return checksum is not None and checksum.startswith(PREFIX)


def write_listing(folder: Path, stored: StoredSet) -> None:
    """Write the listing of the files in a folder."""
    files = {name: [file.size, file.sha256] for name, file in sorted(stored.files.items())}
    text = json.dumps({"index": stored.index, "files": files}, indent=1, ensure_ascii=False)
    atomic_write.write(folder / LISTING, text.encode())


def read_listing(folder: Path) -> StoredSet | None:
    """Return the listing of the set in a folder; None where the folder holds no set with a readable listing."""
    if (item := read_item(folder)) is None:
        return None
    try:
        listed = item["files"].items()
        files = {str(name): StoredFile(int(size), str(sha256)) for name, (size, sha256) in listed}
    except (ValueError, TypeError, AttributeError):
        return None
    return StoredSet(str(item["index"]), files)


def listing_of(files: "SlideFiles", image_id: str) -> StoredSet | None:
    """Return the listing of a served or deleted slide of several files; None for any other slide."""
    folders = files.folder(image_id), files.deleted_folder(image_id)
    return next((stored for folder in folders if (stored := read_listing(folder / SET))), None)


def is_whole(files: "SlideFiles", image_id: str) -> bool:
    """Return whether all files of a served or deleted slide of several files are stored in their sizes."""
    folders = (folder / SET for folder in (files.folder(image_id), files.deleted_folder(image_id)))
    return any((stored := read_listing(folder)) and stored.is_whole(folder) for folder in folders)


def verify(folder: Path) -> StoredSet:
    """Read all files of a set again and return its listing; raise UnreadableSlideError for any other content."""
    if (stored := read_listing(folder)) is None:
        raise UnreadableSlideError("this is not a file")
    for name, file in stored.files.items():
        if not nfs.has_size(folder / name, file.size) or _sha256(folder / name) != file.sha256:
            raise UnreadableSlideError(f"{name} is not what was copied: copy the slide again")
    return stored


def store_set(source: Path, original: Path) -> None:
    """Move a set's folder beside a slide's original by rename, then write its index as the original; idempotent.

    The original is written last: a slide is stored once it has one.
    """
    folder = original.with_name(SET)
    if source != folder:
        _move(source, folder)
    stored = read_listing(folder)
    if stored is None or not stored.is_whole(folder):
        raise FileMissingError("a file of the slide is missing: it is transferred again")
    with atomic_write.replacing(original) as part:
        shutil.copyfile(folder / stored.index, part)
        part.chmod(0o444)
    atomic_write.flush(original.parent)


def _move(source: Path, folder: Path) -> None:
    if not source.exists():
        raise FileMissingError("the transferred files are missing")
    if folder.exists():  # left by a killed run, whose original was not written
        if folder.with_name(ORIGINAL).exists():
            raise ConflictError("this slide has its files already")
        shutil.rmtree(folder)
    source.rename(folder)
    atomic_write.flush(folder.parent)
    atomic_write.flush(source.parent)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
