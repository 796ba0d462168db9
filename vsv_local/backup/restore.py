"""Restore a data folder from a backup: ``vsv restore``.

All files are written into a working folder within the new data folder, each verified, and moved to their places at
the end, the records last: until then no server accepts the folder as an installation. A restore that was killed
resumes. A file whose content is damaged in the backup is left out and reported: it is no reason to restore nothing.
The restored folder is paused (restored_marker.py) until a person confirms that it is the one in use.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from vsv.errors import ConflictError, TransferError, UnavailableError
from vsv.storage import atomic_write

from vsv_local.backup.backup_folder import BackupStore, Entry, Manifest
from vsv_local.backup.remaking import remake
from vsv_local.backup.restore_slide import check_has_slide, restore_slide, with_slide_only
from vsv_local.backup.restored import Restored
from vsv_local.backup.restored_file import write_file
from vsv_local.backup.restored_marker import MARKER, write_marker
from vsv_local.backup.rolling import backup_at
from vsv_local.stores.sqlite_database import DATABASE_NAME

_NO_DISK = "the data folder could not be written: is its disk full, read only or gone?"
_NOT_EMPTY = "a backup is restored into an empty folder only: name another with --data, or move this one away"
# In the working folder: the files that could not be restored, for an attempt that finds the rest moved already.
_MISSING = ".missing.json"


def restore(
    source: Path,
    data: Path,
    progress: Callable[[int], None],
    only: str | None = None,
    at: str | None = None,
) -> Restored:
    """Restore the backup in ``source`` into ``data``, which must be empty or missing.

    ``at`` is the beginning of the time of an older backup; without it, the last one is restored.

    ``only`` names the one slide whose files to restore; ``data`` may then be a data folder in use: what the slide's
    folder lacks is written there, and nothing else is changed.

    Raises NotFoundError without a finished backup or without the slide in it, ConflictError for a folder that is not
    empty, UnavailableError where ``data`` cannot be written.
    """
    store = BackupStore(source)
    manifest = backup_at(store, at)
    if only is not None:
        check_has_slide(manifest, only)
    # One folder per backup: files that a killed restore of another backup left are not used.
    name = hashlib.sha256(f"{manifest.made_at}{only or ''}".encode()).hexdigest()[:12]
    work = data / f".restoring-{name}"
    try:
        if only is not None and (data / DATABASE_NAME).exists() and not work.is_dir():
            return restore_slide(store, manifest, data, only, progress)
        kept = manifest if only is None else with_slide_only(manifest, only)
        return _restore_all(store, kept, data, work, progress)
    except OSError as error:
        raise UnavailableError(_NO_DISK) from error


def _restore_all(
    store: BackupStore, manifest: Manifest, data: Path, work: Path, progress: Callable[[int], None]
) -> Restored:
    """Restore all files of a manifest, and make damaged pictures again from restored originals."""
    data.mkdir(parents=True, exist_ok=True)
    if not _is_moved(data, work):
        _check_empty(data, work, manifest)
        work.mkdir(exist_ok=True)
        for part in work.rglob(f"*{atomic_write.PART_SUFFIX}"):
            part.unlink()
        missing = _write(store, manifest, work, data, progress)
        atomic_write.write(work / _MISSING, json.dumps(missing).encode())
        write_marker(data, manifest.made_at)
        _move(manifest, work, data)
    else:
        missing = _noted_missing(work)
    remade = frozenset(path for path in missing if remake(data, path))
    shutil.rmtree(work, ignore_errors=True)
    return Restored(manifest, missing, remade)


def _is_moved(data: Path, work: Path) -> bool:
    """Return whether an attempt was killed after its last move: the records may be in use since."""
    return work.is_dir() and (data / DATABASE_NAME).exists()


def _noted_missing(work: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        missing: dict[str, str] = json.loads((work / _MISSING).read_bytes())
        return missing
    return {}


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
) -> dict[str, str]:
    """Write all files whose content is intact; return the reasons why others are missing, by path."""
    missing: dict[str, str] = {}
    # Links last, so that no file is written through a link.
    for entry in sorted(manifest.entries, key=lambda entry: entry.link is not None):
        moved, path = data / entry.path, work / entry.path
        if not (_is_written(moved, entry) or _is_written(path, entry)):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                write_file(store, entry, path)
            except TransferError as error:
                missing[entry.path] = str(error)
        progress(entry.size)
    return missing


def _is_written(path: Path, entry: Entry) -> bool:
    """Return whether a killed attempt has written a file: one with the right size and time is complete."""
    try:
        state = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return entry.link is not None or (state.st_size, state.st_mtime_ns) == (entry.size, entry.modified)


def _move(manifest: Manifest, work: Path, data: Path) -> None:
    for name in sorted(_top_folders(manifest.entries), key=lambda name: (name == DATABASE_NAME, name)):
        if (work / name).exists():
            (work / name).rename(data / name)
    atomic_write.flush(data)
