"""Read a data folder that is in use: its records as of one moment, and the files that a backup copies."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from vsv.errors import UnavailableError
from vsv.ingest import not_imported
from vsv.records.models import SlideRecord
from vsv.storage import atomic_write

from vsv_local.stores.sqlite_database import DATABASE_NAME

# Needed by a running import, a lock or the status of a run, but not by a restored folder: files that were not
# imported yet are still at their source. The database is copied separately.
LEFT_OUT = (
    "incoming",
    "taken",
    "locks",
    "runs",
    not_imported.FILE,
    DATABASE_NAME,
    f"{DATABASE_NAME}-wal",
    f"{DATABASE_NAME}-shm",
)
# An original is copied to these folders before it leaves its slide's folder: scanned last, it is found in either.
_LAST = ("archive", "published")


@contextmanager
def records_snapshot(data: Path, folder: Path) -> Iterator[Path]:
    """Copy the records of one moment into ``folder``, while other processes write; yield the copy's path."""
    path = folder / f"records{atomic_write.PART_SUFFIX}"
    try:
        path.unlink(missing_ok=True)
        with (
            closing(sqlite3.connect(f"{(data / DATABASE_NAME).as_uri()}?mode=rw", uri=True)) as source,
            closing(sqlite3.connect(path)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, no log beside it
            if copy.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise UnavailableError(
                    "the records are damaged: restore them from the backup before this one"
                )
        yield path
    finally:
        path.unlink(missing_ok=True)


def recorded(database: Path) -> Iterator[SlideRecord]:
    """Yield all slides' records."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        for (item,) in connection.execute("SELECT item FROM slides"):
            yield SlideRecord.from_item(json.loads(item))


def files_of(data: Path, folder: str = "") -> Iterator[Path]:
    """Yield all files and links in a folder of the data folder, without those left out and those half written."""
    with os.scandir(data / folder) as entries:
        sorted_entries = sorted(entries, key=lambda entry: (entry.name in _LAST, entry.name))
    for entry in sorted_entries:
        if entry.name.endswith(atomic_write.PART_SUFFIX) or (not folder and entry.name in LEFT_OUT):
            continue
        name = f"{folder}/{entry.name}" if folder else entry.name
        if entry.is_dir(follow_symlinks=False):
            try:
                yield from files_of(data, name)
            except FileNotFoundError:
                continue  # moved meanwhile
        else:
            yield data / name
