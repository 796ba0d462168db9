"""Slides that nobody opens go to the archive; what was opened lately stays, whatever the clock says."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from archive_site import archived, restored
from review_slides.handler import lambda_handler
from running import site
from small_slides import slide_bytes
from vsv.lifecycle import archive_policy
from vsv.lifecycle.archive_policy import LOOKED, idle, request_idle
from vsv.records.models import JobKind, Status
from vsv.runtime import Installation
from vsv.storage.slide_files import OPENED
from vsv.workflow import job_queue

from tests.store_records import slide
from tests.test_graphql_events import PATHOLOGIST, event
from vsv_local.composition import standalone

NOW = datetime(2026, 11, 21, tzinfo=UTC)
DAYS = 180.0


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Installation]:
    with standalone(tmp_path / "data") as (here, _intake):
        yield here


def put(here: Installation, image_id: str, opened_days: float | None, **more: object) -> None:
    """Store a slide that was last opened so many days before NOW."""
    given = {"status": Status.GOOD, "last_modified": "2026-11-20T00:00:00.000000Z", **more}
    here.slides.put_new(slide(image_id, **given))
    folder = here.files.folder(image_id)
    folder.mkdir()
    (folder / "slide.svs").touch()
    if opened_days is not None:
        mark(here, image_id, NOW - timedelta(days=opened_days))


def mark(here: Installation, image_id: str, moment: datetime) -> None:
    here.files.note_opened(image_id)
    os.utime(here.files.folder(image_id) / OPENED, (moment.timestamp(), moment.timestamp()))


def found(here: Installation, now: datetime = NOW, days: float = DAYS) -> set[str]:
    return {record.image_id for record in idle(here, days, now)}


def test_those_that_nobody_has_opened_for_so_long(here: Installation) -> None:
    put(here, "long", 181)
    put(here, "just", 180)
    put(here, "not-yet", 179.99)
    put(here, "never-old", None, last_modified="2026-01-01T00:00:00.000000Z")
    put(here, "never-new", None)
    assert found(here) == {"long", "just", "never-old"}
    assert found(here, days=200) == {"never-old"}


@pytest.mark.parametrize("status", list(Status))
def test_work_that_is_to_be_done_and_what_is_elsewhere_stays(here: Installation, status: Status) -> None:
    put(here, "1", 1000, status=status)
    may_go = status in {Status.GOOD, Status.BAD, Status.SENT, Status.PUBLISHED}
    assert found(here) == ({"1"} if may_go else set())


def test_what_is_under_way_or_not_ours_stays(here: Installation, tmp_path: Path) -> None:
    put(here, "going", 1000, original="ARCHIVING")
    put(here, "linked", 1000)
    path = here.files.slide("linked")
    path.unlink()
    (tmp_path / "theirs.svs").touch()
    path.symlink_to(tmp_path / "theirs.svs")
    put(here, "gone", 1000)
    here.files.slide("gone").unlink()
    assert found(here) == set()


def test_what_lies_in_the_future_was_opened_now(here: Installation) -> None:
    put(here, "opened-tomorrow", -1)
    put(here, "changed-tomorrow", 1000, last_modified="2027-01-01T00:00:00.000000Z")
    put(here, "changed-when", 1000, last_modified="yesterday")
    put(here, "never", None, last_modified="9999-12-31T23:59:59.999999Z")
    assert found(here) <= {"changed-when"}
    later = NOW - timedelta(days=400)  # the clock was set back: all of it lies in the future
    put(here, "long", 181)
    assert found(here, later) <= {"changed-when"}


def test_a_clock_that_jumps_ahead_takes_no_slide_that_was_opened_lately(here: Installation) -> None:
    put(here, "lately", 10)
    put(here, "long", 181)
    assert found(here) == {"long"}
    for _ in range(1):
        assert found(here, NOW + timedelta(days=5000)) == {"long"}
    assert found(here, NOW + timedelta(days=1)) == {"long"}  # it was put right
    put(here, "new", 0)
    assert found(here, NOW + timedelta(days=2)) == {"long"}


def test_looks_that_are_far_apart_catch_up(here: Installation) -> None:
    put(here, "1", 10)
    found(here)
    assert found(here, NOW + timedelta(days=400)) == set()
    assert found(here, NOW + timedelta(days=400)) == {"1"}


def test_only_looking_does_not_count(here: Installation) -> None:
    put(here, "1", 10)
    assert list(idle(here, DAYS, NOW, noted=False)) == []
    assert not (here.files.root / LOOKED).exists()


def test_they_are_asked_for_and_one_that_cannot_be_does_not_stop_the_others(
    here: Installation, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    other = replace(here, settings=replace(here.settings, archive=str(tmp_path / "elsewhere")))
    for image_id in ("1", "2", "3"):
        put(here, image_id, 200)
    job_queue.request(here, "2", JobKind.RESTORE, "dr.k")
    assert {job.image_id for job in request_idle(other, NOW)} == {"1", "3"}
    assert {job.by for job in request_idle(other, NOW)} == {archive_policy.BY}


def test_into_the_data_folder_itself_nothing_goes_unasked(here: Installation) -> None:
    put(here, "1", 200)
    assert request_idle(here, NOW) == []
    assert request_idle(replace(here, settings=replace(here.settings, archive="")), NOW) == []


def test_pages_are_read_to_the_end(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        put(here, f"s{number}", 200)
    whole = here.slides.by_status
    monkeypatch.setattr(here.slides, "by_status", lambda status, _limit, token: whole(status, 2, token))
    assert len(found(here)) == 7


# The marker


def test_looking_at_a_slide_is_noted_at_most_hourly(tmp_path: Path) -> None:
    with site(tmp_path) as here:
        here.bring("a.svs", slide_bytes())
        files, library = here.here.files, here.here.library
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


def test_in_one_process_it_is_not_even_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsv.slides.slide_cache.RECHECK_SECONDS", 0.0)
    with site(tmp_path) as here:
        here.bring("a.svs", slide_bytes())
        noted: list[str] = []
        monkeypatch.setattr(
            type(here.here.files), "note_opened", lambda _files, image_id: noted.append(image_id)
        )
        for _ in range(5):
            here.here.library.slide("1004486")
        assert noted == ["1004486"]
        here.here.library.slide("1004486", is_seen=False)
        assert noted == ["1004486"]


def test_asking_for_a_slide_by_graphql_is_a_look(here: Installation) -> None:
    put(here, "1", 1000)
    for image_id in ("1", "no-such-slide"):
        lambda_handler(event("Query", "getSlide", {"ImageID": image_id}, PATHOLOGIST), None)
    assert found(here) == set()
    assert not here.files.folder("no-such-slide").exists()


def test_where_nothing_can_be_written_nothing_is_noted(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(here, "1", None)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(Path, "touch", refuse)
    here.files.note_opened("1")
    here.files.note_opened("no-such-slide")
    assert here.files.last_opened("1") is None
    assert not here.files.folder("no-such-slide").exists()


def test_what_was_restored_is_not_idle_again_at_once(tmp_path: Path) -> None:
    with site(tmp_path) as here:
        here.bring("a.svs", slide_bytes())
        here.here.slides.update("1004486", {"status": Status.GOOD}, by="test")
        here.here.files.note_opened("1004486")
        os.utime(here.here.files.folder("1004486") / OPENED, (1, 1))
        here.here.library.forget("1004486")
        now = datetime.now(UTC)
        assert [record.image_id for record in idle(here.here, DAYS, now)] == ["1004486"]
        archived(here.here, "1004486")
        assert list(idle(here.here, DAYS, now)) == []
        restored(here.here, "1004486")
        assert list(idle(here.here, DAYS, now + timedelta(seconds=5))) == []
