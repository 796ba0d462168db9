"""The steps of an import: killed between any two things that they do, run again, failed, mended."""

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from extract_metadata.handler import lambda_handler as extract_metadata
from inspect_file.handler import lambda_handler as inspect_file
from render_pyramid.handler import lambda_handler as render_pyramid
from running import DEADLINE_S, Site, check_whole, site, wait_until
from small_slides import OLD, put, slide_bytes
from vsv.errors import FileMissingError, NotFoundError, VersionConflictError
from vsv.ingest import steps
from vsv.pyramids import renderer
from vsv.records.models import ImportRecord, ImportState, Status
from vsv.runtime import current
from vsv.storage import atomic_write
from vsv.storage.slide_files import Claim
from vsv.workflow.transitions import Decider, change

from tests.store_records import slide_import
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
    with site(folder) as here:
        put(here.scanner, "a.svs")
        with pytest.MonkeyPatch.context() as patched:
            killer.patch(patched)
            try:
                here.post("a.svs", SIZE)
            except Killed:
                assert killer.struck.is_set()
            wait_until(lambda: killer.struck.is_set() or not here.intake.is_busy(), "it was killed or ended")
            here.intake.close()
        check_whole(here)
    return killer.struck.is_set()


def check_imported(here: Site) -> None:
    here.intake.resume()
    here.finish()
    assert here.settle("a.svs", SIZE) == 200
    assert here.state() is ImportState.READY
    assert [record.image_id for record in here.records()] == ["1004486"]
    assert here.here.files.slide("1004486").read_bytes() == slide_bytes()
    assert list((here.here.files.root / "incoming").glob("*.svs")) == []
    assert list((here.here.files.root / "taken").iterdir()) == []
    assert (here.here.files.pyramid("1004486")).exists()
    original = here.scanner / "a.svs"
    assert (original.read_bytes(), original.stat().st_mtime_ns) == (slide_bytes(), OLD)
    check_whole(here)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("start", range(1, 5))
def test_killed_between_any_two_traces_and_started_again_it_ends_imported(tmp_path: Path, start: int) -> None:
    nth = start
    while True:
        folder = tmp_path / str(nth)
        folder.mkdir()
        struck = import_killed_at(nth, folder)
        with site(folder) as here:
            check_imported(here)
        if not struck:
            break
        nth += 4
    assert nth > 20


def test_each_step_run_twice_is_as_once(here: Site) -> None:
    put(here.scanner, "a.svs")
    here.here.imports  # noqa: B018  made before the steps are
    here.intake.close()  # the steps are run by hand
    here.post("a.svs", SIZE)
    run = here.here.imports.get("a.svs")
    assert run is not None
    event = {"filename": "a.svs", "size": SIZE, "runId": run.run_id}
    seen = []
    for step in (here.intake._transfer, inspect_file, extract_metadata, render_pyramid):
        for _ in range(2):
            step(event, None)
        record = here.here.slides.get("1004486")
        seen.append(record.version if record else None)
    assert seen == [None, None, 1, 1]
    for step in (here.intake._transfer, inspect_file, extract_metadata, render_pyramid):
        step(event, None)  # and all of them again, after the end
    assert here.post("a.svs", SIZE)[0] == 200


def test_the_steps_events_are_those_of_the_state_machine(here: Site) -> None:
    assert here.bring() == 200
    run = here.here.imports.get("a.svs")
    assert run is not None
    event = {"filename": "a.svs", "size": SIZE, "runId": run.run_id}
    assert inspect_file(event, None) == event
    assert extract_metadata(event, None) == {**event, "imageId": "1004486"}
    assert render_pyramid({**event, "imageId": "1004486"}, None) == {**event, "imageId": "1004486"}


@pytest.mark.parametrize("step", [inspect_file, extract_metadata, render_pyramid])
def test_a_step_of_a_run_that_was_replaced_does_nothing(here: Site, step: Any) -> None:
    here.bring()
    with pytest.raises(VersionConflictError):
        step({"filename": "a.svs", "size": SIZE, "runId": "another"}, None)
    with pytest.raises(NotFoundError):
        step({"filename": "b.svs", "size": SIZE, "runId": "another"}, None)


def test_a_slide_that_is_deleted_while_it_is_rendered_stays_deleted(
    here: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived, go_on = Event(), Event()
    render = steps.render_pyramid

    def slow(*arguments: Any) -> object:
        arrived.set()
        assert go_on.wait(DEADLINE_S)
        return render(*arguments)

    monkeypatch.setattr(steps, "render_pyramid", slow)
    put(here.scanner, "a.svs")
    here.post("a.svs", SIZE)
    assert arrived.wait(DEADLINE_S)
    change(here.here, "1004486", {"status": Status.DELETED}, Decider("test", is_admin=True))
    go_on.set()
    here.finish()
    here.settle("a.svs", SIZE)
    here.intake.resume()
    here.finish()
    assert here.state() is ImportState.READY
    assert not here.here.files.folder("1004486").exists()
    assert [record.status for record in here.records()] == ["DELETED"]


def test_render_without_a_slide_is_refused(here: Site) -> None:
    put(here.scanner, "a.svs")
    here.intake.close()
    here.post("a.svs", SIZE)
    run = here.here.imports.get("a.svs")
    assert run is not None
    with pytest.raises(FileMissingError):
        steps.render_run(current(), run, lambda _done, _total: None)


def begun(here: Site, **fields: Any) -> ImportRecord:
    """Let a run be under way that nothing works on."""
    run = slide_import(**({"size": SIZE, "state": ImportState.IMPORTING} | fields))
    here.here.files.prepare()
    here.here.imports.start(run, replaces=None)
    return run


def test_a_dropped_objects_run_takes_no_file_of_the_scanners(here: Site) -> None:
    incoming = put(here.here.files.root / "incoming", "a.svs")
    run = begun(here, source="s3://drop-in/a.svs?versionId=1")
    with pytest.raises(FileMissingError):
        steps.inspect_run(here.here, run)
    assert incoming.exists()


def test_an_id_that_was_claimed_for_other_content_is_not_used(here: Site) -> None:
    run = begun(here, image_id="1004486")
    here.here.files.claim("1004486", Claim("a.svs", SIZE, "a" * 64))  # before it was brought once more
    put(here.here.files.root / "incoming", "a.svs")
    run = steps.extract_run(here.here, steps.inspect_run(here.here, run))
    assert run.image_id not in {None, "1004486"}
    assert [record.image_id for record in here.records()] == [run.image_id]
    assert not here.here.files.slide("1004486").exists()
