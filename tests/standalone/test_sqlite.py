"""What only the SQLite stores have: a file, other processes, crashes and full disks."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from vsv.errors import AlreadyExistsError, SettingsError, SlideNotFoundError, UnavailableError
from vsv.records.models import ImportState, Status
from vsv.records.stores import Page, SlideQuery

from tests.support.paths import ROOT
from tests.support.stores.store_records import FULL_SLIDE, slide, slide_import
from vsv_local.stores import review_index, sqlite_database, sqlite_records
from vsv_local.stores.sqlite_records import Database, SqliteImportStore, SqliteSlideStore, open_database

# Another process: opens the file, says "ready", waits for a line, then runs the task given as code.
OTHER_PROCESS = """
import sys
from pathlib import Path
from vsv_local.stores.sqlite_records import SqliteSlideStore, open_database
from tests.support.stores.store_records import slide
with open_database(Path(sys.argv[1])) as database:
    store = SqliteSlideStore(database)
    print("ready", flush=True)
    sys.stdin.readline()
    exec(sys.argv[2])
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secret-folder.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with open_database(path) as database:
        yield database


@pytest.fixture
def slides(database: Database) -> SqliteSlideStore:
    return SqliteSlideStore(database)


@pytest.fixture
def other_process(path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(task: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", OTHER_PROCESS, str(path), task],
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.kill()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()


def ready(process: subprocess.Popen[str]) -> bool:
    assert process.stdout
    return process.stdout.readline() == "ready\n"


def test_database_uses_write_ahead_log_and_full_synchronous_mode(database: Database) -> None:
    with database.reading() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_stores_keep_records_after_database_is_reopened(path: Path) -> None:
    with open_database(path) as database:
        SqliteSlideStore(database).put_new(FULL_SLIDE)
        SqliteImportStore(database).start(slide_import(), replaces=None)
    with open_database(path) as database:
        assert SqliteSlideStore(database).get(FULL_SLIDE.image_id) == FULL_SLIDE
        assert SqliteImportStore(database).get("a.svs") == slide_import()


def test_slide_store_keeps_all_concurrent_changes_of_two_processes(
    slides: SqliteSlideStore, other_process: Any
) -> None:
    slides.put_new(slide())
    update = "for n in range(50): store.update('image-1', {'scanner_id': str(n)}, by='other')"
    process = other_process(update + "\nfor n in range(50): store.put_new(slide(f'other-{n}'))")
    assert ready(process)
    go(process)
    for number in range(50):
        slides.update("image-1", {"case_id": str(number)}, by="me")
        slides.put_new(slide(f"mine-{number}"))
    assert process.wait() == 0
    stored = slides.get("image-1")
    assert stored is not None
    assert (stored.version, stored.scanner_id, stored.case_id) == (101, "49", "49")
    assert len(slides.list_all(limit=1000).items) == 101


def test_put_new_in_two_processes_creates_each_record_only_once(
    slides: SqliteSlideStore, other_process: Any
) -> None:
    task = """
from vsv.errors import AlreadyExistsError
won = 0
for n in range(50):
    try: store.put_new(slide(f"image-{n}", scanner_id="other")); won += 1
    except AlreadyExistsError: pass
print(won)
"""
    process = other_process(task)
    assert ready(process)
    go(process)
    mine = 0
    for number in range(50):
        try:
            slides.put_new(slide(f"image-{number}"))
            mine += 1
        except AlreadyExistsError:
            pass
    assert mine + int(process.stdout.readline()) == 50
    assert [r.scanner_id for r in slides.list_all(1000).items].count(None) == mine


def test_several_processes_starting_together_create_the_same_database(path: Path, other_process: Any) -> None:
    processes = [other_process(f"store.put_new(slide('image-{number}'))") for number in range(4)]
    for process in processes:
        go(process)
    assert [process.wait() for process in processes] == [0] * 4
    with open_database(path) as database:
        assert len(SqliteSlideStore(database).list_all().items) == 4


def test_database_keeps_every_reported_record_of_a_killed_process(path: Path, other_process: Any) -> None:
    task = "for n in range(10**6): store.put_new(slide(f'image-{n}')); print(f'image-{n}', flush=True)"
    process = other_process(task)
    assert ready(process)
    go(process)
    reported = [process.stdout.readline().strip() for _ in range(20)]
    process.send_signal(signal.SIGKILL)
    reported += process.stdout.read().split("\n")[:-1]
    process.wait()
    with open_database(path) as database:
        assert len(SqliteSlideStore(database).get_many(reported)) == len(reported) >= 20
        with database.reading() as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_slide_and_import_lists_are_read_by_index_search(database: Database) -> None:
    """A page then costs the same in a table of a million rows, at its beginning or its end."""
    slides, imports = SqliteSlideStore(database), SqliteImportStore(database)
    statements: list[str] = []
    with database.reading() as connection:
        connection.set_trace_callback(statements.append)
    slides.get("a")
    slides.list_all()
    slides.by_status(Status.NEW)
    slides.by_case("a")
    slides.by_filename("a")
    imports.get("a")
    imports.list_all()
    imports.by_state(ImportState.READY)
    with database.reading() as connection:
        connection.set_trace_callback(None)
        plans = [connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall() for sql in statements]
    assert [[row[3].replace("SEARCH TABLE", "SEARCH") for row in plan] for plan in plans] == [
        ["SEARCH slides USING INDEX sqlite_autoindex_slides_1 (image_id=?)"],
        ["SEARCH slides USING INDEX sqlite_autoindex_slides_1 (image_id>?)"],
        ["SEARCH slides USING INDEX slides_by_status (status=? AND (sort_id,image_id)>(?,?))"],
        ["SEARCH slides USING INDEX slides_by_case (case_id=? AND image_id>?)"],
        ["SEARCH slides USING INDEX slides_by_filename (filename=? AND image_id>?)"],
        ["SEARCH imports USING INDEX sqlite_autoindex_imports_1 (filename=?)"],
        ["SEARCH imports USING INDEX sqlite_autoindex_imports_1 (filename>?)"],
        ["SEARCH imports USING INDEX imports_by_state (state=? AND (updated_at,filename)>(?,?))"],
    ]


def test_forty_reading_threads_share_a_bounded_number_of_connections(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[sqlite3.Connection] = []
    connect = sqlite_database._connect

    def counted(path: Path) -> sqlite3.Connection:
        opened.append(connect(path))
        return opened[-1]

    monkeypatch.setattr(sqlite_database, "_connect", counted)
    with open_database(path) as database, ThreadPoolExecutor(40) as pool:
        store = SqliteSlideStore(database)
        store.put_new(slide())
        found = list(pool.map(lambda _: store.get("image-1"), range(400)))
        assert found == [slide()] * 400
        assert len(opened) <= sqlite_database.MAX_CONNECTIONS


def test_reading_raises_unavailable_when_all_connections_are_in_use(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_database, "BUSY_TIMEOUT_S", 0.01)
    lent = [database.reading() for _ in range(sqlite_database.MAX_CONNECTIONS)]
    for connection in lent:
        connection.__enter__()
    with pytest.raises(UnavailableError, match="busy"), database.reading():
        pass
    lent[0].__exit__(None, None, None)
    with database.reading():
        pass
    for connection in lent[1:]:
        connection.__exit__(None, None, None)


def test_closed_database_raises_unavailable_and_closes_lent_connections(path: Path) -> None:
    database = open_database(path)
    with database.reading() as connection:
        database.close()
        assert connection.execute("SELECT 1").fetchone() == (1,)  # in use: closed when it is given back
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")
    database.close()
    with pytest.raises(UnavailableError, match="closed"):
        SqliteSlideStore(database).get("a")


def test_failed_write_is_rolled_back_and_releases_write_lock(
    database: Database, slides: SqliteSlideStore
) -> None:
    with pytest.raises(KeyError), database.writing() as connection:
        connection.execute("DELETE FROM imports")
        raise KeyError
    with pytest.raises(SlideNotFoundError):
        slides.update("nowhere", {}, by="me")
    slides.put_new(slide())  # the write lock is free again


def test_slide_update_keeps_fields_of_a_newer_version(database: Database, slides: SqliteSlideStore) -> None:
    slides.put_new(slide())
    with database.writing() as connection:
        item = json.dumps(slide().to_item() | {"Stain": [1.5]})
        connection.execute("UPDATE slides SET item = ?", (item,))
    slides.update("image-1", {"status": Status.GOOD}, by="me")
    with database.reading() as connection:
        (stored,) = connection.execute("SELECT item FROM slides").fetchone()
    assert json.loads(stored)["Stain"] == [1.5]


def test_write_raises_unavailable_while_another_process_holds_the_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_database, "BUSY_TIMEOUT_S", 0.01)
    with open_database(path) as database, closing(sqlite3.connect(path, isolation_level=None)) as other:
        store = SqliteSlideStore(database)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match=r"^The record store is busy"):
            store.put_new(slide())
        assert store.get("image-1") is None  # readers do not wait for writers
        other.execute("ROLLBACK")
        store.put_new(slide())


def test_write_raises_unavailable_on_full_disk_and_works_again_with_space(
    database: Database, slides: SqliteSlideStore
) -> None:
    slides.put_new(slide())
    with database.reading() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
    big = slide("image-2", tags={"a": "x" * 100_000})
    with pytest.raises(UnavailableError, match="full"):
        slides.put_new(big)
    assert slides.list_all().items == (slide(),)
    with database.reading() as connection:
        connection.execute(f"PRAGMA max_page_count = {pages + 100}")
    slides.put_new(big)
    assert slides.get("image-2") == big


def test_open_database_refuses_unusable_path_without_naming_or_changing_the_file(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)
    for unusable in (path, path.parent, path.parent / "no such folder" / "records.db"):
        with pytest.raises(UnavailableError) as caught:
            open_database(unusable)
        assert "secret" not in str(caught.value)
        assert str(path.parent) not in str(caught.value)
    assert path.read_bytes() == b"not a database" * 1000


def test_open_database_refuses_a_file_of_a_newer_version(path: Path) -> None:
    open_database(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(sqlite_database.MIGRATIONS) + 1}")
    with pytest.raises(SettingsError, match="newer version"):
        open_database(path)


def test_open_database_migrates_an_older_file_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_database(path) as database:
        SqliteSlideStore(database).put_new(slide())
    step = ("ALTER TABLE slides ADD COLUMN stain TEXT", "UPDATE slides SET stain = 'H&E'")
    monkeypatch.setattr(sqlite_database, "MIGRATIONS", (*sqlite_database.MIGRATIONS, step))
    for _ in range(2):
        with open_database(path) as database, database.reading() as connection:
            assert connection.execute("SELECT stain FROM slides").fetchall() == [("H&E",)]
            assert connection.execute("PRAGMA user_version").fetchone() == (len(sqlite_database.MIGRATIONS),)


def test_failed_migration_leaves_the_file_unchanged(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_database(path).close()
    step = ("ALTER TABLE slides ADD COLUMN stain TEXT", "UPDATE nothing SET stain = 'H&E'")
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_database, "MIGRATIONS", (*sqlite_database.MIGRATIONS, step))
        with pytest.raises(UnavailableError):
            open_database(path)
    with open_database(path) as database, database.reading() as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(sqlite_database.MIGRATIONS),)
        assert "stain" not in [row[1] for row in connection.execute("PRAGMA table_info(slides)")]


