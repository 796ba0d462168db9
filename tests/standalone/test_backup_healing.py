"""A backup that lost bytes: found by reading, written again, and restored but for what is damaged."""

import hashlib
import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from vsv.records.models import Status
from vsv.workflow.transitions import change

from tests.standalone.test_backup import (
    backed_up,
    contents,
    damage,
    filled,
    killed,
    records,
    second,
    vsv,
)
from tests.support.servers.running import running_site, server
from tests.support.slides.small import other_scan, slide_bytes
from vsv_local.backup import content_checks
from vsv_local.backup.backup_folder import BackupStore
from vsv_local.cli.options import OPERATOR

__all__ = ["filled"]  # the fixture
ORIGINAL = "slides/1004486/slide.svs"
DIGEST = hashlib.sha256(slide_bytes()).hexdigest()


def digest_of(folder: Path, path: str) -> str:
    entries = BackupStore(folder / "backup").required().entries
    return next(str(entry.sha256) for entry in entries if entry.path == path)


def is_intact(folder: Path, digest: str) -> bool:
    content = BackupStore(folder / "backup").content(digest).read_bytes()
    return hashlib.sha256(content).hexdigest() == digest


@pytest.mark.parametrize("way", ["a bit", "cut short", "removed"])
def test_backup_writes_every_damaged_content_again(filled: Path, way: str) -> None:
    backed_up(filled)
    digests = {entry.sha256 for entry in BackupStore(filled / "backup").required().entries if entry.sha256}
    for digest in digests:
        path = BackupStore(filled / "backup").content(digest)
        if way == "a bit":
            damage(filled, digest)
        else:
            data = path.read_bytes()
            path.unlink()
            way == "removed" or path.write_bytes(data[:-1])
    report = backed_up(filled)
    assert ORIGINAL in report["healed"] and report["troubles"] == {}
    assert vsv(filled, "backup", filled / "backup", "--verify").exit_code == 0
    files, rows = contents(filled / "data"), records(filled)
    shutil.rmtree(filled / "data")
    assert vsv(filled, "restore", filled / "backup").exit_code == 0
    assert (contents(filled / "data"), records(filled)) == (files, rows)


def test_healing_names_the_file_and_a_later_backup_has_nothing_to_heal(filled: Path) -> None:
    backed_up(filled)
    damage(filled, DIGEST)
    result = vsv(filled, "backup", filled / "backup")
    assert result.exit_code == 0
    assert f"{ORIGINAL}: its copy in the backup was damaged and is written again" in result.output
    assert backed_up(filled)["healed"] == []


def test_backup_killed_while_healing_completes_when_run_again(filled: Path) -> None:
    backed_up(filled)
    digests = {entry.sha256 for entry in BackupStore(filled / "backup").required().entries if entry.sha256}
    for digest in digests - {digest_of(filled, "records.sqlite")}:
        damage(filled, digest)
    assert [killed(filled, "backup", at) for at in range(1, 8)] == [True] * 7
    assert backed_up(filled)["troubles"] == {}
    assert vsv(filled, "backup", filled / "backup", "--verify").exit_code == 0
    files = contents(filled / "data")
    shutil.rmtree(filled / "data")
    assert vsv(filled, "restore", filled / "backup").exit_code == 0
    assert contents(filled / "data") == files


def test_damaged_copy_of_a_lost_original_is_reported_and_kept(filled: Path) -> None:
    backed_up(filled)
    damage(filled, DIGEST)
    rotten = BackupStore(filled / "backup").content(DIGEST).read_bytes()
    (filled / "data" / ORIGINAL).unlink()
    for _night in range(2):
        result = vsv(filled, "backup", filled / "backup")
        assert (result.exit_code, "the backup's copy is damaged" in result.output) == (1, True)
        assert BackupStore(filled / "backup").content(DIGEST).read_bytes() == rotten


@pytest.mark.parametrize("is_copy_damaged", [False, True])
def test_original_that_changed_without_a_new_time_never_replaces_what_the_backup_has(
    filled: Path, monkeypatch: pytest.MonkeyPatch, is_copy_damaged: bool
) -> None:
    monkeypatch.setattr("vsv_local.backup.backup_folder._linked", lambda _source, _part: None)
    backed_up(filled)
    original = filled / "data" / ORIGINAL
    original.chmod(0o644)
    original.write_bytes(slide_bytes()[:-1] + b"?")
    if is_copy_damaged:
        damage(filled, DIGEST)
    for _night in range(2):
        result = vsv(filled, "backup", filled / "backup")
        assert (result.exit_code, "not what was imported" in result.output) == (1, True)
        assert ("the backup's copy is damaged" in result.output) == is_copy_damaged
        assert ("keeps the good one" in result.output) != is_copy_damaged
    assert digest_of(filled, ORIGINAL) == DIGEST


