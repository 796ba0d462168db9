"""Deleted slides go for good: after their grace, or when an Admin names them twice; never by a clock's mistake."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from vsv.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    SlideNotFoundError,
    UnavailableError,
)
from vsv.ingest.validation import checksum
from vsv.lifecycle import archive_ownership, archiving, job_runner, purging, requests
from vsv.lifecycle.purging import DAY_S
from vsv.records.models import JobKind, JobRecord, JobState, SlideRecord, Status
from vsv.services import Services
from vsv.storage.slide_files import SlideFiles
from vsv.workflow import job_queue
from vsv.workflow.transitions import Decider, change

from tests.support.stores.store_records import slide
from vsv_local.composition import standalone

ADMIN, TECHNICIAN = Decider("Eve", is_admin=True), Decider("Ann", is_admin=False)
DELETE, UNDELETE = {"status": Status.DELETED}, {"status": Status.NEW}
START = 1_795_000_000.0


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with standalone(tmp_path / "data") as (services, _intake):
        for image_id in ("1", "2"):
            services.slides.put_new(slide(image_id))
            folder = services.files.folder(image_id)
            folder.mkdir(parents=True)
            (folder / "import.json").write_text("{}")
            (folder / "slide.svs").write_bytes(b"slide")
            (folder / "pyramid.tif").write_bytes(b"pyramid")
        yield services


def record(services: Services, image_id: str = "1") -> SlideRecord:
    found = services.slides.get(image_id)
    assert found
    return found


def look(services: Services, day: float) -> list[JobRecord]:
    """Look as the daily job does, and run what it asks for."""
    purging.request_due(services, START + day * DAY_S)
    return job_runner.run_due(services, [JobKind.PURGE], lambda: True)


def test_files_are_purged_after_seven_days_and_named_in_the_result(services: Services) -> None:
    change(services, "1", DELETE, ADMIN)
    for day in range(7):
        assert look(services, day) == []
        assert services.files.stored_size("1") == 5
    (job,) = look(services, 7)
    assert (job.state, job.image_id) == (JobState.DONE, "1")
    assert job.result
    assert job.result["files"] == "pyramid.tif, slide.svs, waited.json"
    assert int(job.result["bytes"]) > len(b"slidepyramid")
    assert services.files.stored_size("1") is None
    assert (record(services).status, record(services).original) == (Status.DELETED, "PURGED")
    assert [c.new for c in services.slides.history("1").items if c.field == "Original"] == ["PURGED"]
    assert services.files.stored_size("2") is None or record(services, "2").status is Status.NEW
    assert services.files.slide("2").read_bytes() == b"slide"
    assert look(services, 20) == []


def test_undeletion_within_grace_restores_all_files(services: Services) -> None:
    change(services, "1", DELETE, ADMIN)
    for day in range(6):
        look(services, day)
    back = change(services, "1", UNDELETE, ADMIN)
    assert (back.status, back.deleted_at) == (Status.NEW, None)
    assert services.files.slide("1").read_bytes() == b"slide"
    assert services.files.pyramid("1").read_bytes() == b"pyramid"
    assert look(services, 30) == []


def test_second_deletion_restarts_the_grace_period(services: Services) -> None:
    change(services, "1", DELETE, ADMIN)
    for day in range(7):
        look(services, day)
    change(services, "1", UNDELETE, ADMIN)
    change(services, "1", DELETE, ADMIN)
    for day in range(7, 14):
        assert look(services, day) == []
    assert len(look(services, 14)) == 1


@pytest.mark.parametrize("jump_days", [400, 36_500, -400])
def test_clock_jump_does_not_shorten_the_grace_period(services: Services, jump_days: float) -> None:
    change(services, "1", DELETE, ADMIN)
    look(services, 0)
    look(services, 1)
    for day in range(5):
        assert look(services, 1 + jump_days + day) == []
    assert services.files.stored_size("1") == 5
    for day in range(5, 10):
        look(services, 1 + jump_days + day)
    assert services.files.stored_size("1") is None


def test_slide_that_cannot_be_checked_does_not_stop_the_others(services: Services) -> None:
    for image_id in ("1", "2"):
        change(services, image_id, DELETE, ADMIN)
    (services.files.deleted_folder("1") / purging.WAITED).mkdir()  # cannot be written to
    for day in range(8):
        look(services, day)
    assert services.files.stored_size("1") == 5
    assert services.files.stored_size("2") is None


@pytest.mark.parametrize("status", [Status.DELETED, Status.NEW])
def test_slide_left_visible_by_a_kill_keeps_its_grace_period(services: Services, status: Status) -> None:
    """Killed between the record and the files: while it was deleted, or while it was brought back."""
    change(services, "1", DELETE, ADMIN)
    look(services, 0)
    services.files.unhide("1")
    if status is Status.DELETED:
        (services.files.folder("1") / purging.WAITED).unlink()
    for day in range(1, 7):
        assert look(services, day) == []
        assert services.files.stored_size("1") == 5
    change(services, "1", UNDELETE, ADMIN)
    assert services.files.slide("1").read_bytes() == b"slide"
    change(services, "1", DELETE, ADMIN)
    services.files.unhide("1")
    for day in range(7, 15):
        look(services, day)
    assert services.files.stored_size("1") is None


def test_purge_removes_archived_copy_last(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """A purge that ends before the files are gone leaves a slide that can be brought back, whole."""
    change(services, "1", DELETE, ADMIN)
    source, key = services.files.deleted_folder("1") / "slide.svs", archiving.key_of("1")
    archive_ownership.claim(services, "1")
    services.archive.put(source, key, checksum(source))
    job = requests.purge(services, "1", "1", ADMIN)

    def killed(_files: SlideFiles, _image_id: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SlideFiles, "purge", killed)
        with pytest.raises(KeyboardInterrupt):
            job_runner.run(services, job)
    assert services.archive.find(key) is not None
    (again,) = job_queue.slide_jobs(services, "1")
    assert job_runner.run(services, again).state is JobState.DONE
    assert services.archive.find(key) is None


def test_purge_during_undeletion_removes_no_files(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(services, "1", DELETE, ADMIN)
    unhide, ended = SlideFiles.unhide, list[JobRecord]()

    def unhide_then_purge(files: SlideFiles, image_id: str) -> None:
        unhide(files, image_id)
        job = job_queue.request(services, "1", JobKind.PURGE, "Eve")
        with pytest.raises(UnavailableError):
            ended.append(job_runner.run(services, job))

    monkeypatch.setattr(SlideFiles, "unhide", unhide_then_purge)
    assert change(services, "1", UNDELETE, ADMIN).status is Status.NEW
    assert [job.state for job in job_runner.run_due(services, [JobKind.PURGE], lambda: True)] == [
        JobState.FAILED
    ]
    assert services.files.slide("1").read_bytes() == b"slide"


def test_published_slide_is_not_deleted_or_purged(services: Services) -> None:
    services.slides.update("1", {"published_as": "STUDY-1"}, by="Eve")
    with pytest.raises(ConflictError, match="withdraw"):
        change(services, "1", DELETE, ADMIN)
    services.slides.update("1", {"status": Status.DELETED}, by="Eve")
    for day in range(9):
        assert look(services, day) == []
    with pytest.raises(ConflictError, match="withdraw"):
        requests.purge(services, "1", "1", ADMIN)


class TestPurgeRequests:
    def test_purge_request_requires_repeated_image_id(self, services: Services) -> None:
        change(services, "1", DELETE, ADMIN)
        for wrong in ("2", "", None, 1):
            with pytest.raises(BadRequestError, match="repeat its ImageID"):
                requests.purge(services, "1", wrong, ADMIN)
        job = requests.purge(services, "1", "1", ADMIN)
        assert job_runner.run(services, job).state is JobState.DONE
        assert services.files.stored_size("1") is None
        with pytest.raises(SlideNotFoundError, match="permanently deleted"):
            change(services, "1", UNDELETE, ADMIN)

    def test_purge_request_requires_admin_and_deleted_slide(self, services: Services) -> None:
        with pytest.raises(ForbiddenError):
            requests.purge(services, "1", "1", TECHNICIAN)
        with pytest.raises(ConflictError, match="deleted"):
            requests.purge(services, "1", "1", ADMIN)
        with pytest.raises(SlideNotFoundError):
            requests.purge(services, "9", "9", ADMIN)

    def test_slide_being_purged_cannot_be_undeleted(self, services: Services) -> None:
        change(services, "1", DELETE, ADMIN)
        requests.purge(services, "1", "1", ADMIN)
        with pytest.raises(ConflictError, match="being purged"):
            change(services, "1", UNDELETE, ADMIN)

    def test_undeleted_slide_is_not_purged(self, services: Services) -> None:
        job = job_queue.request(services, "1", JobKind.PURGE, "Eve")
        ended = job_runner.run(services, job)
        assert (ended.state, ended.error) == (
            JobState.FAILED,
            "This slide is not deleted: its files were kept.",
        )
        assert services.files.slide("1").read_bytes() == b"slide"

    def test_purge_interrupted_before_record_update_is_completed(self, services: Services) -> None:
        change(services, "1", DELETE, ADMIN)
        job = requests.purge(services, "1", "1", ADMIN)
        services.files.purge("1")
        assert job_runner.run(services, job).state is JobState.DONE
        assert record(services).original == "PURGED"


def test_grace_period_follows_the_setting(services: Services) -> None:
    longer = replace(services, settings=replace(services.settings, grace_days=30.0))
    change(longer, "1", DELETE, ADMIN)
    for day in range(30):
        assert look(longer, day) == []
    assert len(look(longer, 30)) == 1
