"""Two installations that share one archive: neither touches an original that carries the other's mark."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from vsv.lifecycle import archive_ownership, archiving, job_runner, requests
from vsv.records.models import JobRecord, JobState, Status
from vsv.services import Services
from vsv.storage.archive_marker import NOTE
from vsv.storage.object_store import Stored
from vsv.workflow.transitions import change

from tests.support.aws.like_s3 import BUCKET
from tests.support.servers.archive_site import ADMIN, archived, brought, record, restored
from tests.support.servers.running import running_site
from tests.support.slides.small import other_scan, slide_bytes

pytest_plugins = ["tests.support.stores.object_store_fixtures"]

CONTENT = slide_bytes()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ID, KEY = "1004486", "1004486/slide.svs"
WHOLE = Stored(len(CONTENT), SHA256)
ELSEWHERE, UNMARKED = "marked as another installation's", "carries no mark"


@pytest.fixture(params=["folder", "s3"])
def _shared(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make one archive the archive of every installation."""
    if request.param == "s3":
        request.getfixturevalue("s3")
        monkeypatch.setenv("VSV_ARCHIVE", f"s3://{BUCKET}/originals")
        monkeypatch.setenv("VSV_ARCHIVE_CLASS", "STANDARD")
    else:
        (tmp_path / "shared").mkdir()
        monkeypatch.setenv("VSV_ARCHIVE", str(tmp_path / "shared"))
    monkeypatch.setattr("vsv_local.ingest.import_runner.RETRY_DELAYS_S", ())


@pytest.fixture
def first(_shared: None, tmp_path: Path) -> Iterator[Services]:
    yield from _installation(tmp_path / "first")


@pytest.fixture
def second(first: Services, tmp_path: Path) -> Iterator[Services]:
    yield from _installation(tmp_path / "second")


def _installation(folder: Path, content: bytes = CONTENT) -> Iterator[Services]:
    folder.mkdir()
    with running_site(folder) as site:
        assert brought(site, content) == ID
        change(site.services, ID, {"status": Status.GOOD}, ADMIN)
        yield site.services


def purged(services: Services) -> JobRecord:
    change(services, ID, {"status": Status.DELETED}, ADMIN)
    return job_runner.run(services, requests.purge(services, ID, ID, ADMIN))


def unmark(services: Services) -> None:
    """Take the mark from an archived original, as versions before marks have left it."""
    services.archive.release(KEY)
    assert services.archive.owner(KEY) is None


def check_refused(job: JobRecord, reason: str) -> None:
    assert (job.state, reason in (job.error or "")) == (JobState.FAILED, True), job.error


def test_archived_original_carries_the_mark_of_its_data_folder(first: Services) -> None:
    archived(first, ID)
    mark = (first.files.root / archive_ownership.INSTALLATION).read_text().strip()
    assert first.archive.owner(KEY) == mark == archive_ownership.mark_of(first)
    assert len(mark) == 32


@pytest.mark.parametrize("content", [CONTENT, other_scan(CONTENT)], ids=["same bytes", "another slide"])
def test_archive_refuses_an_id_that_another_installation_has_archived(
    first: Services, tmp_path: Path, content: bytes
) -> None:
    archived(first, ID)
    for second in _installation(tmp_path / "second", content):
        check_refused(archived(second, ID), ELSEWHERE)
        assert second.files.slide(ID).read_bytes() == content
        assert (record(second, ID).original, record(second, ID).status) == (None, Status.GOOD)
    assert first.archive.find(KEY) == WHOLE
    assert restored(first, ID).state is JobState.DONE


def test_purge_refuses_before_anything_is_removed_where_the_original_is_anothers(
    first: Services, second: Services
) -> None:
    archived(first, ID)
    check_refused(purged(second), ELSEWHERE)
    assert (second.files.deleted_folder(ID) / "slide.svs").read_bytes() == CONTENT
    assert record(second, ID).original is None
    assert first.archive.find(KEY) == WHOLE
    change(second, ID, {"status": Status.NEW}, ADMIN)
    assert second.files.slide(ID).read_bytes() == CONTENT


