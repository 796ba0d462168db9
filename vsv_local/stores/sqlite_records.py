"""Store slide and import records in SQLite, for the standalone server and the command line.

A change reads the item, alters it and writes it back in one transaction; fields that this version does not know stay
unchanged. Lists are ordered by UTF-8 bytes, as DynamoDB orders its keys.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from vsv.errors import AlreadyExistsError, SlideNotFoundError, VersionConflictError
from vsv.records.items import Item, import_changes, new_item, slide_changes
from vsv.records.models import ImportRecord, ImportState, SlideRecord, Status
from vsv.records.pagination import is_key
from vsv.records.review_index import writes
from vsv.records.review_queries import ReviewLists, Span
from vsv.records.stores import Page

from vsv_local.stores import review_index
from vsv_local.stores.items import Order, changed, find, page, to_json
from vsv_local.stores.jobs import SqliteJobStore
from vsv_local.stores.sqlite_database import Database, open_database

__all__ = ["Database", "SqliteImportStore", "SqliteJobStore", "SqliteSlideStore", "open_database"]

_SLIDE = "SELECT item FROM slides WHERE image_id = ?"
_ALL_SLIDES = Order(
    SlideRecord,
    "slides",
    1,
    "SELECT item, image_id FROM slides WHERE image_id > ? ORDER BY image_id LIMIT ?",
)
_SLIDES_BY_STATUS = Order(
    SlideRecord,
    "slides by status",
    2,
    "SELECT item, sort_id, image_id FROM slides WHERE status = ? AND (sort_id, image_id) > (?, ?) "
    "ORDER BY sort_id, image_id LIMIT ?",
)
_SLIDES_BY_CASE = Order(
    SlideRecord,
    "slides by case",
    1,
    "SELECT item, image_id FROM slides WHERE case_id = ? AND image_id > ? ORDER BY image_id LIMIT ?",
)
_SLIDES_BY_FILENAME = Order(
    SlideRecord,
    "slides by filename",
    1,
    "SELECT item, image_id FROM slides WHERE filename = ? AND image_id > ? ORDER BY image_id LIMIT ?",
)
_IMPORT = "SELECT item FROM imports WHERE filename = ?"
_ALL_IMPORTS = Order(
    ImportRecord,
    "imports",
    1,
    "SELECT item, filename FROM imports WHERE filename > ? ORDER BY filename LIMIT ?",
)
_IMPORTS_BY_STATE = Order(
    ImportRecord,
    "imports by state",
    2,
    "SELECT item, updated_at, filename FROM imports WHERE state = ? AND (updated_at, filename) > (?, ?) "
    "ORDER BY updated_at, filename LIMIT ?",
)


class SqliteSlideStore(ReviewLists):
    """The slides in an open database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, image_id: str) -> SlideRecord | None:
        """Return the slide's record, or None."""
        return next(iter(self.get_many([image_id])), None)

    def get_many(self, image_ids: Sequence[str]) -> list[SlideRecord]:
        """Return the records in the requested order, repeats included, without those that do not exist."""
        with self._database.reading() as connection:
            by_id = {key: find(connection, _SLIDE, key) for key in dict.fromkeys(image_ids)}
        items = (by_id[image_id] for image_id in image_ids)
        return [SlideRecord.from_item(item) for item in items if item is not None]

    def put_new(self, record: SlideRecord) -> None:
        """Store a record under a free ImageID; raises AlreadyExistsError."""
        item = new_item(record)
        with self._database.writing() as connection:
            if find(connection, _SLIDE, record.image_id) is not None:
                raise AlreadyExistsError("A slide with this ImageID is already stored.")
            _write_slide(connection, None, item)

    def update(
        self, image_id: str, changes: Mapping[str, Any], *, by: str, expected_version: int | None = None
    ) -> SlideRecord:
        """Change attributes in one atomic step; see ``SlideStore.update``."""
        fields = slide_changes(changes, by)
        with self._database.writing() as connection:
            stored = find(connection, _SLIDE, image_id)
            if stored is None:
                raise SlideNotFoundError("Slide not found.")
            if expected_version not in (None, stored["Version"]):
                raise VersionConflictError("The slide was changed in the meantime: reload it.")
            item = changed(stored, fields | {"Version": stored["Version"] + 1})
            _write_slide(connection, stored, item)
        return SlideRecord.from_item(item)

    def remove(self, image_id: str) -> None:
        """Delete the slide's record; a missing one is no error."""
        if is_key(image_id):
            with self._database.writing() as connection:
                stored = find(connection, _SLIDE, image_id)
                connection.execute("DELETE FROM slides WHERE image_id = ?", (image_id,))
                review_index.apply(connection, writes(stored, None))

    def list_all(self, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Return a page of all slides, by ImageID."""
        return page(self._database, _ALL_SLIDES, (), limit, token)

    def by_status(self, status: Status, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Return a page of the slides with this status, by SlideID; a slide without one sorts by its ImageID."""
        return page(self._database, _SLIDES_BY_STATUS, (str(status),), limit, token)

    def by_case(self, case_id: str, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Return a page of a case's slides."""
        return page(self._database, _SLIDES_BY_CASE, (case_id,), limit, token)

    def by_filename(self, filename: str, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Return a page of the slides that were imported under this filename."""
        return page(self._database, _SLIDES_BY_FILENAME, (filename,), limit, token)

    def changes_since(self, seq: int | None) -> tuple[int, list[tuple[str, str]]]:
        """Return the changes of any process after ``seq``; see ``review_index.changes_since``."""
        with self._database.reading() as connection:
            return review_index.changes_since(connection, seq)

    def _rows(self, set_name: str, span: Span, after: str | None, limit: int) -> list[tuple[str, Item]]:
        with self._database.reading() as connection:
            return review_index.rows(connection, set_name, span, after, limit)


class SqliteImportStore:
    """The imports in an open database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, filename: str) -> ImportRecord | None:
        """Return the latest import under this filename, or None."""
        with self._database.reading() as connection:
            item = find(connection, _IMPORT, filename)
        return None if item is None else ImportRecord.from_item(item)

    def start(self, record: ImportRecord, *, replaces: str | None) -> None:
        """Store a new run in the place of ``replaces``; raises AlreadyExistsError if another run is there."""
        item = new_item(record)
        with self._database.writing() as connection:
            stored = find(connection, _IMPORT, record.filename)
            if stored == item:  # the same run, repeated
                return
            if (stored["RunID"] if stored else None) != replaces:
                raise AlreadyExistsError("Another import of this file was started in the meantime.")
            _write_import(connection, item)

    def advance(self, filename: str, run_id: str, changes: Mapping[str, Any]) -> ImportRecord:
        """Change attributes of exactly this run; raises VersionConflictError if another has replaced it."""
        fields = import_changes(changes)
        with self._database.writing() as connection:
            item = find(connection, _IMPORT, filename)
            if item is None or item["RunID"] != run_id:
                raise VersionConflictError("Another import of this file has replaced this one.")
            item = changed(item, fields)
            _write_import(connection, item)
        return ImportRecord.from_item(item)

    def list_all(self, limit: int = 20, token: str | None = None) -> Page[ImportRecord]:
        """Return a page of all imports, by filename."""
        return page(self._database, _ALL_IMPORTS, (), limit, token)

    def by_state(self, state: ImportState, limit: int = 20, token: str | None = None) -> Page[ImportRecord]:
        """Return a page of the imports in this state, by UpdatedAt."""
        return page(self._database, _IMPORTS_BY_STATE, (str(state),), limit, token)


def _write_slide(connection: sqlite3.Connection, stored: Item | None, item: Item) -> None:
    sort_id = item.get("SlideID", item["ImageID"])
    connection.execute(
        "REPLACE INTO slides (image_id, sort_id, case_id, filename, status, item) VALUES (?, ?, ?, ?, ?, ?)",
        (item["ImageID"], sort_id, item.get("CaseID"), item["Filename"], item["Status"], to_json(item)),
    )
    review_index.apply(connection, writes(stored, item))
    review_index.announce(connection, "slide", item["ImageID"])


def _write_import(connection: sqlite3.Connection, item: Item) -> None:
    connection.execute(
        "REPLACE INTO imports (filename, state, updated_at, item) VALUES (?, ?, ?, ?)",
        (item["Filename"], item["State"], item["UpdatedAt"], to_json(item)),
    )
    review_index.announce(connection, "import", item["Filename"])
