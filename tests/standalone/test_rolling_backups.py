"""Older backups beside the last one: which are kept, what is removed with the others, and restoring one."""

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.standalone.test_backup import backed_up, contents, damage, filled, killed, second, vsv
from tests.support.servers.running import running_site
from tests.support.slides.small import other_scan, slide_bytes
from vsv_local.backup import backup as backup_module
from vsv_local.backup.backup_folder import BackupStore
from vsv_local.backup.rolling import Kept, all_backups

__all__ = ["filled"]  # the fixture
OTHER = hashlib.sha256(other_scan(slide_bytes())).hexdigest()


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that sets the day of the next backup."""

    def set_day(day: str) -> None:
        monkeypatch.setattr(backup_module, "now_utc", lambda: f"{day}T22:00:00.000000Z")

    return set_day


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSV_BACKUPS_KEPT", "2d,1w,2m")


def days(folder: Path) -> list[str]:
    result = vsv(folder, "backup", folder / "backup", "--list", "--json")
    assert result.exit_code == 0, result.output
    return [row["madeAt"][:10] for row in json.loads(result.stdout)]


def purge_second(folder: Path) -> None:
    with running_site(folder) as site:
        gone = second(site)
        site.services.files.purge(gone)
        site.services.slides.update(gone, {"original": "PURGED"}, by="test")


def test_chosen_backups_are_the_last_of_each_day_week_and_month() -> None:
    first = date(2026, 1, 1)
    times = [f"{first + timedelta(days=n)}T{hour}:00:00.000000Z" for n in range(365) for hour in ("06", "22")]
    kept = Kept.parse("3d,2w,4m")
    assert kept is not None
    assert sorted(kept.chosen(times)) == [
        f"{day}T22:00:00.000000Z"
        for day in (
            "2026-09-30", "2026-10-31", "2026-11-30", "2026-12-27", "2026-12-29", "2026-12-30", "2026-12-31",
        )
    ]  # fmt: skip
    nothing = Kept.parse("0d")
    assert nothing is not None and nothing.chosen(times) == {"2026-12-31T22:00:00.000000Z"}


def test_backup_keeps_and_prunes_older_ones_by_the_setting(filled: Path, on: Callable[[str], None]) -> None:
    for day in ("2026-09-01", "2026-10-05", "2026-10-06", "2026-11-02", "2026-11-03", "2026-11-04"):
        on(day)
        backed_up(filled)
    assert days(filled) == ["2026-11-04", "2026-11-03", "2026-10-06"]
    needed = {sha256 for m in all_backups(BackupStore(filled / "backup")) for sha256 in m.sha256s}
    stored = {path.name.removesuffix(".spare") for path in (filled / "backup/contents").glob("??/*")}
    assert stored == needed


def test_older_backup_restores_what_was_purged_since(filled: Path, on: Callable[[str], None]) -> None:
    on("2026-11-02")
    backed_up(filled)
    files = contents(filled / "data")
    purge_second(filled)
    on("2026-11-03")
    assert backed_up(filled)["backups"] == 2
    shutil.rmtree(filled / "data")
    assert vsv(filled, "restore", filled / "backup", "--at", "2026-11-02").exit_code == 0
    assert contents(filled / "data") == files
    missing = vsv(filled, "restore", filled / "backup", "--at", "2025")
    assert (missing.exit_code, "no backup of 2025" in missing.output) == (1, True)


def test_contents_go_with_the_last_backup_that_needs_them(filled: Path, on: Callable[[str], None]) -> None:
    on("2026-11-02")
    backed_up(filled)
    purge_second(filled)
    content = BackupStore(filled / "backup").content(OTHER)
    for day in ("2026-11-03", "2026-11-04"):
        assert content.exists()
        on(day)
        backed_up(filled)
    assert days(filled) == ["2026-11-04", "2026-11-03"]
    assert not content.exists()


def test_backup_with_a_lost_original_prunes_no_older_one(filled: Path, on: Callable[[str], None]) -> None:
    for day in ("2026-11-02", "2026-11-03"):
        on(day)
        backed_up(filled)
    (filled / "data/slides/1004486/slide.svs").unlink()
    on("2026-11-04")
    assert vsv(filled, "backup", filled / "backup").exit_code == 1
    assert days(filled) == ["2026-11-04", "2026-11-03", "2026-11-02"]


def test_backup_without_the_setting_adds_and_removes_no_older_one(
    filled: Path, on: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in ("2026-11-02", "2026-11-03"):
        on(day)
        backed_up(filled)
    purge_second(filled)
    monkeypatch.delenv("VSV_BACKUPS_KEPT")
    for day in ("2026-11-04", "2026-11-05"):
        on(day)
        backed_up(filled)
        assert days(filled) == [day, "2026-11-02"]
    assert BackupStore(filled / "backup").content(OTHER).exists()


def test_damaged_content_of_an_older_backup_is_found_reported_and_pruned_with_it(
    filled: Path, on: Callable[[str], None]
) -> None:
    on("2026-11-02")
    backed_up(filled)
    purge_second(filled)
    on("2026-11-03")
    backed_up(filled)
    damage(filled, OTHER)
    verified = vsv(filled, "backup", filled / "backup", "--verify")
    assert (verified.exit_code, "(backup of 2026-11-02T22:00)" in verified.output) == (1, True)
    on("2026-11-03")
    reported = vsv(filled, "backup", filled / "backup")
    assert (reported.exit_code, "(backup of 2026-11-02T22:00)" in reported.output) == (1, True)
    for day in ("2026-11-04", "2026-11-05"):
        on(day)
        result = vsv(filled, "backup", filled / "backup")
    assert (result.exit_code, days(filled)) == (0, ["2026-11-05", "2026-11-04"])


def test_damaged_manifest_of_an_older_backup_is_reported_and_nothing_is_removed(
    filled: Path, on: Callable[[str], None]
) -> None:
    for day in ("2026-11-02", "2026-11-03"):
        on(day)
        backed_up(filled)
    (older,) = (filled / "backup/manifests").iterdir()
    older.write_bytes(older.read_bytes()[:-1])
    purge_second(filled)
    on("2026-11-04")
    result = vsv(filled, "backup", filled / "backup")
    assert (result.exit_code, f"manifests/{older.name}" in result.output) == (1, True)
    assert BackupStore(filled / "backup").content(OTHER).exists()
    older.unlink()
    on("2026-11-05")
    assert vsv(filled, "backup", filled / "backup").exit_code == 0


@pytest.mark.parametrize("damaged", [b"", b"{", b'{"version": 1}'])
def test_backup_over_a_damaged_last_manifest_writes_everything_again_and_removes_nothing(
    filled: Path, on: Callable[[str], None], damaged: bytes
) -> None:
    on("2026-11-02")
    backed_up(filled)
    files = contents(filled / "data")
    (filled / "backup/manifest.json").write_bytes(damaged)
    purge_second(filled)
    on("2026-11-03")
    result = vsv(filled, "backup", filled / "backup")
    assert (result.exit_code, "no content is removed" in result.output) == (1, True)
    assert BackupStore(filled / "backup").content(OTHER).exists()
    files = contents(filled / "data")
    shutil.rmtree(filled / "data")
    assert vsv(filled, "restore", filled / "backup").exit_code == 0
    assert contents(filled / "data") == files
    for path in (filled / "backup/manifests").glob("damaged-*"):
        path.unlink()
    (filled / "data/restored.json").unlink()
    assert vsv(filled, "backup", filled / "backup").exit_code == 0
    assert not BackupStore(filled / "backup").content(OTHER).exists()


def test_older_backup_is_restored_where_the_last_manifest_is_damaged(
    filled: Path, on: Callable[[str], None]
) -> None:
    for day in ("2026-11-02", "2026-11-03"):
        on(day)
        backed_up(filled)
    files = contents(filled / "data")
    (filled / "backup/manifest.json").write_bytes(b"{")
    shutil.rmtree(filled / "data")
    assert vsv(filled, "restore", filled / "backup").exit_code == 1
    assert days(filled) == ["2026-11-02"]
    assert vsv(filled, "restore", filled / "backup", "--at", "2026-11-02").exit_code == 0
    assert contents(filled / "data") == files


def test_backup_of_a_newer_version_is_left_as_it_is(filled: Path) -> None:
    backed_up(filled)
    path = filled / "backup/manifest.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"version": 2}))
    before = path.read_bytes()
    result = vsv(filled, "backup", filled / "backup")
    assert (result.exit_code, "newer version" in result.output, path.read_bytes()) == (1, True, before)


def whole(folder: Path) -> None:
    """Check that every content of every backup is there and intact."""
    for manifest in all_backups(BackupStore(folder / "backup")):
        for sha256 in manifest.sha256s:
            content = BackupStore(folder / "backup").content(sha256).read_bytes()
            assert hashlib.sha256(content).hexdigest() == sha256


@pytest.mark.parametrize("method", ["replace", "unlink"])
def test_backup_killed_at_any_step_leaves_every_listed_backup_whole(
    filled: Path, on: Callable[[str], None], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in ("2026-05-02", "2026-06-02", "2026-06-03", "2026-06-04"):
        on(day)
        backed_up(filled)
    purge_second(filled)
    monkeypatch.setenv("VSV_BACKUPS_KEPT", "1d")
    at = 1
    while killed(filled, "backup", at, method=method):
        whole(filled)
        at += 1
    assert at > 3
    whole(filled)
    assert days(filled)[0] == datetime.now(UTC).date().isoformat() and len(days(filled)) == 1
    assert not BackupStore(filled / "backup").content(OTHER).exists()


@pytest.mark.parametrize("value", ["7", "7d,7d", "d", "-1d", "7d 4w", "7x", "1d,1w,1m,1d"])
def test_wrong_setting_is_refused_before_anything_is_written(
    filled: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("VSV_BACKUPS_KEPT", value)
    result = vsv(filled, "backup", filled / "backup")
    assert (result.exit_code, "VSV_BACKUPS_KEPT must be counts" in result.output) == (1, True)
    assert not (filled / "backup").exists()


def test_list_shows_time_files_and_bytes_of_each_backup(filled: Path, on: Callable[[str], None]) -> None:
    on("2026-11-02")
    report: dict[str, Any] = backed_up(filled)
    lines = vsv(filled, "backup", filled / "backup", "--list").output.splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"2026-11-02T22:00:00.000000Z  {report['files']} files, ")
    assert vsv(filled, "backup", filled / "nothing", "--list").exit_code == 1
    assert not (filled / "nothing").exists()
