"""One machine as an installation: a folder, SQLite files, and this process's own import machine."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vsv import runtime
from vsv.errors import SettingsError
from vsv.services import ImportStarter, Services
from vsv.settings import Settings, number

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


def _destinations(data: Path) -> str:
    """Give the file of destinations: where the setting says, else in the data folder, where there is one."""
    path = data / "destinations.json"
    return os.environ.get("VSV_DESTINATIONS") or (str(path.resolve()) if path.exists() else "")


@contextmanager
def _being(data: Path, make_starter: Callable[[], ImportStarter]) -> Iterator[Services]:
    try:
        (data / "slides").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"the data folder {data} cannot be written to") from error
    settings = _settings(data.resolve())
    database = open_database(data / DATABASE)
    services = Services(
        settings,
        make_slides=lambda: SqliteSlideStore(database),
        make_imports=lambda: SqliteImportStore(database),
        make_starter=make_starter,
        make_jobs=lambda: SqliteJobStore(database),
    )
    services.files.prepare()
    runtime.use(services)
    try:
        yield services
    finally:
        runtime.use(None)
        database.close()


def _settings(data: Path) -> Settings:
    return Settings(
        data=data,
        allow_origin=os.environ.get("VSV_ALLOW_ORIGIN", "*"),
        site=os.environ.get("VSV_SITE", ""),
        icc=os.environ.get("VSV_ICC") or "passthrough",
        grace_days=number(os.environ, "VSV_GRACE_DAYS", 7.0),
        destinations=_destinations(data),
        archive=_kept_at("VSV_ARCHIVE", data / "archive"),
        published=_kept_at("VSV_PUBLISHED", data / "published"),
        archive_class=os.environ.get("VSV_ARCHIVE_CLASS") or "INTELLIGENT_TIERING",
        archive_after_days=number(os.environ, "VSV_ARCHIVE_AFTER_DAYS", 180.0),
    )


def _kept_at(name: str, default: Path) -> str:
    """Give where copies are kept. A folder of one's own choice is never made: its disk may not be mounted."""
    if where := os.environ.get(name):
        return where if where.startswith("s3:") else str(Path(where).expanduser().absolute())
    try:
        default.mkdir(exist_ok=True)
    except OSError as error:
        raise SettingsError(f"the data folder {default.parent} cannot be written to") from error
    return str(default)