def aged(folder: Path, days: dict[str, float], last_part: float) -> None:
    """Write that contents were read that many days ago, and the last part was."""

    def ago(days: float) -> str:
        at = datetime.now(UTC) - timedelta(days=days)
        return at.isoformat(timespec="microseconds").replace("+00:00", "Z")

    path = folder / "backup/checks.json"
    item: dict[str, Any] = json.loads(path.read_bytes())
    checks = {digest: [ago(days.get(digest, 0.5)), check[1]] for digest, check in item["checks"].items()}
    path.write_text(json.dumps({"lastPart": ago(last_part), "checks": checks}))


def test_each_content_is_read_within_the_period_and_not_each_time(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_checks, "LEAST_BYTES", 0)
    backed_up(filled)
    assert backed_up(filled)["verified"] <= 1  # no time has passed
    damage(filled, DIGEST)
    aged(filled, {DIGEST: 20}, last_part=0.01)
    assert backed_up(filled)["healed"] in ([], [ORIGINAL])
    damage(filled, DIGEST)
    aged(filled, {DIGEST: 29}, last_part=0.01)
    assert backed_up(filled)["healed"] == [ORIGINAL]
    aged(filled, {}, last_part=28)
    assert backed_up(filled)["verified"] == len(
        {entry.sha256 for entry in BackupStore(filled / "backup").required().entries}
    )


def test_content_written_to_since_its_check_is_read_before_it_is_used(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_checks, "LEAST_BYTES", 0)
    backed_up(filled)
    damage(filled, DIGEST)
    os.utime(BackupStore(filled / "backup").content(DIGEST))
    aged(filled, {}, last_part=0)
    assert backed_up(filled)["healed"] == [ORIGINAL]


def test_verify_notes_what_the_next_backup_writes_again(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_checks, "LEAST_BYTES", 0)
    backed_up(filled)
    damage(filled, DIGEST)
    assert vsv(filled, "backup", filled / "backup", "--verify").exit_code == 1
    assert backed_up(filled)["healed"] == [ORIGINAL]


@pytest.mark.parametrize("checks", [b"", b"{", b"[]", b'{"checks": {"x": 1}, "lastPart": 3}'])
def test_damaged_notes_of_checks_stop_no_backup(filled: Path, checks: bytes) -> None:
    backed_up(filled)
    (filled / "backup/checks.json").write_bytes(checks)
    assert backed_up(filled)["troubles"] == {}


def test_restore_uses_the_second_copy_of_damaged_records(filled: Path) -> None:
    backed_up(filled)
    rows = records(filled)
    damage(filled, digest_of(filled, "records.sqlite"))
    shutil.rmtree(filled / "data")
    assert vsv(filled, "restore", filled / "backup").exit_code == 0
    assert records(filled) == rows


def test_restore_without_intact_records_restores_the_files_and_warns(filled: Path) -> None:
    backed_up(filled)
    files = contents(filled / "data")
    digest = digest_of(filled, "records.sqlite")
    BackupStore(filled / "backup").content(digest).unlink()
    BackupStore(filled / "backup").spare(digest).write_bytes(b"x")
    shutil.rmtree(filled / "data")
    result = vsv(filled, "restore", filled / "backup")
    assert (result.exit_code, "The records are missing" in result.output) == (1, True)
    assert contents(filled / "data") == files


def test_missing_levels_are_no_failure_and_are_rendered_again(filled: Path) -> None:
    backed_up(filled)
    with server(filled / "data") as running:
        tile = running.ask("/DeepZoom/1004486_files/5/0_0.jpeg").body
    BackupStore(filled / "backup").content(digest_of(filled, "slides/1004486/pyramid.tif")).write_bytes(b"x")
    shutil.rmtree(filled / "data")
    result = vsv(filled, "restore", filled / "backup")
    assert (result.exit_code, "vsv render 1004486" in result.output) == (0, True)
    assert vsv(filled, "render", "1004486").exit_code == 0
    with server(filled / "data") as running:
        assert running.ask("/DeepZoom/1004486_files/5/0_0.jpeg").body == tile