def test_review_index_lists_are_read_by_index_search(database: Database) -> None:
    slides = SqliteSlideStore(database)
    slides.put_new(FULL_SLIDE)
    statements: list[str] = []
    with database.reading() as connection:
        connection.set_trace_callback(statements.append)
    slides.search(SlideQuery("s", Status.NEW))
    slides.search(SlideQuery(status=Status.NEW))
    slides.counts()
    slides.list_cases()
    slides.history("a")
    slides.changes_since(0)
    slides.changes_since(None)
    with database.reading() as connection:
        connection.set_trace_callback(None)
        plans = [connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall() for sql in statements]
    details = {row[3].replace("SEARCH TABLE", "SEARCH") for plan in plans for row in plan}
    assert details == {
        "SEARCH slides USING INDEX sqlite_autoindex_slides_1 (image_id=?)",
        "SEARCH review USING PRIMARY KEY (set_name=? AND place>? AND place<?)",
        "SEARCH feed USING INTEGER PRIMARY KEY (rowid>?)",
        "SEARCH feed",
    }


def test_open_database_builds_the_review_index_for_an_older_file(path: Path) -> None:
    with open_database(path) as database:
        for number in range(3):
            SqliteSlideStore(database).put_new(slide(f"{number}", slide_id=f"S{number}", case_id="C"))
        with database.writing() as connection:
            connection.execute("DROP TABLE review")
            connection.execute("DROP TABLE feed")
            connection.execute("DROP TABLE jobs")
            connection.execute("PRAGMA user_version = 1")
    with open_database(path) as database:
        slides = SqliteSlideStore(database)
        assert [record.image_id for record in slides.search(SlideQuery("s")).items] == ["0", "1", "2"]
        assert slides.counts()[Status.NEW] == 3
        assert slides.list_cases().items == ("C",)
        assert [change.field for change in slides.history("1").items] == ["Status"]


