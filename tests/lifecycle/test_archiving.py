"""Originals go to the archive and come back: recorded, refused where they must stay, and safe whatever fails."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from vsv.errors import (
    ConflictError,
    FileMissingError,
    IllegalTransitionError,
    NotYetError,
    SlideNotFoundError,
    UnavailableError,
    UnreadableSlideError,
)
from vsv.lifecycle import archiving, job_runner, requests
from vsv.records.models import ImportState, JobKind, JobState, Status
from vsv.rendering.masks import read_mask, store_mask
from vsv.services import Services
from vsv.storage.archive_marker import NOTE, read_note
from vsv.storage.folder_object_store import FolderObjectStore
from vsv.storage.object_store import Stored
from vsv.workflow import job_queue
from vsv.workflow.transitions import Decider, change

from tests.support.servers.archive_site import ADMIN, archived, brought, history, record, restored
from tests.support.servers.running import Site, running_site
from tests.support.slides.small import other_scan, put, slide_bytes

CONTENT = slide_bytes()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ID = "1004486"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr("vsv_local.ingest.import_runner.RETRY_DELAYS_S", ())
    monkeypatch.setattr("vsv.slides.slide_cache.RECHECK_SECONDS", 0.0)
    with running_site(tmp_path) as running:
        brought(running, CONTENT)
        change(running.services, ID, {"status": Status.GOOD}, ADMIN)
        yield running


def original(site: Site) -> Path:
    return site.services.files.slide(ID)


def test_archive_and_restore_move_original_and_record_each_step(site: Site, tmp_path: Path) -> None:
    written = original(site).stat().st_mtime_ns
    job = archived(site.services, ID)
    assert (job.state, job.error, job.by) == (JobState.DONE, None, "dr.k")
    assert job.result == {"bytes": str(len(CONTENT)), "sha256": SHA256}
    assert not original(site).exists()
    copy = tmp_path / "data/archive" / ID / "slide.svs"
    assert copy.read_bytes() == CONTENT
    assert site.services.archive.find(f"{ID}/slide.svs") == Stored(len(CONTENT), SHA256)
    found = record(site.services, ID)
    assert (found.status, found.status_before, found.original) == (Status.ARCHIVED, "GOOD", "ARCHIVED")

    job = restored(site.services, ID)
    assert (job.state, job.error) == (JobState.DONE, None)
    assert original(site).read_bytes() == CONTENT
    assert (original(site).stat().st_mtime_ns, original(site).stat().st_mode & 0o777) == (
        written,
        0o444,
    )
    assert not (original(site).parent / NOTE).exists()
    assert copy.read_bytes() == CONTENT
    found = record(site.services, ID)
    assert (found.status, found.status_before, found.original) == (Status.GOOD, None, None)
    assert history(site.services, ID)[-8:] == [
        ("Original", None, "ARCHIVING"),
        ("Original", "ARCHIVING", "ARCHIVED"),
        ("Status", "GOOD", "ARCHIVED"),
        ("StatusBefore", None, "GOOD"),
        ("Original", "ARCHIVED", "RESTORING"),
        ("Original", "RESTORING", None),
        ("Status", "ARCHIVED", "GOOD"),
        ("StatusBefore", "GOOD", None),
    ]


def test_repeated_archive_and_restore_steps_change_no_record(site: Site) -> None:
    job = archived(site.services, ID)
    known = history(site.services, ID)
    archiving.archive_step(site.services, job)
    assert history(site.services, ID) == known
    job = restored(site.services, ID)
    known = history(site.services, ID)
    archiving.restore_step(site.services, job)
    assert history(site.services, ID) == known
    assert archived(site.services, ID).state is JobState.DONE
    assert not original(site).exists()


@pytest.mark.parametrize("status", [Status.NEW, Status.BAD, Status.SENT])
def test_restore_returns_to_previous_status(site: Site, status: Status) -> None:
    change(site.services, ID, {"status": Status.NEW}, ADMIN)
    for next_status in {Status.SENT: (Status.GOOD, Status.SENT)}.get(status, (status,)):
        change(site.services, ID, {"status": next_status}, ADMIN)
    archived(site.services, ID)
    assert record(site.services, ID).status is Status.ARCHIVED
    restored(site.services, ID)
    assert record(site.services, ID).status is status


def test_restore_keeps_published_slide_published_with_previous_status(site: Site) -> None:
    published = {"status": Status.PUBLISHED, "status_before": "SENT", "published_as": "study-1"}
    site.services.slides.update(ID, published, by="dr.k")
    archived(site.services, ID)
    found = record(site.services, ID)
    assert (found.status, found.status_before) == (Status.ARCHIVED, "SENT")
    restored(site.services, ID)
    found = record(site.services, ID)
    assert (found.status, found.status_before, found.published_as) == (Status.PUBLISHED, "SENT", "study-1")


def test_restore_of_withdrawn_slide_returns_to_status_before_publishing(site: Site) -> None:
    published = {"status": Status.PUBLISHED, "status_before": "SENT", "published_as": "study-1"}
    site.services.slides.update(ID, published, by="dr.k")
    archived(site.services, ID)
    site.services.slides.update(ID, {"published_as": None}, by="dr.k")
    restored(site.services, ID)
    found = record(site.services, ID)
    assert (found.status, found.status_before) == (Status.SENT, None)


def test_import_request_for_archived_slide_answers_200(site: Site) -> None:
    archived(site.services, ID)
    assert site.post("a.svs", len(CONTENT))[0] == 200
    assert site.post("a.svs", len(CONTENT), sha256=SHA256)[0] == 200
    site.services.files.pyramid(ID).unlink()  # it is in the archive nevertheless
    assert site.post("a.svs", len(CONTENT))[0] == 200
    assert site.services.files.stored_size(ID) == len(CONTENT)
    assert site.state() is ImportState.READY
    assert len(site.records()) == 1


def test_slide_with_stale_file_handle_is_reopened(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    before = site.services.slide_cache.slide(ID)
    level = before.levels[before.max_level]

    def stale(*_: object) -> bytes:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", stale)
        with pytest.raises(UnavailableError):
            level.jpeg(0, 0)
    assert before.is_stale
    after = site.services.slide_cache.slide(ID)
    assert after is not before
    assert not after.is_stale


def test_archived_slide_keeps_its_id(site: Site) -> None:
    archived(site.services, ID)
    other = other_scan(CONTENT)
    put(site.scanner, "b.svs", other)
    assert site.settle("b.svs", len(other)) == 200
    assert len({found.image_id for found in site.records()}) == 2
    assert read_note(site.services.files.folder(ID)) is not None


def test_masks_thumbnails_and_numbers_work_for_archived_slide(site: Site) -> None:
    import numpy as np  # noqa: PLC0415

    archived(site.services, ID)
    store_mask(site.services.files, ID, 7, np.ones((4, 4), bool))
    assert read_mask(site.services.files, 7).startswith(b"\x89PNG")
    assert site.services.files.read_associated(ID, "thumbnail").startswith(b"\xff\xd8")
    with pytest.raises(SlideNotFoundError):
        store_mask(site.services.files, "7", 8, np.ones((4, 4), bool))


def test_archived_slide_without_pyramid_raises_unreadable_until_restored(site: Site) -> None:
    archived(site.services, ID)
    site.services.files.pyramid(ID).unlink()
    with pytest.raises(UnreadableSlideError, match="unarchive"):
        site.services.slide_cache.slide(ID)
    restored(site.services, ID)
    assert site.services.slide_cache.slide(ID).path == original(site)


def test_purge_after_undeletion_removes_the_archived_copy(site: Site) -> None:
    archived(site.services, ID)
    change(site.services, ID, {"status": Status.DELETED}, ADMIN)
    with pytest.raises(SlideNotFoundError):
        site.services.slide_cache.slide(ID)
    assert site.services.files.stored_size(ID) == len(CONTENT)
    job = job_runner.run(site.services, requests.restore(site.services, ID, ADMIN))
    assert (job.state, record(site.services, ID).original) == (JobState.FAILED, "ARCHIVED")
    change(site.services, ID, {"status": Status.NEW}, ADMIN)
    assert site.services.slide_cache.slide(ID).grid.width_px == 600
    restored(site.services, ID)
    assert record(site.services, ID).status is Status.NEW
    archived(site.services, ID)
    change(site.services, ID, {"status": Status.DELETED}, ADMIN)
    job = job_runner.run(site.services, requests.purge(site.services, ID, ID, ADMIN))
    assert job.state is JobState.DONE
    assert site.services.archive.find(archiving.key_of(ID)) is None
    assert site.services.files.stored_size(ID) is None


def test_purge_after_restore_removes_the_archived_copy(site: Site) -> None:
    archived(site.services, ID)
    restored(site.services, ID)
    change(site.services, ID, {"status": Status.DELETED}, ADMIN)
    job_runner.run(site.services, requests.purge(site.services, ID, ID, ADMIN))
    assert site.services.archive.find(archiving.key_of(ID)) is None


def test_deletion_during_archive_copy_keeps_the_original(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    put_before = FolderObjectStore.put

    def deleted_meanwhile(vault: FolderObjectStore, source: Path, key: str, sha256: str) -> None:
        put_before(vault, source, key, sha256)
        change(site.services, ID, {"status": Status.DELETED}, ADMIN)

    job = requests.archive(site.services, ID, ADMIN)
    with monkeypatch.context() as patched:
        patched.setattr(FolderObjectStore, "put", deleted_meanwhile)
        assert job_runner.run(site.services, job).state is JobState.WAITING
    job = job_runner.run(site.services, job)
    assert (job.state, job.error) == (JobState.FAILED, "A slide with status DELETED cannot be archived.")
    assert record(site.services, ID).original is None
    change(site.services, ID, {"status": Status.NEW}, ADMIN)
    assert original(site).read_bytes() == CONTENT


# What must stay


def failed(site: Site) -> str:
    job = archived(site.services, ID)
    assert job.state is JobState.FAILED
    assert record(site.services, ID).original is None
    assert original(site).read_bytes() == CONTENT
    assert read_note(site.services.files.folder(ID)) is None
    assert job.error is not None
    return job.error


def test_archive_refuses_slide_without_rendered_levels(site: Site) -> None:
    site.services.files.pyramid(ID).unlink()
    assert "render" in failed(site)


def test_archive_refuses_slide_during_import(site: Site) -> None:
    run = site.services.imports.get("a.svs")
    assert run is not None
    site.services.imports.advance("a.svs", run.run_id, {"state": ImportState.IMPORTING})
    assert "imported" in failed(site)


def test_archive_refuses_original_that_does_not_match_its_record(site: Site) -> None:
    site.services.slides.update(ID, {"checksum": "0" * 64}, by="test")
    assert "does not match its record" in failed(site)
    assert site.services.archive.find(archiving.key_of(ID)) is None
    site.services.slides.update(ID, {"file_size": 7}, by="test")
    assert "has changed since it was imported" in failed(site)


def test_archive_refuses_to_overwrite_other_content(site: Site, tmp_path: Path) -> None:
    other = put(tmp_path, "x", b"x")
    site.services.archive.put(other, archiving.key_of(ID), hashlib.sha256(b"x").hexdigest())
    assert "nothing was overwritten" in failed(site)


def test_archive_computes_missing_checksum(site: Site) -> None:
    site.services.slides.update(ID, {"checksum": None}, by="test")
    assert archived(site.services, ID).result == {"bytes": str(len(CONTENT)), "sha256": SHA256}
    assert restored(site.services, ID).state is JobState.DONE


def test_archive_refuses_original_in_place(tmp_path: Path) -> None:
    with running_site(tmp_path, in_place=True) as site:
        assert site.bring("a.svs", CONTENT) == 202
        with pytest.raises(ConflictError, match="cannot be moved"):
            requests.archive(site.services, ID, ADMIN)
        job = job_queue.request(site.services, ID, JobKind.ARCHIVE, "test")
        assert "cannot be moved" in (job_runner.run(site.services, job).error or "")
        assert original(site).is_symlink()
        assert (site.scanner / "a.svs").read_bytes() == CONTENT


def test_archive_request_refuses_deleted_slide(site: Site) -> None:
    change(site.services, ID, {"status": Status.DELETED}, ADMIN)
    with pytest.raises(IllegalTransitionError):
        requests.archive(site.services, ID, ADMIN)


# What fails


class Refusing:
    """A vault that does what is asked, but fails at one method, or says something else there."""

    def __init__(self, vault: Any, method: str, outcome: Any) -> None:
        self._vault, self._method, self._outcome = vault, method, outcome

    def __getattr__(self, name: str) -> Any:
        if name != self._method:
            return getattr(self._vault, name)

        def answer(*_: object) -> Any:
            if isinstance(self._outcome, Exception):
                raise self._outcome
            return self._outcome

        return answer


def with_archive(services: Services, method: str, outcome: Any) -> Services:
    other = replace(services)
    other.__dict__["archive"] = Refusing(services.archive, method, outcome)
    return other


@pytest.mark.parametrize("method", ["put", "find"])
def test_failing_archive_keeps_job_waiting_and_original_in_place(site: Site, method: str) -> None:
    job = requests.archive(site.services, ID, ADMIN)
    bad = with_archive(site.services, method, UnavailableError("the bucket for copies does not answer now"))
    job = job_runner.run(bad, job)
    assert (job.state, job.error) == (JobState.WAITING, "the bucket for copies does not answer now")
    assert original(site).read_bytes() == CONTENT
    assert record(site.services, ID).original == "ARCHIVING"
    assert record(site.services, ID).status is Status.GOOD
    assert job_runner.run(site.services, job).state is JobState.DONE


@pytest.mark.parametrize("found", [None, Stored(1, SHA256), Stored(len(CONTENT), "0" * 64)])
def test_original_is_kept_when_archive_does_not_find_the_copy(site: Site, found: Stored | None) -> None:
    job = requests.archive(site.services, ID, ADMIN)
    job = job_runner.run(with_archive(site.services, "find", found), job)
    assert job.state is JobState.WAITING
    assert original(site).read_bytes() == CONTENT


def test_failed_archive_job_clears_original_field(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_runner, "ATTEMPTS", 1)
    job = requests.archive(site.services, ID, ADMIN)
    job = job_runner.run(with_archive(site.services, "put", UnavailableError("the archive is full")), job)
    assert (job.state, job.error) == (JobState.FAILED, "the archive is full")
    assert record(site.services, ID).original is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("place", ["write_note", "atomic_write.flush", "complete"])
def test_disk_error_during_archiving_loses_no_copy(
    site: Site, monkeypatch: pytest.MonkeyPatch, number: int, place: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    job = requests.archive(site.services, ID, ADMIN)
    with monkeypatch.context() as patched:
        patched.setattr(f"vsv.lifecycle.archiving.{place}", refuse)
        assert job_runner.run(site.services, job).state is JobState.WAITING
    copies = [
        path
        for path in (original(site), site.services.files.root / "archive" / ID / "slide.svs")
        if path.exists()
    ]
    assert [path.read_bytes() for path in copies] == [CONTENT] * len(copies)
    assert copies
    assert job_runner.run(site.services, job).state is JobState.DONE


def test_full_disk_during_restore_keeps_the_archived_copy(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    archived(site.services, ID)
    job = requests.restore(site.services, ID, ADMIN)
    bad = with_archive(site.services, "fetch", UnavailableError("the data folder is full: make room there"))
    job = job_runner.run(bad, job)
    assert (job.state, record(site.services, ID).original) == (JobState.WAITING, "RESTORING")
    assert "full" in (job.error or "")
    assert site.services.slide_cache.slide(ID).grid.width_px == 600
    assert job_runner.run(site.services, job).state is JobState.DONE


def test_restore_of_lost_copy_fails_and_slide_is_still_served(site: Site) -> None:
    archived(site.services, ID)
    site.services.archive.remove(archiving.key_of(ID))
    job = restored(site.services, ID)
    assert job.state is JobState.FAILED
    assert "does not hold" in (job.error or "")
    assert record(site.services, ID).original == "ARCHIVED"
    assert site.services.slide_cache.slide(ID).grid.width_px == 600


def test_restore_refuses_different_file_in_the_archive(site: Site, tmp_path: Path) -> None:
    archived(site.services, ID)
    site.services.archive.remove(archiving.key_of(ID))
    other = put(tmp_path, "x", bytes(len(CONTENT)))
    site.services.archive.put(other, archiving.key_of(ID), hashlib.sha256(other.read_bytes()).hexdigest())
    job = restored(site.services, ID)
    assert (job.state, "a different file" in (job.error or "")) == (JobState.FAILED, True)
    assert not original(site).exists()


def test_restore_works_without_archive_note(site: Site) -> None:
    archived(site.services, ID)
    (site.services.files.folder(ID) / NOTE).unlink()
    assert restored(site.services, ID).state is JobState.DONE
    assert original(site).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[1]", b'{"size": "x", "sha256": "", "key": "", "modified": 0}']
)
def test_read_note_returns_none_for_invalid_notes(site: Site, text: bytes) -> None:
    archived(site.services, ID)
    (site.services.files.folder(ID) / NOTE).write_bytes(text)
    assert read_note(site.services.files.folder(ID)) is None
    assert site.services.files.stored_size(ID) is None


def test_restore_of_frozen_copy_waits_with_expected_time(site: Site) -> None:
    archived(site.services, ID)
    job = requests.restore(site.services, ID, ADMIN)
    frozen = with_archive(site.services, "fetch", NotYetError("up to 5 hours", 5 * 3600.0))
    job = job_runner.run(frozen, job)
    assert (job.state, job.attempts) == (JobState.WAITING, 0)
    first = datetime.fromisoformat(job.expected_at or "")
    assert abs(first - datetime.now(UTC) - timedelta(hours=5)) < timedelta(minutes=1)
    job = job_runner.run(frozen, job)
    assert abs(datetime.fromisoformat(job.expected_at or "") - first) < timedelta(seconds=5)
    assert record(site.services, ID).original == "RESTORING"
    late = replace(job, expected_at="2020-01-01T00:00:00.000000Z")
    with pytest.raises(NotYetError) as told:
        archiving.restore_step(frozen, late)
    assert told.value.seconds == archiving.LOOK_S
    assert job_runner.run(site.services, job).state is JobState.DONE
    assert record(site.services, ID).original is None


def test_archive_step_raises_unavailable_when_record_keeps_changing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vsv.errors import VersionConflictError  # noqa: PLC0415

    class Busy:
        get = site.services.slides.get

        def update(self, *_: object, **__: object) -> None:
            raise VersionConflictError("faster")

    job = requests.archive(site.services, ID, ADMIN)
    busy = replace(site.services)
    busy.__dict__["slides"] = Busy()
    with pytest.raises(UnavailableError, match="keep changing"):
        archiving.archive_step(busy, job)
    assert original(site).exists()


def test_archive_and_restore_requests_require_admin(site: Site) -> None:
    from vsv.errors import ForbiddenError  # noqa: PLC0415

    for ask in (requests.archive, requests.restore):
        with pytest.raises(ForbiddenError):
            ask(site.services, ID, Decider("t", is_admin=False))


def test_archive_fails_for_slide_without_original(site: Site) -> None:
    job = requests.archive(site.services, ID, ADMIN)
    for path in site.services.files.folder(ID).iterdir():
        path.unlink()
    assert job_runner.run(site.services, job).error == "no original is stored for this slide"
    with pytest.raises(FileMissingError):
        archiving._fetch_original(site.services, job, record(site.services, ID))


def test_archive_note_contains_key_size_and_checksum(site: Site) -> None:
    archived(site.services, ID)
    note = json.loads((site.services.files.folder(ID) / NOTE).read_bytes())
    assert note["key"] == f"{ID}/slide.svs"
    assert (note["size"], note["sha256"]) == (len(CONTENT), SHA256)