def test_restore_refuses_an_original_that_carries_anothers_mark(first: Services, second: Services) -> None:
    archived(second, ID)
    unmark(second)
    archive_ownership.claim(first, ID)
    check_refused(restored(second, ID), ELSEWHERE)
    assert record(second, ID).original == "ARCHIVED"
    check_refused(purged(second), ELSEWHERE)
    assert (second.files.deleted_folder(ID) / NOTE).exists()
    assert first.archive.find(KEY) == WHOLE


def test_purge_of_its_own_leaves_neither_original_nor_mark_and_frees_the_key(
    first: Services, second: Services
) -> None:
    archived(first, ID)
    assert purged(first).state is JobState.DONE
    assert (first.archive.find(KEY), first.archive.owner(KEY)) == (None, None)
    assert archived(second, ID).state is JobState.DONE


def test_killed_purge_that_is_run_again_removes_original_and_mark(
    first: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    archived(first, ID)
    change(first, ID, {"status": Status.DELETED}, ADMIN)
    job = requests.purge(first, ID, ID, ADMIN)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    for method in ("remove", "release"):
        with monkeypatch.context() as patched:
            patched.setattr(type(first.archive), method, killed)
            with pytest.raises(KeyboardInterrupt):
                job_runner.run(first, job)
    assert job_runner.run(first, job).state is JobState.DONE
    assert (first.archive.find(KEY), first.archive.owner(KEY)) == (None, None)


# Archives from before marks.


@pytest.mark.parametrize("after", [restored, archived])
def test_unmarked_original_is_adopted_by_the_installation_that_archived_it(
    first: Services, after: object
) -> None:
    archived(first, ID)
    unmark(first)
    assert restored(first, ID).state is JobState.DONE
    assert first.archive.owner(KEY) == archive_ownership.mark_of(first)
    if after is archived:
        unmark(first)
        assert archived(first, ID).state is JobState.DONE
        assert first.archive.owner(KEY) == archive_ownership.mark_of(first)


@pytest.mark.parametrize("is_restored", [False, True])
def test_purge_removes_an_unmarked_original_that_the_slides_history_knows(
    first: Services, is_restored: bool
) -> None:
    archived(first, ID)
    if is_restored:
        restored(first, ID)
    unmark(first)
    assert purged(first).state is JobState.DONE
    assert (first.archive.find(KEY), first.archive.owner(KEY)) == (None, None)


def test_unmarked_original_of_the_same_bytes_is_left_by_an_installation_that_never_archived_it(
    first: Services, second: Services
) -> None:
    archived(first, ID)
    unmark(first)
    check_refused(archived(second, ID), UNMARKED)
    check_refused(archived(second, ID), UNMARKED)  # the first attempt is no proof for the second
    check_refused(purged(second), UNMARKED)
    assert (first.archive.find(KEY), first.archive.owner(KEY)) == (WHOLE, None)


def test_purge_leaves_an_unmarked_original_of_other_content(first: Services, tmp_path: Path) -> None:
    archived(first, ID)
    first.archive.remove(KEY)
    unmark(first)
    other = tmp_path / "other.svs"
    other.write_bytes(bytes(len(CONTENT)))
    first.archive.put(other, KEY, hashlib.sha256(other.read_bytes()).hexdigest())
    check_refused(purged(first), UNMARKED)
    assert first.archive.find(KEY) is not None


def test_original_marked_by_hand_counts_as_the_installations(first: Services, second: Services) -> None:
    archived(first, ID)
    unmark(first)
    second.archive.claim(KEY, archive_ownership.mark_of(second))
    assert archived(second, ID).state is JobState.DONE
    assert archiving.key_of(ID) == KEY
    check_refused(restored(first, ID), ELSEWHERE)