def test_change_feed_keeps_only_its_newest_entries(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review_index, "FEED_LENGTH", 5)
    slides, imports = SqliteSlideStore(database), SqliteImportStore(database)
    begin, _ = slides.changes_since(None)
    for number in range(9):
        slides.put_new(slide(f"{number}"))
    imports.start(slide_import(), replaces=None)
    imports.advance("a.svs", "run-1", {"progress": 0.5})
    end, changed = slides.changes_since(begin)
    assert (end - begin, changed) == (
        11,
        [("slide", "6"), ("slide", "7"), ("slide", "8"), ("import", "a.svs")],
    )
    assert slides.changes_since(end) == (end, [])
    with pytest.raises(SlideNotFoundError):
        slides.update("nowhere", {}, by="me")
    assert slides.changes_since(None) == (end, [])


def test_later_page_of_each_list_takes_as_many_sqlite_steps_as_the_first(database: Database) -> None:
    """In steps of SQLite's machine, which no clock disturbs; a plan can look right and still read its way there."""
    slides = SqliteSlideStore(database)
    with database.writing() as connection:
        for number in range(1500):
            item = slide(f"{number:04d}", slide_id=f"S{number:04d}", case_id=f"C{number:04d}").to_item()
            sqlite_records._write_slide(connection, None, item)
    slides.put_new(slide("history"))
    for number in range(300):
        slides.update("history", {"note": f"{number}"}, by="me")
    lists: list[Callable[..., Page[Any]]] = [
        slides.list_all,
        partial(slides.by_status, Status.NEW),
        partial(slides.search, SlideQuery("s")),
        partial(slides.search, SlideQuery()),
        slides.list_cases,
        partial(slides.history, "history"),
    ]
    for read in lists:
        first, token = steps(database, partial(read, limit=10))
        for _ in range(25):
            token = read(limit=10, token=token).next_token
        later, _ = steps(database, partial(read, limit=10, token=token))
        assert first / 1.5 <= later <= first * 1.5


def steps(database: Database, read: Callable[[], Page[Any]]) -> tuple[int, str | None]:
    """Return the number of steps of SQLite's virtual machine for a page, and the page's token."""
    counted = 0

    def count() -> None:
        nonlocal counted
        counted += 1

    with database.reading() as connection:
        connection.set_progress_handler(count, 1)
    try:
        token = read().next_token
        return counted, token
    finally:
        with database.reading() as connection:
            connection.set_progress_handler(None, 1)
