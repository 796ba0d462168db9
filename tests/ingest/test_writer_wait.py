"""Half-written files: waited for with the reason shown, never READY, and damaged ones go on after a bounded wait."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from vsv.errors import FileMissingError, UnavailableError
from vsv.ingest.writer_wait import STILL_WRITING, is_waiting
from vsv.records.models import ImportRecord, ImportState

from tests.support.servers.running import Site, check_whole, running_site
from tests.support.slides.small import OLD, half_written, put, slide_bytes
from vsv_local.server.api_gateway_events import http_event
from vsv_local.server.json_api import lambda_handler as json_lists

SIZE = len(slide_bytes())
HALF = half_written(slide_bytes(), SIZE // 3)
ROBOCOPY = 315_532_800 * 10**9


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr("vsv_local.ingest.import_runner.RETRY_DELAYS_S", ())
    with running_site(tmp_path) as running:
        yield running


def run_of(site: Site) -> ImportRecord:
    run = site.services.imports.get("a.svs")
    assert run is not None
    return run


def put_now(site: Site, content: bytes) -> Path:
    return put(site.scanner, "a.svs", content, modified=time.time_ns())


def let_time_pass(site: Site, seconds: float) -> None:
    """Have the wait of the run begun earlier by so many seconds."""
    run = run_of(site)
    since = datetime.fromisoformat(run.unwritten_since or "") - timedelta(seconds=seconds)
    changes = {"unwritten_since": since.astimezone(UTC).isoformat()}
    site.services.imports.advance("a.svs", run.run_id, changes)


def test_half_written_slide_waits_with_its_reason_and_is_imported_once_it_is_written(site: Site) -> None:
    put_now(site, HALF)
    assert site.settle("a.svs", SIZE) == 202
    run = run_of(site)
    assert run.state is ImportState.TRANSFERRING
    assert run.error is not None
    assert run.error.startswith(f"{STILL_WRITING} (")
    assert is_waiting(run)
    assert site.records() == []
    put_now(site, slide_bytes())
    assert site.settle("a.svs", SIZE) == 200
    (record,) = site.records()
    assert record.image_id == "1004486"
    assert site.services.files.slide("1004486").read_bytes() == slide_bytes()
    assert run_of(site).error is None
    check_whole(site)


def test_wait_begins_again_whenever_the_writer_goes_on(site: Site) -> None:
    put_now(site, HALF)
    assert site.settle("a.svs", SIZE) == 202
    first = run_of(site).unwritten
    let_time_pass(site, 1000)
    put_now(site, half_written(slide_bytes(), SIZE // 2))
    assert site.settle("a.svs", SIZE) == 202
    assert run_of(site).unwritten != first
    assert is_waiting(run_of(site))


def test_damaged_file_that_stays_unchanged_goes_on_to_validation_after_the_wait(site: Site) -> None:
    put_now(site, bytes(SIZE))
    assert site.settle("a.svs", SIZE) == 202
    let_time_pass(site, site.services.settings.write_wait + 1)
    assert site.settle("a.svs", SIZE) == 422
    assert "Not a supported slide file" in (run_of(site).error or "")


def test_wait_of_a_killed_process_goes_on_in_the_next(tmp_path: Path) -> None:
    with running_site(tmp_path) as site:
        put_now(site, HALF)
        assert site.settle("a.svs", SIZE) == 202
        since = run_of(site).unwritten_since
    with running_site(tmp_path) as site:
        site.import_runner.resume()
        site.finish()
        assert run_of(site).unwritten_since == since
        assert is_waiting(run_of(site))


@pytest.mark.parametrize(("modified", "status"), [(OLD, 422), (ROBOCOPY, 202)])
def test_file_of_yesterday_is_finished_unless_robocopy_copies_it(
    site: Site, modified: int, status: int
) -> None:
    put(site.scanner, "a.svs", bytes(SIZE), modified=modified)
    assert site.settle("a.svs", SIZE) == status


def test_waiting_file_keeps_no_other_file_from_its_import(site: Site) -> None:
    for name in ("w.svs", "x.svs", "y.svs", "z.svs"):
        put(site.scanner, name, HALF, modified=time.time_ns())
        assert site.post(name, SIZE)[0] == 202
    assert site.bring("a.svs") == 200
    assert site.state("z.svs") is ImportState.TRANSFERRING


def test_copy_that_looks_unfinished_is_copied_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer went on between the look at its file and the copy."""
    path = put_now(site, HALF)
    with monkeypatch.context() as patched:
        patched.setattr("vsv_local.ingest.import_runner.check_written", lambda *_: None)
        assert site.settle("a.svs", SIZE) == 202
    assert is_waiting(run_of(site))
    assert [kept.suffix for kept in (site.services.files.root / "taken/a.svs").iterdir()] == [".unfinished"]
    path.write_bytes(slide_bytes())
    assert site.settle("a.svs", SIZE) == 200
    assert [record.image_id for record in site.records()] == ["1004486"]
    assert not (site.services.files.root / "taken/a.svs").exists()


@pytest.mark.parametrize("error", [UnavailableError("not now"), FileMissingError("gone")])
def test_file_that_cannot_be_looked_at_is_left_to_the_next_step(
    site: Site, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(_path: Path) -> None:
        raise error

    monkeypatch.setattr("vsv.ingest.writer_wait.find_unwritten", refuse)
    put_now(site, slide_bytes())
    assert site.settle("a.svs", SIZE) == 200


def test_half_written_original_in_place_is_waited_for(tmp_path: Path) -> None:
    with running_site(tmp_path, in_place=True) as site:
        path = put_now(site, HALF)
        assert site.settle("a.svs", SIZE) == 202
        assert is_waiting(run_of(site))
        put_now(site, slide_bytes())
        site.settle("a.svs", SIZE)
        assert site.state() is ImportState.READY
        assert [record.image_id for record in site.records()] == ["1004486"]
        assert path.read_bytes() == slide_bytes()


def test_waiting_import_shows_neither_digest_nor_path_in_the_list(site: Site) -> None:
    put_now(site, HALF)
    site.settle("a.svs", SIZE)
    answer = json_lists(http_event("GET", "/imports", "", (), b""), None)["body"]
    assert STILL_WRITING in answer
    assert "Unwritten" not in answer
    assert os.fspath(site.scanner) not in answer
