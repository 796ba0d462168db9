"""Progress of long steps: noted now and then, and never a reason to fail."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vsv.errors import UnavailableError
from vsv.ingest.progress import EVERY_S, NotedProgress
from vsv.services import Services
from vsv.storage.slide_files import SlideFiles

from tests.support.stores.store_records import slide_import
from vsv_local.composition import standalone
from vsv_local.ingest import transfer


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with standalone(tmp_path / "data") as (services, _intake):
        services.imports.start(slide_import(), replaces=None)
        yield services


def progress_of(services: Services) -> float | None:
    run = services.imports.get("a.svs")
    assert run
    return run.progress


def test_progress_is_stored_at_most_once_per_interval(services: Services) -> None:
    times = iter([0.0, EVERY_S / 2, EVERY_S, EVERY_S * 1.5, EVERY_S * 2])
    note = NotedProgress(services, slide_import(), lambda: next(times))
    seen = []
    for done in (1, 2, 3, 9):
        note(done, 6)
        seen.append(progress_of(services))
    assert seen == [None, 0.333, 0.333, 1.0]


def test_progress_of_replaced_run_or_busy_store_raises_no_error(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(range(0, 100, 10))
    NotedProgress(services, slide_import(run_id="old"), lambda: next(times))(1, 2)
    assert progress_of(services) is None

    def fail(*_: Any) -> Any:
        raise UnavailableError("busy")

    monkeypatch.setattr(services.imports, "advance", fail)
    note = NotedProgress(services, slide_import(), lambda: next(times))
    note(1, 2)
    note(1, 0)


def test_copy_reports_progress_after_each_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_BLOCK", 4)
    source = tmp_path / "a.svs"
    source.write_bytes(b"0123456789")
    files = SlideFiles(tmp_path / "data")
    files.prepare()
    told: list[tuple[int, int]] = []
    transfer.copy(source, files, "a.svs", 10, lambda done, total: told.append((done, total)))
    assert told == [(4, 10), (8, 10), (10, 10)]
