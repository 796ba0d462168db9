"""Restore the files of one slide from a backup: ``vsv restore --only``.

Into a data folder in use, what the slide lacks is written, each file verified before it appears. A file that is there
stays, except an original that is not the imported one while the backup's is.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from vsv.errors import ConflictError, NotFoundError, TransferError, UnavailableError
from vsv.identifiers import checked_image_id
from vsv.ingest.validation import checksum
from vsv.records.models import SlideRecord, Status
from vsv.storage import atomic_write
from vsv.storage.archive_marker import NOTE
from vsv.storage.set_folder import LISTING, SET
from vsv.storage.slide_files import SLIDE, SlideFiles
from vsv.storage.slide_lock import locked
from vsv.storage.stored_set import read_listing

from vsv_local.backup.backup_folder import BackupStore, Entry, Manifest
from vsv_local.backup.remaking import remake
from vsv_local.backup.restored import Restored
from vsv_local.backup.restored_file import write_file
from vsv_local.stores.sqlite_database import DATABASE_NAME

# A slide's files are in a folder of its ImageID in one of these.
_OWN = ("slides", "deleted", "archive")


def check_has_slide(manifest: Manifest, image_id: str) -> None:
    """Raise NotFoundError for a slide that is not in the backup."""
    checked_image_id(image_id)
    if not any(_is_of(entry, image_id) for entry in manifest.entries):
        raise NotFoundError(f"this backup has no slide {image_id}")


def with_slide_only(manifest: Manifest, image_id: str) -> Manifest:
    """Return a manifest without the files of other slides and without published copies."""
    others = (*_OWN, "published")
    entries = (e for e in manifest.entries if e.path.split("/")[0] not in others or _is_of(e, image_id))
    return replace(manifest, entries=tuple(entries))


def restore_slide(
    store: BackupStore, manifest: Manifest, data: Path, image_id: str, progress: Callable[[int], None]
) -> Restored:
    """Write the files that a slide of a data folder in use lacks; return those that were written or are missing.

    Raises NotFoundError where the data folder has no record of the slide, ConflictError where it was purged.
    """
    record = _record(data, image_id)
    written, missing = [], {}
    with locked(SlideFiles(data), image_id):
        for entry in _placed(manifest, record):
            path = data / entry.path
            if not _is_wanted(path, entry, record):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write.sweep(path.parent)
            written.append(entry)
            try:
                write_file(store, entry, path)
            except TransferError as error:
                missing[entry.path] = str(error)
            progress(entry.size)
        remade = frozenset(path for path in missing if remake(data, path))
    return Restored(replace(manifest, entries=tuple(written)), missing, remade)


def _is_of(entry: Entry, image_id: str) -> bool:
    top, _, rest = entry.path.partition("/")
    return top in _OWN and rest.split("/")[0] == image_id and "/" in rest


def _record(data: Path, image_id: str) -> SlideRecord:
    try:
        with closing(sqlite3.connect(f"{(data / DATABASE_NAME).resolve().as_uri()}?mode=rw", uri=True)) as db:
            row = db.execute("SELECT item FROM slides WHERE image_id = ?", (image_id,))
            item = row.fetchone()
    except sqlite3.DatabaseError as error:
        raise UnavailableError("the records cannot be read now") from error
    if item is None:
        raise NotFoundError(
            f"this data folder has no record of slide {image_id}: restore it into an empty folder"
        )
    record = SlideRecord.from_item(json.loads(item[0]))
    if record.original == "PURGED":
        raise ConflictError(f"slide {image_id} was purged: it is not restored here")
    return record


def _placed(manifest: Manifest, record: SlideRecord) -> Iterator[Entry]:
    """Yield a slide's files where its record says that they are now, originals before notes of an archive."""
    folder = "deleted" if record.status is Status.DELETED else "slides"
    own = [entry for entry in manifest.entries if _is_of(entry, record.image_id)]
    for entry in sorted(own, key=lambda entry: entry.path.endswith(f"/{NOTE}")):
        top, _, rest = entry.path.partition("/")
        yield entry if top == "archive" else replace(entry, path=f"{folder}/{rest}")


def _is_wanted(path: Path, entry: Entry, record: SlideRecord) -> bool:
    """Return whether to write a file: it is missing, or it is an original that is not the imported one."""
    top, _, name = entry.path.split("/", 2)
    is_original = top != "archive" and (name == SLIDE or name.startswith(f"{SET}/"))
    folder = path.parents[name.count("/")]
    if is_original and name != f"{SET}/{LISTING}" and _is_there(folder / NOTE):
        return False  # archived: vsv unarchive brings it back
    if path.name == NOTE and _is_there(path.with_name(SLIDE)):
        return False
    if not _is_there(path):
        return True
    if not is_original or entry.sha256 is None or entry.sha256 != _imported(folder, name, record):
        return False
    return not path.is_symlink() and checksum(path) != entry.sha256


def _imported(folder: Path, name: str, record: SlideRecord) -> str | None:
    """Return the SHA-256 with which a file was imported; of a slide of several files, its listing has them."""
    listing = read_listing(folder / SET)
    if listing is None:
        return record.checksum if name == SLIDE else None
    file = listing.files.get(listing.index if name == SLIDE else name.removeprefix(f"{SET}/"))
    return None if file is None else file.sha256


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()
