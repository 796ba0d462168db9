"""Slides of several files go to the archive and come back whole, whatever fails on the way."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from vsv.errors import UnavailableError
from vsv.lifecycle import job_runner, requests
from vsv.records.models import JobState, Status
from vsv.storage import atomic_write
from vsv.storage.folder_object_store import FolderObjectStore
from vsv.workflow.transitions import change

from tests.support.servers.archive_site import ADMIN, answers, archived, restored
from tests.support.servers.running import Site, files_below, running_site, settle
from tests.support.slides.mrxs import write_mrxs
from tests.support.slides.squares import squares


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr("vsv.slides.slide_cache.RECHECK_SECONDS", 0.0)
    with running_site(tmp_path) as running:
        assert settle(running, write_mrxs(running.scanner / "a.mrxs", squares())) == 200
        change(running.services, image_id(running), {"status": Status.GOOD}, ADMIN)
        running.services.slide_cache.forget(image_id(running))
        yield running


def image_id(site: Site) -> str:
    (record,) = site.records()
    return record.image_id


def set_files(site: Site) -> dict[str, bytes]:
    return files_below(site.services.files.folder(image_id(site)) / "set")


def test_archived_set_leaves_only_its_listing_is_shown_the_same_and_comes_back(site: Site) -> None:
    before, shown = set_files(site), answers(site.services, image_id(site))
    assert archived(site.services, image_id(site)).state is JobState.DONE
    assert list(set_files(site)) == ["files.json"]
    assert answers(site.services, image_id(site)) == shown
    size = (site.scanner / "a.mrxs").stat().st_size
    assert site.post("a.mrxs", size)[0] == 200
    assert restored(site.services, image_id(site)).state is JobState.DONE
    assert set_files(site) == before
    assert answers(site.services, image_id(site)) == shown
    assert site.post("a.mrxs", size)[0] == 200


@pytest.mark.parametrize("way", [archived, restored])
def test_step_killed_before_any_flush_keeps_each_file_and_completes(
    site: Site, monkeypatch: pytest.MonkeyPatch, way: object
) -> None:
    before = set_files(site)
    if way is restored:
        archived(site.services, image_id(site))
    ask = requests.restore if way is restored else requests.archive
    flush, struck = atomic_write.flush, True
    for nth in range(100):
        left = nth

        def killed(path: Path) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise UnavailableError("killed here")
            flush(path)

        monkeypatch.setattr(atomic_write, "flush", killed)
        job = job_runner.run(site.services, ask(site.services, image_id(site), ADMIN))
        monkeypatch.setattr(atomic_write, "flush", flush)
        kept = {content for store in (set_files(site), archive_files(site)) for content in store.values()}
        assert kept >= set(before.values())
        struck = job.state is not JobState.DONE
        if not struck:
            break
    assert not struck
    assert set_files(site) == (before if way is restored else {"files.json": before["files.json"]})


def archive_files(site: Site) -> dict[str, bytes]:
    return files_below(site.services.files.root / "archive")


def test_purge_of_an_archived_set_leaves_nothing_in_the_archive(site: Site) -> None:
    archived(site.services, image_id(site))
    assert len(archive_files(site)) == 2 * (1 + 6) + 1  # and the installation's mark
    change(site.services, image_id(site), {"status": Status.DELETED}, ADMIN)
    job = requests.purge(site.services, image_id(site), image_id(site), ADMIN)
    assert job_runner.run(site.services, job).state is JobState.DONE
    assert archive_files(site) == {}
    folder = site.services.files.deleted_folder(image_id(site))
    assert "set/files.json" in files_below(folder)


def test_changed_file_of_a_set_is_not_archived(site: Site) -> None:
    data = site.services.files.folder(image_id(site)) / "set/a/Data0001.dat"
    changed = bytearray(data.read_bytes())
    changed[20] ^= 1
    data.chmod(0o644)
    data.write_bytes(changed)
    job = archived(site.services, image_id(site))
    assert job.state is not JobState.DONE
    assert data.read_bytes() == changed


def test_other_file_in_the_archive_is_never_restored(site: Site) -> None:
    archived(site.services, image_id(site))
    archive = site.services.archive
    assert isinstance(archive, FolderObjectStore)
    stored = archive.root / image_id(site) / "set/00002"
    os.chmod(stored, 0o644)  # noqa: PTH101
    stored.write_bytes(b"x" * stored.stat().st_size)
    assert restored(site.services, image_id(site)).state is not JobState.DONE
    assert list(set_files(site)) != []
    assert b"x" * stored.stat().st_size not in set_files(site).values()
