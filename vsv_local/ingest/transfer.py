"""Bring a file from the scanner's folder into ``incoming/``: a verified copy, or a link where slides stay there."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vsv.errors import FileChangingError, FileMissingError, TransferError, UnavailableError
from vsv.ingest.validation import checksum
from vsv.pyramids.renderer import Progress
from vsv.storage import atomic_write
from vsv.storage.originals import link_original
from vsv.storage.slide_files import SlideFiles

_BLOCK = 4 << 20
# Only the ends of an original that stays in place are read: its folder was too big to copy.
_EDGE = 8 << 20
_EDGES = "edges-"
UNREADABLE = "the file may not be read: give the account that runs this program the right to"
NOT_COPIED = "the file could not be copied: is the disk full or the folder gone?"


@dataclass(frozen=True, slots=True)
class Transferred:
    """The result of a transfer: the content's checksum and the source's modification time in ns.

    ``named`` is, for a set of files, the checksum of its index, which is the file that was named.
    """

    checksum: str
    modified: int
    named: str | None = None


def copy(
    source: Path,
    files: SlideFiles,
    filename: str,
    size: int,
    progress: Progress = lambda _done, _total: None,
) -> Transferred:
    """Copy a file into ``incoming/`` and read the copy back; the source is only ever read.

    ``progress`` receives bytes copied and bytes in all.

    Raises FileMissingError, FileChangingError while the source is being written to, TransferError when the copy
    differs from the bytes read, UnavailableError when the disk refuses.
    """
    before = _state(source)
    if before[0] != size:
        raise FileChangingError("the file in the scanner's folder has another size now")
    target = files.incoming(filename)
    with disk_errors(source), atomic_write.replacing(target) as part:
        digest = _copy_bytes(source, part, progress)
        if _state(source) != before:
            raise FileChangingError("the file changed while it was copied: it is still being written")
        if part.stat().st_size != size or checksum(part) != digest:
            raise TransferError("the copy differs from the file in the scanner's folder")
    return Transferred(digest, before[1])


@contextmanager
def disk_errors(source: Path) -> Iterator[None]:
    """Raise UnavailableError, which names the cause, for errors of reading the source or writing the copy."""
    try:
        yield
    except OSError as error:
        is_source = isinstance(error, PermissionError) and error.filename == str(source)
        raise UnavailableError(UNREADABLE if is_source else NOT_COPIED) from error


def link(source: Path, files: SlideFiles, filename: str, size: int) -> Transferred:
    """Link from ``incoming/`` to a file that stays in its folder; raises as ``copy`` does."""
    before = _state(source)
    if before[0] != size:
        raise FileChangingError("the file has another size now")
    try:
        link_original(files, filename, source)
        digest = edges_checksum(source)
    except OSError as error:
        raise UnavailableError("the file could not be linked into the data folder") from error
    if _state(source) != before:
        raise FileChangingError("the file changed while it was read: it is still being written")
    return Transferred(digest, before[1])


def same_content(source: Path, digest: str) -> bool:
    """Return whether a file still has the content for which ``copy`` or ``link`` recorded this checksum."""
    return digest == (edges_checksum(source) if digest.startswith(_EDGES) else checksum(source))


def edges_checksum(path: Path) -> str:
    """Return a checksum of a file's size, beginning and end."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_EDGE))
        file.seek(max(0, size - _EDGE))
        digest.update(file.read(_EDGE))
    return _EDGES + digest.hexdigest()


def _state(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise FileMissingError("the file is no longer in the scanner's folder") from error
    return status.st_size, status.st_mtime_ns


def _copy_bytes(source: Path, part: Path, progress: Progress) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as reading, part.open("wb") as writing:
        total = os.fstat(reading.fileno()).st_size
        check_free_space(part, total)
        while block := reading.read(_BLOCK):
            digest.update(block)
            writing.write(block)
            progress(reading.tell(), total)
    atomic_write.flush(part)
    return digest.hexdigest()


def check_free_space(part: Path, size: int) -> None:
    """Raise UnavailableError before gigabytes are written to a disk that cannot hold them."""
    if shutil.disk_usage(part.parent).free < size:
        raise UnavailableError("the disk has no room for this slide: free some space")