def test_restore_of_a_damaged_backup_completes_when_killed_and_run_again(filled: Path) -> None:
    backed_up(filled)
    damage(filled, DIGEST)
    files = contents(filled / "data")
    del files[ORIGINAL]
    shutil.rmtree(filled / "data")
    assert [killed(filled, "restore", at) for at in (1, 3, 5)] == [True] * 3
    result = vsv(filled, "restore", filled / "backup")
    assert (result.exit_code, f"{ORIGINAL} is missing" in result.output) == (1, True)
    assert contents(filled / "data") == files


def test_restore_only_brings_one_slide_into_an_empty_folder(filled: Path) -> None:
    backed_up(filled)
    with running_site(filled) as site:
        other = second(site)
    shutil.rmtree(filled / "data")
    assert vsv(filled, "restore", filled / "backup", "--only", "1004486").exit_code == 0
    assert (filled / "data" / ORIGINAL).read_bytes() == slide_bytes()
    assert not list((filled / "data").glob(f"*/{other}"))
    with server(filled / "data") as running:
        assert running.ask("/DeepZoom/1004486.dzi").status == 200
    assert vsv(filled, "restore", filled / "backup", "--only", other).exit_code == 0
    restored = filled / "data/deleted" / other / "slide.svs"
    assert restored.read_bytes() == other_scan(slide_bytes())


def test_restore_only_brings_back_what_a_slide_in_use_lacks_and_changes_nothing_else(filled: Path) -> None:
    backed_up(filled)
    files, rows = contents(filled / "data"), records(filled)
    shutil.rmtree(filled / "data/slides/1004486")
    assert vsv(filled, "restore", filled / "backup", "--only", "1004486").exit_code == 0
    assert contents(filled / "data") == files
    original = filled / "data" / ORIGINAL
    rotten = slide_bytes()[:-1] + b"?"
    original.unlink()
    original.write_bytes(rotten)
    (filled / "data/slides/1004486/import.json").write_bytes(b"{}")
    assert vsv(filled, "restore", filled / "backup", "--only", "1004486").exit_code == 0
    assert contents(filled / "data") == files | {"slides/1004486/import.json": b"{}"}
    assert records(filled) == rows
    assert not (filled / "data/restored.json").exists()


def test_restore_only_follows_the_record_to_where_a_slide_is_now(filled: Path) -> None:
    backed_up(filled)
    with running_site(filled) as site:
        change(site.services, "1004486", {"status": Status.DELETED}, OPERATOR)
    files = contents(filled / "data")
    shutil.rmtree(filled / "data/deleted/1004486")
    assert vsv(filled, "restore", filled / "backup", "--only", "1004486").exit_code == 0
    assert contents(filled / "data") == files


def test_restore_only_leaves_an_archived_original_in_the_archive(filled: Path) -> None:
    backed_up(filled)
    assert vsv(filled, "archive", "1004486").exit_code == 0
    files = contents(filled / "data")
    (filled / "data/slides/1004486/import.json").unlink()
    assert vsv(filled, "restore", filled / "backup", "--only", "1004486").exit_code == 0
    assert contents(filled / "data") == files


def test_restore_only_refuses_purged_and_unknown_slides(filled: Path) -> None:
    backed_up(filled)
    with running_site(filled) as site:
        gone = second(site)
        site.services.files.purge(gone)
        site.services.slides.update(gone, {"original": "PURGED"}, by="test")
    files = contents(filled / "data")
    for image_id, words in ((gone, "was purged"), ("1234567", "has no slide"), ("../x", "")):
        result = vsv(filled, "restore", filled / "backup", "--only", image_id)
        assert (result.exit_code, words in result.output) == (1, True)
    assert contents(filled / "data") == files


def test_restore_only_with_a_damaged_content_leaves_the_slide_in_use_as_it_is(filled: Path) -> None:
    backed_up(filled)
    damage(filled, DIGEST)
    files = contents(filled / "data")
    (filled / "data" / ORIGINAL).unlink()
    result = vsv(filled, "restore", filled / "backup", "--only", "1004486")
    assert (result.exit_code, f"{ORIGINAL} is missing" in result.output) == (1, True)
    del files[ORIGINAL]
    assert contents(filled / "data") == files


