"""Files that change at the same size before they are ready: the run begins again, and the slide keeps its ImageID."""

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from vsv.errors import VersionConflictError
from vsv.ingest import steps
from vsv.pyramids.renderer import render_pyramid
from vsv.records.models import ImportRecord, ImportState, Status
from vsv.storage.originals import check_original, store_original
from vsv.workflow.transitions import Decider, change

from tests.support.servers.running import Site, check_whole, running_site, wait_until
from tests.support.slides.small import other_scan, put, slide_bytes
from vsv_local.server.main import post

SIZE = len(slide_bytes())
HALF = other_scan(slide_bytes())  # of another day, so that its record is told from the whole slide's
DAY, HALF_DAY = "2009-12-29T09:59:15", "2009-12-30T09:59:15"
ADMIN = Decider("a person", is_admin=True)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr("vsv_local.ingest.import_runner.RETRY_DELAYS_S", ())
    monkeypatch.setattr("vsv.slides.slide_cache.RECHECK_SECONDS", 0.0)
    with running_site(tmp_path) as running:
        yield running


def run_of(site: Site) -> ImportRecord:
    run = site.services.imports.get("a.svs")
    assert run is not None
    return run


def write_during(
    monkeypatch: pytest.MonkeyPatch, site: Site, *contents: bytes, also: Callable[[], Any] = lambda: None
) -> None:
    """Write the file anew while its levels are rendered: one content at each rendering."""
    rendered: list[int] = []

    def rendering(*arguments: Any, **more: Any) -> None:
        render_pyramid(*arguments, **more)
        if len(rendered) < len(contents):
            put(site.scanner, "a.svs", contents[len(rendered)], modified=time.time_ns() + len(rendered))
            also()
        rendered.append(1)

    monkeypatch.setattr(steps, "render_pyramid", rendering)


