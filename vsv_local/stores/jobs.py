"""Store job records in SQLite; ``sqlite_records.py`` says what holds for all records."""

import sqlite3
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from vsv.errors import AlreadyExistsError, VersionConflictError
from vsv.identifiers import checked_image_id
from vsv.records.items import Item, job_changes, new_item
from vsv.records.models import JobKind, JobRecord, JobState, job_id
from vsv.records.stores import Page
from vsv.storage.slide_lock import locked_file

from vsv_local.stores import review_index
from vsv_local.stores.items import Order, changed, find, page, to_json
from vsv_local.stores.sqlite_database import Database

_JOB = "SELECT item FROM jobs WHERE job_id = ?"
_BY_STATE = Order(
    JobRecord,
    "jobs by state",
    2,
    "SELECT item, next_at, job_id FROM jobs WHERE state = ? AND (next_at, job_id) > (?, ?) "
    "ORDER BY next_at, job_id LIMIT ?",
)


class SqliteJobStore:
    """The jobs in an open database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, image_id: str, kind: JobKind) -> JobRecord | None:
        """Return the latest job of this kind for this slide, or None."""
        with self._database.reading() as connection:
            item = find(connection, _JOB, job_id(image_id, kind))
        return None if item is None else JobRecord.from_item(item)

    def start(self, record: JobRecord, *, replaces: str | None) -> None:
        """Store a new request in the place of ``replaces``; raises AlreadyExistsError if another one is there."""
        item = new_item(record)
        with self._database.writing() as connection:
            stored = find(connection, _JOB, record.job_id)
            if stored == item:  # the same request, repeated
                return
            if (stored["RunID"] if stored else None) != replaces:
                raise AlreadyExistsError("This was requested in the meantime: check its progress.")
            _write(connection, item)

    def advance(self, job: JobRecord, changes: Mapping[str, Any]) -> JobRecord:
        """Change attributes of exactly this request; raises VersionConflictError if another has replaced it."""
        fields = job_changes(changes)
        with self._database.writing() as connection:
            item = find(connection, _JOB, job.job_id)
            if item is None or item["RunID"] != job.run_id:
                raise VersionConflictError("This was requested again in the meantime.")
            item = changed(item, fields)
            _write(connection, item)
        return JobRecord.from_item(item)

    def by_state(self, state: JobState, limit: int = 20, token: str | None = None) -> Page[JobRecord]:
        """Return a page of the jobs in this state, by NextAt."""
        return page(self._database, _BY_STATE, (str(state),), limit, token)

    def sending(self, image_id: str) -> AbstractContextManager[None]:
        """Hold a file lock beside the database, which is on this machine; the kernel ends a killed process's lock."""
        return locked_file(self._database.folder / "locks" / f"{checked_image_id(image_id)}.send")


def _write(connection: sqlite3.Connection, item: Item) -> None:
    connection.execute(
        "REPLACE INTO jobs (job_id, state, next_at, item) VALUES (?, ?, ?, ?)",
        (item["JobID"], item["State"], item["NextAt"], to_json(item)),
    )
    review_index.announce(connection, "job", item["JobID"])