def test_restore_only_killed_in_a_folder_in_use_completes_when_run_again(filled: Path) -> None:
    backed_up(filled)
    files = contents(filled / "data")
    shutil.rmtree(filled / "data/slides/1004486")
    assert [killed(filled, "restore", at, "--only", "1004486") for at in (1, 2)] == [True] * 2
    assert vsv(filled, "restore", filled / "backup", "--only", "1004486").exit_code == 0
    after = contents(filled / "data")
    assert {path: data for path, data in after.items() if not path.endswith(".part")} == files


PICTURES = ("label", "macro", "thumbnail")


@pytest.fixture
def labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a data folder with a slide that has all three pictures."""
    monkeypatch.setattr("vsv.ingest.extraction.read_codes", lambda *_: ())
    with running_site(tmp_path) as site:
        assert site.bring("a.svs", slide_bytes(label=True)) == 200
    return tmp_path


def pictures_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / f"data/slides/1004486/{name}.jpeg").read_bytes() for name in PICTURES}


@pytest.mark.parametrize("only", [(), ("--only", "1004486")])
def test_restore_makes_damaged_pictures_again_from_the_original(
    labelled: Path, only: tuple[str, ...]
) -> None:
    backed_up(labelled)
    pictures = pictures_of(labelled)
    for name in PICTURES:
        damage(labelled, digest_of(labelled, f"slides/1004486/{name}.jpeg"))
    shutil.rmtree(labelled / "data/slides/1004486" if only else labelled / "data")
    result = vsv(labelled, "restore", labelled / "backup", *only)
    assert result.exit_code == 0, result.output
    for name in PICTURES:
        assert f"slides/1004486/{name}.jpeg is made again from its original" in result.output
    assert pictures_of(labelled) == pictures
    assert backed_up(labelled)["troubles"] == {}
    assert vsv(labelled, "backup", labelled / "backup", "--verify").exit_code == 0


def test_restore_names_damaged_pictures_whose_original_is_damaged_as_well(labelled: Path) -> None:
    backed_up(labelled)
    for name in ("label.jpeg", "slide.svs"):
        damage(labelled, digest_of(labelled, f"slides/1004486/{name}"))
    shutil.rmtree(labelled / "data")
    result = vsv(labelled, "restore", labelled / "backup")
    assert (result.exit_code, "label.jpeg is missing" in result.output) == (1, True)
    assert "made again" not in result.output
    assert not (labelled / "data/slides/1004486/label.jpeg").exists()


def test_backup_makes_pictures_again_that_are_damaged_in_the_data_folder_as_well(labelled: Path) -> None:
    """As on one disk, where the backup's copy is the same file."""
    backed_up(labelled)
    pictures = pictures_of(labelled)
    for name in PICTURES:
        path = labelled / f"data/slides/1004486/{name}.jpeg"
        state = path.stat()
        path.write_bytes(pictures[name][:-1] + b"?")
        os.utime(path, ns=(state.st_mtime_ns, state.st_mtime_ns))
        damage(labelled, digest_of(labelled, f"slides/1004486/{name}.jpeg"))
    result = vsv(labelled, "backup", labelled / "backup")
    assert result.exit_code == 0, result.output
    for name in PICTURES:
        told = f"slides/1004486/{name}.jpeg: it was damaged here and in the backup, and is made again"
        assert told in result.output
    assert pictures_of(labelled) == pictures
    report = backed_up(labelled)
    assert (report["remade"], report["troubles"]) == ([], {})
    shutil.rmtree(labelled / "data")
    assert vsv(labelled, "restore", labelled / "backup").exit_code == 0
    assert pictures_of(labelled) == pictures


def test_backup_makes_no_picture_from_an_original_that_is_not_the_imported_one(labelled: Path) -> None:
    backed_up(labelled)
    folder = labelled / "data/slides/1004486"
    for name, content in (("label.jpeg", b"?"), ("slide.svs", other_scan(slide_bytes(label=True)))):
        state = (folder / name).stat()
        (folder / name).unlink()
        (folder / name).write_bytes(content.ljust(state.st_size, b"?"))
        os.utime(folder / name, ns=(state.st_mtime_ns, state.st_mtime_ns))
    damage(labelled, digest_of(labelled, "slides/1004486/label.jpeg"))
    result = vsv(labelled, "backup", labelled / "backup")
    assert result.exit_code == 1
    assert (
        "label.jpeg: it is not what was backed up any more, and the backup's copy was damaged"
        in result.output
    )
    assert "made again" not in result.output
