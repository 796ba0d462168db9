"""The steps of an import: killed between any two things that they do, run again, failed, mended."""

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from extract_metadata.handler import lambda_handler as extract_metadata
from inspect_file.handler import lambda_handler as inspect_file
from render_pyramid.handler import lambda_handler as render_pyramid
from vsv.errors import FileMissingError, NotFoundError, VersionConflictError
from vsv.ingest import steps
from vsv.pyramids import renderer
from vsv.records.models import ImportRecord, ImportState, Status
from vsv.runtime import current
from vsv.storage import atomic_write
from vsv.storage.slide_files import Claim
from vsv.workflow.transitions import Decider, change

from tests.support.servers.running import DEADLINE_S, Site, check_whole, site, wait_until
from tests.support.slides.small import OLD, put, slide_bytes
from tests.support.stores.store_records import slide_import
from vsv_local.stores.sqlite_records import SqliteImportStore, SqliteSlideStore

SIZE = len(slide_bytes())


class Killed(BaseException):
    """What nothing in the product may catch."""


class Killer:
    """Raises at the n-th call of some functions, and again at every one after it: a dead process does nothing."""

    def __init__(self, nth: int) -> None:
        self.left, self.struck = nth, Event()

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **more: Any) -> Any:
            self.left -= 1
            if self.left <= 0:
                self.struck.set()
                raise Killed
            return function(*arguments, **more)

        return called

    def patch(self, patched: pytest.MonkeyPatch) -> None:
        """Stand before everything that leaves a trace on the disk."""
        for owner, names in (
            (atomic_write, ("flush",)),
            (Path, ("rename", "replace", "mkdir", "chmod", "write_bytes")),
            (SqliteImportStore, ("start", "advance")),
            (SqliteSlideStore, ("put_new",)),
            (renderer, ("_layout",)),
        ):
            for name in names:
                patched.setattr(owner, name, self.before(getattr(owner, name)))


def import_killed_at(nth: int, folder: Path) -> bool:
    """Import until the n-th trace; tell whether it came that far."""
    killer = Killer(nth)
    with site(folder) as services:
        put(services.scanner, "a.svs")
        with pytest.MonkeyPatch.context() as patched:
            killer.patch(patched)
            try:
                services.post("a.svs", SIZE)
            except Killed:
                assert killer.struck.is_set()
            wait_until(
                lambda: killer.struck.is_set() or not services.import_runner.is_busy(),
                "it was killed or ended",
            )
            services.import_runner.close()
        check_whole(services)
    return killer.struck.is_set()


def check_imported(services: Site) -> None:
    services.import_runner.resume()
    services.finish()
    assert services.settle("a.svs", SIZE) == 200
    assert services.state() is ImportState.READY
    assert [record.image_id for record in services.records()] == ["1004486"]
    assert services.services.files.slide("1004486").read_bytes() == slide_bytes()
    assert list((services.services.files.root / "incoming").glob("*.svs")) == []
    assert list((services.services.files.root / "taken").iterdir()) == []
    assert (services.services.files.pyramid("1004486")).exists()
    original = services.scanner / "a.svs"
    assert (original.read_bytes(), original.stat().st_mtime_ns) == (slide_bytes(), OLD)
    check_whole(services)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("start", range(1, 5))
def test_import_killed_at_any_disk_change_completes_after_restart(tmp_path: Path, start: int) -> None:
    nth = start
    while True:
        folder = tmp_path / str(nth)
        folder.mkdir()
        struck = import_killed_at(nth, folder)
        with site(folder) as services:
            check_imported(services)
        if not struck:
            break
        nth += 4
    assert nth > 20


