"""Slides that nobody opens go to the archive; what was opened lately stays, whatever the clock says."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from review_slides.handler import lambda_handler
from vsv.lifecycle import archive_policy
from vsv.lifecycle.archive_policy import LOOKED, idle, request_idle
from vsv.records.models import JobKind, Status
from vsv.services import Services
from vsv.storage.slide_files import OPENED
from vsv.workflow import job_queue

from tests.http.test_graphql_events import PATHOLOGIST, event
from tests.support.servers.archive_site import archived, restored
from tests.support.servers.running import running_site
from tests.support.slides.small import slide_bytes
from tests.support.stores.store_records import slide
from vsv_local.composition import standalone

NOW = datetime(2026, 11, 21, tzinfo=UTC)
DAYS = 180.0


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with standalone(tmp_path / "data") as (services, _intake):
        yield services


def put(services: Services, image_id: str, opened_days: float | None, **more: object) -> None:
    """Store a slide that was last opened so many days before NOW."""
    given = {"status": Status.GOOD, "last_modified": "2026-11-20T00:00:00.000000Z", **more}
    services.slides.put_new(slide(image_id, **given))
    folder = services.files.folder(image_id)
    folder.mkdir()
    (folder / "slide.svs").touch()
    if opened_days is not None:
        mark(services, image_id, NOW - timedelta(days=opened_days))


def mark(services: Services, image_id: str, moment: datetime) -> None:
    services.files.note_opened(image_id)
    os.utime(services.files.folder(image_id) / OPENED, (moment.timestamp(), moment.timestamp()))


def idle_ids(services: Services, now: datetime = NOW, days: float = DAYS) -> set[str]:
    return {record.image_id for record in idle(services, days, now)}


def test_idle_returns_slides_not_opened_for_the_given_days(services: Services) -> None:
    put(services, "long", 181)
    put(services, "just", 180)
    put(services, "not-yet", 179.99)
    put(services, "never-old", None, last_modified="2026-01-01T00:00:00.000000Z")
    put(services, "never-new", None)
    assert idle_ids(services) == {"long", "just", "never-old"}
    assert idle_ids(services, days=200) == {"never-old"}


@pytest.mark.parametrize("status", list(Status))
def test_idle_excludes_statuses_with_work_left_or_files_elsewhere(services: Services, status: Status) -> None:
    put(services, "1", 1000, status=status)
    may_go = status in {Status.GOOD, Status.BAD, Status.SENT, Status.PUBLISHED}
    assert idle_ids(services) == ({"1"} if may_go else set())


def test_idle_excludes_running_jobs_links_and_missing_originals(services: Services, tmp_path: Path) -> None:
    put(services, "going", 1000, original="ARCHIVING")
    put(services, "linked", 1000)
    path = services.files.slide("linked")
    path.unlink()
    (tmp_path / "theirs.svs").touch()
    path.symlink_to(tmp_path / "theirs.svs")
    put(services, "gone", 1000)
    services.files.slide("gone").unlink()
    assert idle_ids(services) == set()


def test_idle_treats_future_dates_as_opened_now(services: Services) -> None:
    put(services, "opened-tomorrow", -1)
    put(services, "changed-tomorrow", 1000, last_modified="2027-01-01T00:00:00.000000Z")
    put(services, "changed-when", 1000, last_modified="yesterday")
    put(services, "never", None, last_modified="9999-12-31T23:59:59.999999Z")
    assert idle_ids(services) <= {"changed-when"}
    later = NOW - timedelta(days=400)  # the clock was set back: all of it lies in the future
    put(services, "long", 181)
    assert idle_ids(services, later) <= {"changed-when"}


def test_idle_excludes_recently_opened_slides_when_clock_jumps_ahead(services: Services) -> None:
    put(services, "lately", 10)
    put(services, "long", 181)
    assert idle_ids(services) == {"long"}
    for _ in range(1):
        assert idle_ids(services, NOW + timedelta(days=5000)) == {"long"}
    assert idle_ids(services, NOW + timedelta(days=1)) == {"long"}  # it was put right
    put(services, "new", 0)
    assert idle_ids(services, NOW + timedelta(days=2)) == {"long"}


def test_idle_returns_slide_on_second_look_after_a_long_gap(services: Services) -> None:
    put(services, "1", 10)
    idle_ids(services)
    assert idle_ids(services, NOW + timedelta(days=400)) == set()
    assert idle_ids(services, NOW + timedelta(days=400)) == {"1"}


def test_idle_without_noting_writes_no_file(services: Services) -> None:
    put(services, "1", 10)
    assert list(idle(services, DAYS, NOW, noted=False)) == []
    assert not (services.files.root / LOOKED).exists()


def test_request_idle_continues_after_slide_that_cannot_be_requested(
    services: Services, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    other = replace(services, settings=replace(services.settings, archive=str(tmp_path / "elsewhere")))
    for image_id in ("1", "2", "3"):
        put(services, image_id, 200)
    job_queue.request(services, "2", JobKind.RESTORE, "dr.k")
    assert {job.image_id for job in request_idle(other, NOW)} == {"1", "3"}
    assert {job.by for job in request_idle(other, NOW)} == {archive_policy.BY}


def test_request_idle_requests_no_job_without_separate_archive(services: Services) -> None:
    put(services, "1", 200)
    assert request_idle(services, NOW) == []
    assert request_idle(replace(services, settings=replace(services.settings, archive="")), NOW) == []


def test_idle_reads_all_pages(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        put(services, f"s{number}", 200)
    whole = services.slides.by_status
    monkeypatch.setattr(services.slides, "by_status", lambda status, _limit, token: whole(status, 2, token))
    assert len(idle_ids(services)) == 7


# The marker


def test_slide_cache_notes_opening_at_most_hourly(tmp_path: Path) -> None:
    with running_site(tmp_path) as site:
        site.bring("a.svs", slide_bytes())
        files, library = site.services.files, site.services.slide_cache
        path = files.folder("1004486") / OPENED
        assert not path.exists()  # neither the import nor the scanner's questions are a look
        library.forget("1004486")
        library.slide("1004486")
        first = path.stat().st_mtime_ns
        library.forget("1004486")
        library.slide("1004486")
        assert path.stat().st_mtime_ns == first
        for wrong in (time.time() - 3601, time.time() + 86_400):
            os.utime(path, (wrong, wrong))
            library.forget("1004486")
            library.slide("1004486")
            assert abs(path.stat().st_mtime - time.time()) < 60


def test_slide_cache_notes_opening_once_per_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsv.slides.slide_cache.RECHECK_SECONDS", 0.0)
    with running_site(tmp_path) as site:
        site.bring("a.svs", slide_bytes())
        noted: list[str] = []
        monkeypatch.setattr(
            type(site.services.files), "note_opened", lambda _files, image_id: noted.append(image_id)
        )
        for _ in range(5):
            site.services.slide_cache.slide("1004486")
        assert noted == ["1004486"]
        site.services.slide_cache.slide("1004486", is_seen=False)
        assert noted == ["1004486"]


def test_get_slide_query_notes_opening(services: Services) -> None:
    put(services, "1", 1000)
    for image_id in ("1", "no-such-slide"):
        lambda_handler(event("Query", "getSlide", {"ImageID": image_id}, PATHOLOGIST), None)
    assert idle_ids(services) == set()
    assert not services.files.folder("no-such-slide").exists()


def test_note_opened_ignores_read_only_folder(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    put(services, "1", None)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(Path, "touch", refuse)
    services.files.note_opened("1")
    services.files.note_opened("no-such-slide")
    assert services.files.last_opened("1") is None
    assert not services.files.folder("no-such-slide").exists()


def test_restored_slide_is_not_idle(tmp_path: Path) -> None:
    with running_site(tmp_path) as site:
        site.bring("a.svs", slide_bytes())
        site.services.slides.update("1004486", {"status": Status.GOOD}, by="test")
        site.services.files.note_opened("1004486")
        os.utime(site.services.files.folder("1004486") / OPENED, (1, 1))
        site.services.slide_cache.forget("1004486")
        now = datetime.now(UTC)
        assert [record.image_id for record in idle(site.services, DAYS, now)] == ["1004486"]
        archived(site.services, "1004486")
        assert list(idle(site.services, DAYS, now)) == []
        restored(site.services, "1004486")
        assert list(idle(site.services, DAYS, now + timedelta(seconds=5))) == []
