"""Restore a data folder from a backup: ``vsv restore``.

All files are written into a working folder within the new data folder, each verified, and moved to their places at
the end, the records last: until then no server accepts the folder as an installation. A restore that was killed
resumes. The restored folder is paused (restored_marker.py) until a person confirms that it is the one in use.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from vsv.errors import ConflictError, TransferError, UnavailableError
from vsv.storage import atomic_write

from vsv_local.backup.backup_folder import BackupStore, Entry, Manifest, copy_summed
from vsv_local.backup.restored_marker import MARKER, write_marker
from vsv_local.stores.sqlite_database import DATABASE_NAME

_NO_DISK = "the data folder could not be written: is its disk full, read only or gone?"
_NOT_EMPTY = "a backup is restored into an empty folder only: name another with --data, or move this one away"


def restore(source: Path, data: Path, progress: Callable[[int], None]) -> Manifest:
    """Restore the backup in ``source`` into ``data``, which must be empty or missing; return the backup's manifest.

    Raises NotFoundError without a finished backup, ConflictError for a folder that is not empty, TransferError where
    the backup is damaged, UnavailableError where ``data`` cannot be written.
    """
    manifest = BackupStore(source).required()
    # One folder per backup: files that a killed restore of another backup left are not used.
    work = data / f".restoring-{hashlib.sha256(manifest.made_at.encode()).hexdigest()[:12]}"
    try:
        data.mkdir(parents=True, exist_ok=True)
        if not _is_moved(data, work):
            _check_empty(data, work, manifest)
            work.mkdir(exist_ok=True)
            for part in work.rglob(f"*{atomic_write.PART_SUFFIX}"):
                part.unlink()
            _write(BackupStore(source), manifest, work, data, progress)
            write_marker(data, manifest.made_at)
            _move(manifest, work, data)
        shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise UnavailableError(_NO_DISK) from error
    return manifest


def _is_moved(data: Path, work: Path) -> bool:
    """Return whether an attempt was killed after its last move: the records may be in use since."""
    return work.is_dir() and (data / DATABASE_NAME).exists()


def _check_empty(data: Path, work: Path, manifest: Manifest) -> None:
    """Raise ConflictError for a folder that holds anything but files of an earlier attempt at this restore."""
    names = {path.name for path in data.iterdir()}
    expected = {work.name, MARKER} | _top_folders(manifest.entries) if work.name in names else set()
    if names - expected:
        raise ConflictError(_NOT_EMPTY)


def _top_folders(entries: Iterable[Entry]) -> set[str]:
    return {entry.path.split("/")[0] for entry in entries}


def _write(
    store: BackupStore, manifest: Manifest, work: Path, data: Path, progress: Callable[[int], None]
) -> None:
    # Links last, so that no file is written through a link.
    for entry in sorted(manifest.entries, key=lambda entry: entry.link is not None):
        moved, path = data / entry.path, work / entry.path
        if not (_is_written(moved, entry) or _is_written(path, entry)):
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_file(store, entry, path)
        progress(entry.size)


def _is_written(path: Path, entry: Entry) -> bool:
    """Return whether a killed attempt has written a file: one with the right size and time is complete."""
    try:
        state = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return entry.link is not None or (state.st_size, state.st_mtime_ns) == (entry.size, entry.modified)


def _write_file(store: BackupStore, entry: Entry, path: Path) -> None:
    if entry.link is not None:
        path.symlink_to(entry.link)
        return
    assert entry.sha256 is not None
    with atomic_write.replacing(path) as part:
        try:
            digest = copy_summed(store.content(entry.sha256), part)
        except FileNotFoundError as error:
            raise TransferError(
                "the backup is damaged: contents are missing. vsv backup --verify lists them"
            ) from error
        if digest != entry.sha256:
            raise TransferError(
                "the backup is damaged: contents have changed. vsv backup --verify lists them"
            )
        part.chmod(entry.mode)
        os.utime(part, ns=(entry.modified, entry.modified))


def _move(manifest: Manifest, work: Path, data: Path) -> None:
    for name in sorted(_top_folders(manifest.entries), key=lambda name: (name == DATABASE_NAME, name)):
        if (work / name).exists():
            (work / name).rename(data / name)
    atomic_write.flush(data)
