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

from tests.support.servers.running import DEADLINE_S, Site, check_whole, running_site, wait_until
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
    with running_site(folder) as site:
        put(site.scanner, "a.svs")
        with pytest.MonkeyPatch.context() as patched:
            killer.patch(patched)
            try:
                site.post("a.svs", SIZE)
            except Killed:
                assert killer.struck.is_set()
            wait_until(
                lambda: killer.struck.is_set() or not site.import_runner.is_busy(),
                "it was killed or ended",
            )
            site.import_runner.close()
        check_whole(site)
    return killer.struck.is_set()


def check_imported(site: Site) -> None:
    site.import_runner.resume()
    site.finish()
    assert site.settle("a.svs", SIZE) == 200
    assert site.state() is ImportState.READY
    assert [record.image_id for record in site.records()] == ["1004486"]
    assert site.services.files.slide("1004486").read_bytes() == slide_bytes()
    assert list((site.services.files.root / "incoming").glob("*.svs")) == []
    assert list((site.services.files.root / "taken").iterdir()) == []
    assert (site.services.files.pyramid("1004486")).exists()
    original = site.scanner / "a.svs"
    assert (original.read_bytes(), original.stat().st_mtime_ns) == (slide_bytes(), OLD)
    check_whole(site)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("start", range(1, 5))
def test_import_killed_at_any_disk_change_completes_after_restart(tmp_path: Path, start: int) -> None:
    nth = start
    while True:
        folder = tmp_path / str(nth)
        folder.mkdir()
        struck = import_killed_at(nth, folder)
        with running_site(folder) as site:
            check_imported(site)
        if not struck:
            break
        nth += 4
    assert nth > 20


def test_each_step_is_repeatable(site: Site) -> None:
    put(site.scanner, "a.svs")
    site.services.imports  # noqa: B018  made before the steps are
    site.import_runner.close()  # the steps are run by hand
    site.post("a.svs", SIZE)
    run = site.services.imports.get("a.svs")
    assert run is not None
    event = {"filename": "a.svs", "size": SIZE, "runId": run.run_id}
    seen = []
    for step in (site.import_runner._transfer, inspect_file, extract_metadata, render_pyramid):
        for _ in range(2):
            step(event, None)
        record = site.services.slides.get("1004486")
        seen.append(record.version if record else None)
    assert seen == [None, None, 1, 1]
    for step in (site.import_runner._transfer, inspect_file, extract_metadata, render_pyramid):
        step(event, None)  # and all of them again, after the end
    assert site.post("a.svs", SIZE)[0] == 200


def test_steps_return_events_of_the_state_machine(site: Site) -> None:
    assert site.bring() == 200
    run = site.services.imports.get("a.svs")
    assert run is not None
    event = {"filename": "a.svs", "size": SIZE, "runId": run.run_id}
    assert inspect_file(event, None) == event
    assert extract_metadata(event, None) == {**event, "imageId": "1004486"}
    assert render_pyramid({**event, "imageId": "1004486"}, None) == {**event, "imageId": "1004486"}


@pytest.mark.parametrize("step", [inspect_file, extract_metadata, render_pyramid])
def test_step_of_replaced_run_raises_conflict(site: Site, step: Any) -> None:
    site.bring()
    with pytest.raises(VersionConflictError):
        step({"filename": "a.svs", "size": SIZE, "runId": "another"}, None)
    with pytest.raises(NotFoundError):
        step({"filename": "b.svs", "size": SIZE, "runId": "another"}, None)


def test_slide_deleted_during_rendering_stays_deleted(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    arrived, go_on = Event(), Event()
    render = steps.render_pyramid

    def slow(*arguments: Any, **options: Any) -> object:
        arrived.set()
        assert go_on.wait(DEADLINE_S)
        return render(*arguments, **options)

    monkeypatch.setattr(steps, "render_pyramid", slow)
    put(site.scanner, "a.svs")
    site.post("a.svs", SIZE)
    assert arrived.wait(DEADLINE_S)
    change(site.services, "1004486", {"status": Status.DELETED}, Decider("test", is_admin=True))
    go_on.set()
    site.finish()
    site.settle("a.svs", SIZE)
    site.import_runner.resume()
    site.finish()
    assert site.state() is ImportState.READY
    assert not site.services.files.folder("1004486").exists()
    assert [record.status for record in site.records()] == ["DELETED"]


def test_render_without_extracted_slide_raises_file_missing(site: Site) -> None:
    put(site.scanner, "a.svs")
    site.import_runner.close()
    site.post("a.svs", SIZE)
    run = site.services.imports.get("a.svs")
    assert run is not None
    with pytest.raises(FileMissingError):
        steps.render_run(current(), run, lambda _done, _total: None)


def begun(site: Site, **fields: Any) -> ImportRecord:
    """Store a run that is in progress but that no process works on."""
    run = slide_import(**({"size": SIZE, "state": ImportState.IMPORTING} | fields))
    site.services.files.prepare()
    site.services.imports.start(run, replaces=None)
    return run


def test_run_of_dropped_object_does_not_take_file_of_the_scanner(site: Site) -> None:
    incoming = put(site.services.files.root / "incoming", "a.svs")
    run = begun(site, source="s3://drop-in/a.svs?versionId=1")
    with pytest.raises(FileMissingError):
        steps.inspect_run(site.services, run)
    assert incoming.exists()


def test_id_claimed_for_other_content_is_not_used(site: Site) -> None:
    run = begun(site, image_id="1004486")
    site.services.files.claim("1004486", Claim("a.svs", SIZE, "a" * 64))  # before it was brought once more
    put(site.services.files.root / "incoming", "a.svs")
    run = steps.extract_run(site.services, steps.inspect_run(site.services, run))
    assert run.image_id not in {None, "1004486"}
    assert [record.image_id for record in site.records()] == [run.image_id]
    assert not site.services.files.slide("1004486").exists()
