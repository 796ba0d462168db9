"""One machine as an installation: a folder, SQLite files, and this process's own import machine."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vsv import runtime
from vsv.errors import SettingsError
from vsv.services import ImportStarter, Services
from vsv.settings import DATA_FOLDER, Settings, one_machine_settings

from vsv_local.ingest.handoff import Handover
from vsv_local.ingest.import_runner import IMPORT_THREADS, Intake
from vsv_local.stores.sqlite_records import SqliteImportStore, SqliteJobStore, SqliteSlideStore, open_database

DATABASE = "records.sqlite"


@contextmanager
def standalone(
    data: Path, folders: Sequence[Path] = (), *, in_place: bool = False, threads: int = IMPORT_THREADS
) -> Iterator[tuple[Services, Intake]]:
    """Be the installation of a data folder for the length of a block; raises SettingsError where it cannot be.

    ``folders`` are where files may be brought in from; ``threads`` how many are copied and read at once.
    """
    intake = Intake(lambda: services, folders, in_place=in_place, threads=threads)
    with _being(data, lambda: intake) as services:
        try:
            yield services, intake
        finally:
            intake.close()


@contextmanager
def worker_installation(
    data: Path, folders: Sequence[Path], hand_over: Callable[[str], None]
) -> Iterator[Services]:
    """Be the same installation in a process that serves only: imports are handed over by their file's name."""
    with _being(data, lambda: Handover(folders, hand_over)) as services:
        yield services


@contextmanager
def _being(data: Path, make_starter: Callable[[], ImportStarter]) -> Iterator[Services]:
    try:
        (data / "slides").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"the data folder {data} cannot be written to") from error
    settings = _settings(data.resolve())
    database = open_database(data / DATABASE)
    services = runtime.assemble(
        settings,
        slides=lambda: SqliteSlideStore(database),
        imports=lambda: SqliteImportStore(database),
        starter=make_starter,
        jobs=lambda: SqliteJobStore(database),
    )
    services.files.prepare()
    runtime.use(services)
    try:
        yield services
    finally:
        runtime.use(None)
        database.close()


def _settings(data: Path) -> Settings:
    """Read the settings of one machine; raises SettingsError."""
    values: dict[str, Any] = {"data": data}
    for name, setting in one_machine_settings():
        value, source = setting.read(os.environ, data)
        values[name] = _kept_at(value, source) if name in ("archive", "published") else value
    return Settings(**values)


def _kept_at(where: str, source: str) -> str:
    """Return where copies are kept, having made the folder of the data folder; raises SettingsError."""
    # A folder that a setting names is never made: its disk may not be mounted.
    if source == DATA_FOLDER:
        folder = Path(where)
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise SettingsError(f"the data folder {folder.parent} cannot be written to") from error
    return where
