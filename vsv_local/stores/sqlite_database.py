"""Open the standalone server's SQLite file: its schema, its few connections, its errors in plain words."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from vsv.errors import SettingsError, UnavailableError

from vsv_local.stores.review_index import index_checksums, index_stored_slides

DATABASE_NAME = "records.sqlite"  # in the data folder
MAX_CONNECTIONS = 8
# The longest wait for another process's write, or for a free connection. A write takes milliseconds.
BUSY_TIMEOUT_S = 10.0

# One step per schema version, each a list of statements or functions. A released step is never edited: add another.
# The JSON item is the record; the columns only repeat the fields for look-ups and sorting.
MIGRATIONS: tuple[tuple[str | Callable[[sqlite3.Connection], None], ...], ...] = (
    (
        """CREATE TABLE slides (
            image_id TEXT PRIMARY KEY, sort_id TEXT NOT NULL, case_id TEXT, filename TEXT NOT NULL,
            status TEXT NOT NULL, item TEXT NOT NULL)""",
        "CREATE INDEX slides_by_status ON slides (status, sort_id, image_id)",
        "CREATE INDEX slides_by_case ON slides (case_id, image_id)",
        "CREATE INDEX slides_by_filename ON slides (filename, image_id)",
        """CREATE TABLE imports (
            filename TEXT PRIMARY KEY, state TEXT NOT NULL, updated_at TEXT NOT NULL, item TEXT NOT NULL)""",
        "CREATE INDEX imports_by_state ON imports (state, updated_at, filename)",
    ),
    (
        """CREATE TABLE review (
            set_name TEXT NOT NULL, place TEXT NOT NULL, item TEXT, count INTEGER,
            PRIMARY KEY (set_name, place)) WITHOUT ROWID""",
        # AUTOINCREMENT: no number is used twice, not even after old rows of the feed were deleted.
        "CREATE TABLE feed (seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key TEXT NOT NULL)",
        index_stored_slides,
    ),
    (
        """CREATE TABLE jobs (
            job_id TEXT PRIMARY KEY, state TEXT NOT NULL, next_at TEXT NOT NULL, item TEXT NOT NULL)""",
        "CREATE INDEX jobs_by_state ON jobs (state, next_at, job_id)",
    ),
    (index_checksums,),
)


def open_database(path: Path) -> "Database":
    """Open the file, create it if it is missing, and bring its schema up to date.

    The file must lie on a local disk: write-ahead logging needs memory that all its processes share. Raises
    UnavailableError, and SettingsError for a file that a newer version of this program has written.
    """
    database = Database(path)
    try:
        _use_write_ahead_log(database)
        _migrate(database)
    except BaseException:
        database.close()
        raise
    return database


class Database:
    """At most MAX_CONNECTIONS connections to one file, lent to threads as they need them.

    Any number of threads and processes may use the file at once; an open Database must not cross a fork.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        # Threads queue up here instead of polling SQLite's own lock, which keeps no order.
        self._one_writer = threading.Lock()
        self._guard = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def folder(self) -> Path:
        """The folder that holds the file."""
        return self._path.parent

    def close(self) -> None:
        """Close all connections, those in use when they are returned; a second call does nothing."""
        with self._guard:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection; SQLite's errors become UnavailableError."""
        if not self._slots.acquire(timeout=BUSY_TIMEOUT_S):
            raise UnavailableError("The record store is busy: try again in a moment.")
        try:
            with _domain_errors():
                connection = self._take()
                try:
                    yield connection
                finally:
                    self._give_back(connection)
        finally:
            self._slots.release()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection in a transaction that no other writer shares; an exception rolls the transaction back."""
        if not self._one_writer.acquire(timeout=BUSY_TIMEOUT_S):
            raise UnavailableError("The record store is busy: try again in a moment.")
        try:
            with self.reading() as connection:
                yield from _transaction(connection)
        finally:
            self._one_writer.release()

    def _take(self) -> sqlite3.Connection:
        with self._guard:
            if self._closed:
                raise UnavailableError("The record store is closed.")
            if self._idle:
                return self._idle.pop()
        return _connect(self._path)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._guard:
            # Still in a transaction: even the roll-back failed, on a disk that is full or gone.
            keep = not self._closed and not connection.in_transaction
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        # A reported commit must survive a power cut: the scanner deletes its file afterwards.
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    # IMMEDIATE: values read inside the transaction are still current when the change is written.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise


def _use_write_ahead_log(database: Database) -> None:
    with database.reading() as connection:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise UnavailableError("The record store needs a local disk that it may write to.")


def _migrate(database: Database) -> None:
    with database.writing() as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise SettingsError("The record store was written by a newer version: update this program.")
        if version < len(MIGRATIONS):
            for statement in (s for step in MIGRATIONS[version:] for s in step):
                connection.execute(statement) if isinstance(statement, str) else statement(connection)
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


@contextmanager
def _domain_errors() -> Iterator[None]:
    """Raise SQLite's errors as UnavailableError, without the file's path; misuse of sqlite3 is raised unchanged."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
        raise
    except sqlite3.DatabaseError as error:
        raise UnavailableError(_plain_message(error)) from error


def _plain_message(error: sqlite3.DatabaseError) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the higher bits distinguish variants
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "The record store is busy: try again in a moment."
    if code == sqlite3.SQLITE_FULL:
        return "The disk that holds the record store is full: make room, then try again."
    return "The record store cannot be read or written now: check its disk, then try again."
