"""Assemble the installation of one machine: a folder, SQLite files, and this process's own import machine."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vsv import runtime
from vsv.errors import SettingsError
from vsv.records.stores import ImportStarter
from vsv.services import Services
from vsv.settings import DATA_FOLDER, Settings, one_machine_settings

from vsv_local.ingest.handoff import Handoff
from vsv_local.ingest.import_runner import IMPORT_THREADS, ImportRunner
from vsv_local.ingest.watched_folders import WatchedFolders
from vsv_local.stores.sqlite_database import DATABASE_NAME, open_database
from vsv_local.stores.sqlite_records import SqliteImportStore, SqliteJobStore, SqliteSlideStore


@contextmanager
def standalone(
    data: Path, folders: Sequence[Path] = (), *, in_place: bool = False, threads: int = IMPORT_THREADS
) -> Iterator[tuple[Services, ImportRunner]]:
    """Install the services of a data folder for the length of a block; raises SettingsError where that fails.

    Files may be imported from ``folders``; ``threads`` is how many files are copied and read at once.
    """
    import_runner = ImportRunner(lambda: services, folders, in_place=in_place, threads=threads)
    with _installed(data, folders, lambda: import_runner) as services:
        try:
            yield services, import_runner
        finally:
            import_runner.close()


@contextmanager
def worker_installation(
    data: Path, folders: Sequence[Path], hand_over: Callable[[str], None]
) -> Iterator[Services]:
    """Install the same services in a process that only serves; imports are handed over by filename."""
    with _installed(data, folders, lambda: Handoff(folders, hand_over)) as services:
        yield services


@contextmanager
def _installed(
    data: Path, folders: Sequence[Path], make_starter: Callable[[], ImportStarter]
) -> Iterator[Services]:
    """Make the services of a data folder, use them for the length of a block, then close the database."""
    try:
        (data / "slides").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"the data folder {data} cannot be written to") from error
    settings = _read_settings(data.resolve())
    database = open_database(data / DATABASE_NAME)
    services = runtime.assemble(
        settings,
        slides=lambda: SqliteSlideStore(database),
        imports=lambda: SqliteImportStore(database),
        starter=make_starter,
        jobs=lambda: SqliteJobStore(database),
    )
    services.files.prepare()
    if isinstance(folders, WatchedFolders):
        stores = (settings.archive, settings.published)
        folders.leave_out(data, *(Path(store) for store in stores if store and "://" not in store))
    runtime.use(services)
    try:
        yield services
    finally:
        runtime.use(None)
        database.close()


def _read_settings(data: Path) -> Settings:
    """Return the settings of one machine; raises SettingsError."""
    values: dict[str, Any] = {"data": data}
    for name, setting in one_machine_settings():
        value, source = setting.read(os.environ, data)
        values[name] = _prepared_folder(value, source) if name in ("archive", "published") else value
    return Settings(**values)


def _prepared_folder(location: str, source: str) -> str:
    """Return the location of an archive, after making it if it is the data folder's own; raises SettingsError."""
    # A folder that a setting names is never made: its disk may be unmounted.
    if source == DATA_FOLDER:
        folder = Path(location)
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise SettingsError(f"the data folder {folder.parent} cannot be written to") from error
    return location