def test_each_step_is_repeatable(services: Site) -> None:
    put(services.scanner, "a.svs")
    services.services.imports  # noqa: B018  made before the steps are
    services.import_runner.close()  # the steps are run by hand
    services.post("a.svs", SIZE)
    run = services.services.imports.get("a.svs")
    assert run is not None
    event = {"filename": "a.svs", "size": SIZE, "runId": run.run_id}
    seen = []
    for step in (services.import_runner._transfer, inspect_file, extract_metadata, render_pyramid):
        for _ in range(2):
            step(event, None)
        record = services.services.slides.get("1004486")
        seen.append(record.version if record else None)
    assert seen == [None, None, 1, 1]
    for step in (services.import_runner._transfer, inspect_file, extract_metadata, render_pyramid):
        step(event, None)  # and all of them again, after the end
    assert services.post("a.svs", SIZE)[0] == 200


def test_steps_return_events_of_the_state_machine(services: Site) -> None:
    assert services.bring() == 200
    run = services.services.imports.get("a.svs")
    assert run is not None
    event = {"filename": "a.svs", "size": SIZE, "runId": run.run_id}
    assert inspect_file(event, None) == event
    assert extract_metadata(event, None) == {**event, "imageId": "1004486"}
    assert render_pyramid({**event, "imageId": "1004486"}, None) == {**event, "imageId": "1004486"}


@pytest.mark.parametrize("step", [inspect_file, extract_metadata, render_pyramid])
def test_step_of_replaced_run_raises_conflict(services: Site, step: Any) -> None:
    services.bring()
    with pytest.raises(VersionConflictError):
        step({"filename": "a.svs", "size": SIZE, "runId": "another"}, None)
    with pytest.raises(NotFoundError):
        step({"filename": "b.svs", "size": SIZE, "runId": "another"}, None)


def test_slide_deleted_during_rendering_stays_deleted(
    services: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived, go_on = Event(), Event()
    render = steps.render_pyramid

    def slow(*arguments: Any) -> object:
        arrived.set()
        assert go_on.wait(DEADLINE_S)
        return render(*arguments)

    monkeypatch.setattr(steps, "render_pyramid", slow)
    put(services.scanner, "a.svs")
    services.post("a.svs", SIZE)
    assert arrived.wait(DEADLINE_S)
    change(services.services, "1004486", {"status": Status.DELETED}, Decider("test", is_admin=True))
    go_on.set()
    services.finish()
    services.settle("a.svs", SIZE)
    services.import_runner.resume()
    services.finish()
    assert services.state() is ImportState.READY
    assert not services.services.files.folder("1004486").exists()
    assert [record.status for record in services.records()] == ["DELETED"]


def test_render_without_extracted_slide_raises_file_missing(services: Site) -> None:
    put(services.scanner, "a.svs")
    services.import_runner.close()
    services.post("a.svs", SIZE)
    run = services.services.imports.get("a.svs")
    assert run is not None
    with pytest.raises(FileMissingError):
        steps.render_run(current(), run, lambda _done, _total: None)


def begun(services: Site, **fields: Any) -> ImportRecord:
    """Let a run be under way that nothing works on."""
    run = slide_import(**({"size": SIZE, "state": ImportState.IMPORTING} | fields))
    services.services.files.prepare()
    services.services.imports.start(run, replaces=None)
    return run


def test_run_of_dropped_object_does_not_take_file_of_the_scanner(services: Site) -> None:
    incoming = put(services.services.files.root / "incoming", "a.svs")
    run = begun(services, source="s3://drop-in/a.svs?versionId=1")
    with pytest.raises(FileMissingError):
        steps.inspect_run(services.services, run)
    assert incoming.exists()


def test_id_claimed_for_other_content_is_not_used(services: Site) -> None:
    run = begun(services, image_id="1004486")
    services.services.files.claim(
        "1004486", Claim("a.svs", SIZE, "a" * 64)
    )  # before it was brought once more
    put(services.services.files.root / "incoming", "a.svs")
    run = steps.extract_run(services.services, steps.inspect_run(services.services, run))
    assert run.image_id not in {None, "1004486"}
    assert [record.image_id for record in services.records()] == [run.image_id]
    assert not services.services.files.slide("1004486").exists()