def hold_starts(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    """Leave runs unstarted from the rendering on, as where the process is killed there."""
    monkeypatch.setattr(site.import_runner, "start", lambda _run: None)


def settle(site: Site) -> None:
    """Post as the watcher does, which never deletes a file, until the import is ready."""

    def is_ready() -> bool:
        post("a.svs", SIZE)
        site.finish()
        return site.state() is ImportState.READY

    wait_until(is_ready, "the slide is ready")


def check_replaced(site: Site, content: bytes) -> None:
    (record,) = site.records()
    assert (record.image_id, record.scan_date) == ("1004486", DAY)
    assert record.checksum == run_of(site).checksum
    assert site.services.files.slide("1004486").read_bytes() == content
    check_whole(site)
    slide = site.services.slide_cache.slide("1004486", is_seen=False)
    assert slide.path.read_bytes() == content


def test_file_changed_before_ready_is_imported_again_under_its_image_id(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        write_during(patched, site, slide_bytes(), also=lambda: hold_starts(patched, site))
        put(site.scanner, "a.svs", HALF, modified=time.time_ns())
        post("a.svs", SIZE)
        site.finish()
    assert run_of(site).state is ImportState.TRANSFERRING
    assert site.records()[0].scan_date == HALF_DAY
    settle(site)
    check_replaced(site, slide_bytes())


def test_file_changed_twice_before_ready_keeps_its_image_id(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_during(monkeypatch, site, other_scan(slide_bytes(), b"31"), slide_bytes())
    put(site.scanner, "a.svs", HALF, modified=time.time_ns())
    settle(site)
    check_replaced(site, slide_bytes())


def test_changed_file_that_is_posted_before_the_rendering_ends_keeps_its_image_id(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_during(monkeypatch, site, slide_bytes(), also=lambda: post("a.svs", SIZE))
    put(site.scanner, "a.svs", HALF, modified=time.time_ns())
    settle(site)
    check_replaced(site, slide_bytes())


def test_file_changed_after_ready_is_a_new_scan(site: Site) -> None:
    assert site.bring("a.svs", HALF) == 200
    put(site.scanner, "a.svs", modified=time.time_ns())
    settle(site)
    first, second = sorted(site.records(), key=lambda record: len(record.image_id))
    assert (first.image_id, first.scan_date, second.scan_date) == ("1004486", HALF_DAY, DAY)


def test_slide_that_was_confirmed_to_its_scanner_is_never_replaced(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scanner deletes its file after a 200: the stored content is the only copy, even before it is ready."""
    answers: list[int] = []

    def ask() -> None:
        answers.append(site.post("a.svs", SIZE)[0])

    with monkeypatch.context() as patched:
        patched.setattr(steps, "render_pyramid", lambda *_, **__: ask() or 1 / 0)
        put(site.scanner, "a.svs", HALF, modified=time.time_ns())
        post("a.svs", SIZE)
        site.finish()
    assert answers == [200]
    assert run_of(site).confirmed
    put(site.scanner, "a.svs", modified=time.time_ns())
    settle(site)
    days = {record.image_id: record.scan_date for record in site.records()}
    assert days.pop("1004486") == HALF_DAY
    assert list(days.values()) == [DAY]
    assert site.services.files.slide("1004486").read_bytes() == HALF


def test_slide_that_is_being_replaced_is_not_confirmed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    write_during(monkeypatch, site, slide_bytes(), also=lambda: hold_starts(monkeypatch, site))
    put(site.scanner, "a.svs", HALF, modified=time.time_ns())
    post("a.svs", SIZE)
    site.finish()
    assert run_of(site).superseded_id == "1004486"
    checksum = site.records()[0].checksum
    assert site.post("a.svs", SIZE, sha256=checksum) == (202, {"state": "TRANSFERRING"})


def test_slide_whose_record_is_not_replaced_yet_is_not_confirmed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_during(monkeypatch, site, slide_bytes())
    answers: list[Any] = []
    first = hashlib.sha256(HALF).hexdigest()

    def store_and_ask(*paths: Path) -> None:
        store_original(*paths)
        answers.append(site.post("a.svs", SIZE, sha256=first))

    monkeypatch.setattr("vsv.ingest.replacement.store_original", store_and_ask)
    put(site.scanner, "a.svs", HALF, modified=time.time_ns())
    settle(site)
    assert answers == [(202, {"state": "TRANSFERRING"})]
    check_replaced(site, slide_bytes())


@pytest.mark.parametrize(
    "touch",
    [
        lambda site: change(site.services, "1004486", {"status": Status.GOOD}, ADMIN),
        lambda site: change(site.services, "1004486", {"case_id": "S26-1"}, ADMIN),
        lambda site: site.services.slide_cache.slide("1004486"),
        lambda site: change(site.services, "1004486", {"status": Status.DELETED}, ADMIN),
    ],
    ids=["marked", "edited", "opened", "deleted"],
)
def test_slide_that_a_person_changed_or_opened_is_never_replaced(
    site: Site, monkeypatch: pytest.MonkeyPatch, touch: Callable[[Site], Any]
) -> None:
    write_during(monkeypatch, site, slide_bytes(), also=lambda: touch(site))
    put(site.scanner, "a.svs", HALF, modified=time.time_ns())
    settle(site)
    days = {record.image_id: record.scan_date for record in site.records()}
    assert days.pop("1004486") == HALF_DAY
    assert list(days.values()) == [DAY]


def test_original_in_place_that_changed_before_ready_keeps_its_image_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vsv_local.ingest.import_runner.RETRY_DELAYS_S", ())
    with running_site(tmp_path, in_place=True) as site:
        write_during(monkeypatch, site, slide_bytes())
        put(site.scanner, "a.svs", HALF, modified=time.time_ns())
        settle(site)
        check_replaced(site, slide_bytes())
        check_original(site.services.files, "1004486")


def test_file_of_the_same_name_and_size_in_another_folder_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_site(tmp_path, "scanner", "other") as site:
        put(tmp_path / "other", "a.svs")
        write_during(monkeypatch, site, HALF, also=lambda: post("a.svs", SIZE))
        put(site.scanner, "a.svs", HALF)
        settle(site)
        settle(site)
        assert {record.scan_date for record in site.records()} == {DAY, HALF_DAY}


def test_pyramid_of_replaced_content_is_removed_by_the_run_that_rendered_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On AWS, another execution may still render when its slide is replaced."""
    assert site.bring() == 200
    files = site.services.files
    files.pyramid("1004486").unlink()

    def rendering(*arguments: Any, **more: Any) -> None:
        put(files.root, "next.svs", HALF).replace(files.slide("1004486"))
        render_pyramid(*arguments, **more)

    monkeypatch.setattr(steps, "render_pyramid", rendering)
    with pytest.raises(VersionConflictError, match="replaced"):
        steps.render_stored(site.services, "1004486", lambda *_: None)
    assert not files.pyramid("1004486").exists()


class KilledError(BaseException):
    """Ends a run's step as a killed process does."""


KILLS = {
    "before the original is moved": "vsv.ingest.replacement.store_original",
    "after it was moved": "vsv.storage.slide_files.SlideFiles.claim_again",
    "after the claim": "vsv.slides.slide_cache.SlideCache.forget",
    "before the pictures": "vsv.ingest.extraction.assign_number",
}


@pytest.mark.parametrize("at", [*KILLS, "update"])
def test_replacement_that_is_killed_completes_when_run_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    with monkeypatch.context() as patched:
        write_during(patched, site, slide_bytes(), also=lambda: hold_starts(patched, site))
        put(site.scanner, "a.svs", HALF, modified=time.time_ns())
        post("a.svs", SIZE)
        site.finish()
    run = run_of(site)
    event = {"filename": "a.svs", "size": SIZE, "runId": run.run_id}
    with monkeypatch.context() as patched, pytest.raises(KilledError):
        _kill_at(patched, site, at)
        for step in (site.import_runner._transfer, _inspect, _extract):
            step(event, None)
    settle(site)
    check_replaced(site, slide_bytes())


def _kill_at(patched: pytest.MonkeyPatch, site: Site, at: str) -> None:
    def kill(*_: Any, **__: Any) -> None:
        raise KilledError

    def update_and_kill(*arguments: Any, **more: Any) -> None:
        update(*arguments, **more)
        raise KilledError

    update = site.services.slides.update
    if at == "update":
        patched.setattr(site.services.slides, "update", update_and_kill)
    else:
        patched.setattr(KILLS[at], kill)


def _inspect(event: dict[str, Any], context: Any) -> None:
    from inspect_file.handler import lambda_handler  # noqa: PLC0415

    lambda_handler(event, context)


def _extract(event: dict[str, Any], context: Any) -> None:
    from extract_metadata.handler import lambda_handler  # noqa: PLC0415

    lambda_handler(event, context)
