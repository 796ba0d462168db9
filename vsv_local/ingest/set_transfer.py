"""Bring a slide of several files from the scanner's folder into ``incoming/``: a verified copy of the whole set.

The copies are written into a temporary folder, which takes its place by one rename: there are all files or none.
"""

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

from vsv.errors import FileChangingError, TransferError, UnreadableSlideError
from vsv.formats.file_set import FileSet, find_set
from vsv.ingest.validation import checksum
from vsv.pyramids.renderer import Progress
from vsv.storage import atomic_write, set_folder, stored_set
from vsv.storage.slide_files import SlideFiles
from vsv.storage.stored_set import StoredFile, StoredSet

from vsv_local.ingest.transfer import Transferred, check_free_space, disk_errors

_BLOCK = 4 << 20
_TOUCH_S = 60.0
_CHANGED = "the slide's files changed while they were copied: they are still being written"


@dataclass(frozen=True, slots=True)
class SetState:
    """The state of a set's files: the index's size in bytes, and the newest modification time in nanoseconds.

    ``fingerprint`` is a number that changes with the size or modification time of any of the files.
    """

    size: int
    fingerprint: int
    newest: int


def set_state(index: Path) -> SetState:
    """Return the state of the files of a set; raises the errors of ``find_set``, OSError."""
    return _state(find_set(index))


def _state(found: FileSet) -> SetState:
    states = {name: path.stat() for name, path in found.paths.items()}
    text = "".join(f"{name}/{state.st_size}/{state.st_mtime_ns}\n" for name, state in states.items())
    fingerprint = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])
    newest = max(state.st_mtime_ns for state in states.values())
    return SetState(states[found.index_name].st_size, fingerprint, newest)


def set_checksum(index: Path) -> str:
    """Return the checksum of the set of an index file, read whole; raises the errors of ``find_set``, OSError."""
    found = find_set(index)
    files = {name: StoredFile(path.stat().st_size, checksum(path)) for name, path in found.paths.items()}
    return StoredSet(found.index_name, files).checksum


def unreadable_set(index: Path) -> dict[str, Any]:
    """Return what a run records of an index that is none, so that it is not tried again until it changes."""
    mark = f"{stored_set.PREFIX}{checksum(index)}"
    return {"checksum": mark, "source_modified": index.stat().st_mtime_ns}


def copy_set(
    source: Path,
    files: SlideFiles,
    filename: str,
    size: int,
    progress: Progress = lambda _done, _total: None,
) -> Transferred:
    """Copy all files of a set and read the copies back; the sources are only ever read.

    ``size`` is that of the index file; ``progress`` receives bytes copied and bytes in all.

    Raises FileChangingError while a file is missing or being written to, UnreadableSlideError for what cannot be a
    set, TransferError where a copy differs from the bytes read, UnavailableError when the disk refuses.
    """
    with disk_errors(source):
        found = find_set(source)
        before = _state(found)
        if before.size != size:
            raise FileChangingError("the file in the scanner's folder has another size now")
        target = files.incoming(filename)
        part = target.with_name(f"{target.name}.{os.urandom(4).hex()}{atomic_write.PART_SUFFIX}")
        try:
            part.mkdir()
            stored = _copy_all(found, part, progress)
            if set_state(source) != before:
                raise FileChangingError(_CHANGED)
            _put(stored, part, target)
        finally:
            rmtree(part, ignore_errors=True)
    return Transferred(stored.checksum, before.fingerprint, stored.files[stored.index].sha256)


def _copy_all(found: FileSet, part: Path, progress: Progress) -> StoredSet:
    total = sum(path.stat().st_size for path in found.paths.values())
    check_free_space(part, total)
    copied, done = {}, 0
    for name, path in found.paths.items():
        copy = part / name
        copy.parent.mkdir(exist_ok=True)
        copied[name] = _copy_verified(path, copy, _Noted(progress, part, done, total))
        done += copied[name].size
    return StoredSet(found.index_name, copied)


def _put(stored: StoredSet, part: Path, target: Path) -> None:
    for folder in {part, *((part / name).parent for name in stored.files)}:
        atomic_write.flush(folder)
    stored_set.write_listing(part, stored)
    set_folder.remove(target)  # an earlier copy that no run has taken
    part.rename(target)
    atomic_write.flush(target.parent)


class _Noted:
    """Writer of a file's progress as a part of the whole; marks the temporary folder as one that is in use."""

    def __init__(self, progress: Progress, part: Path, done: int, total: int) -> None:
        self._progress, self._part, self._done, self._total = progress, part, done, total
        self._touched = time.monotonic()

    def __call__(self, copied: int) -> None:
        self._progress(self._done + copied, self._total)
        if time.monotonic() - self._touched > _TOUCH_S:
            self._touched = time.monotonic()
            with suppress(OSError):
                os.utime(self._part)


def _copy_verified(source: Path, copy: Path, progress: Callable[[int], None]) -> StoredFile:
    """Copy a file that is no link, read the copy back, and return its size and checksum."""
    digest, size = hashlib.sha256(), 0
    with open(source, "rb", opener=_open_no_link) as reading, copy.open("xb") as writing:
        while block := reading.read(_BLOCK):
            digest.update(block)
            size += writing.write(block)
            progress(size)
    atomic_write.flush(copy)
    copy.chmod(0o444)
    if copy.stat().st_size != size or checksum(copy) != digest.hexdigest():
        raise TransferError("a copy differs from the file in the scanner's folder")
    return StoredFile(size, digest.hexdigest())


def _open_no_link(path: str, flags: int) -> int:
    try:
        return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        if os.path.islink(path):  # noqa: PTH114
            raise UnreadableSlideError("a file of the slide is a link: put the file itself there") from error
        raise
