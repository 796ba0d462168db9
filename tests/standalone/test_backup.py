"""Backups: made while the installation is in use, brought back whole, and never half."""

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from vsv.errors import UnavailableError
from vsv.records.models import Status
from vsv.storage import atomic_write
from vsv.storage.slide_files import SlideFiles
from vsv.workflow.transitions import change

from tests.support.paths import ROOT
from tests.support.servers.running import Site, running_site, server, wait_until
from tests.support.slides.small import other_scan, put, slide_bytes
from vsv_local.backup import backup as backup_module
from vsv_local.backup.backup_folder import BackupStore
from vsv_local.cli.main import main
from vsv_local.cli.options import OPERATOR

ADDRESSES = (
    "/slides",
    "/DeepZoom/1004486.dzi",
    "/DeepZoom/1004486_files/10/0_0.jpeg",
    "/DeepZoom/1004486_files/5/0_0.jpeg",
)


def vsv(folder: Path, *arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments), "--data", str(folder / "data")])


def backed_up(folder: Path, *more: str) -> dict[str, Any]:
    result = vsv(folder, "backup", folder / "backup", "--json", *more)
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a data folder that a backup keeps, except the records and a restore's notes."""
    kept = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    names = ((path.relative_to(folder).as_posix(), path) for path in kept)
    return {
        name: path.read_bytes()
        for name, path in names
        if name.split("/")[0] not in {"locks", "runs", "restored.json"}
        and not name.startswith("records.sqlite")
    }


def records(folder: Path) -> list[Any]:
    with sqlite3.connect(folder / "data/records.sqlite") as database:
        tables = ("slides", "imports", "review", "feed")
        return [database.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables]


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Path]:
    """Yield the data folder of an installation with a shown and a deleted slide, both with history."""
    with running_site(tmp_path) as site:
        site.bring("a.svs")
        site.bring("b.svs", other_scan(slide_bytes()))
        site.services.slides.update("1004486", {"status": Status.GOOD, "note": "looks fine"}, by="ada")
        change(site.services, second(site), {"status": Status.DELETED}, OPERATOR)
    yield tmp_path


def damage(folder: Path, digest: str) -> None:
    """Change one byte of a stored content, as a disk does: size and time stay."""
    path = BackupStore(folder / "backup").content(digest)
    data, state = path.read_bytes(), path.stat()
    path.unlink()  # the data folder's file may be the same one
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(path, ns=(state.st_mtime_ns, state.st_mtime_ns))


def second(site: Site) -> str:
    return next(record.image_id for record in site.records() if record.image_id != "1004486")


def test_restore_brings_back_records_files_and_answers_of_a_lost_data_folder(filled: Path) -> None:
    with server(filled / "data") as running:
        before = [running.ask(address) for address in ADDRESSES]
        backed_up(filled)
    files, rows = contents(filled / "data"), records(filled)
    shutil.rmtree(filled / "data")
    assert vsv(filled, "restore", filled / "backup").exit_code == 0
    assert contents(filled / "data") == files
    assert records(filled) == rows
    with server(filled / "data") as running:
        for address, was in zip(ADDRESSES, before, strict=True):
            answer = running.ask(address)
            assert (answer.status, answer.body) == (was.status, was.body) and answer.status == 200
    with running_site(filled) as site:
        assert site.services.slides.history("1004486").items[0].by == "ada"
        deleted = next(r for r in site.records() if r.status is Status.DELETED)
        change(site.services, deleted.image_id, {"status": Status.NEW}, OPERATOR)
        assert site.services.files.slide(deleted.image_id).read_bytes() == other_scan(slide_bytes())


def test_first_backup_counts_each_file_only_once(filled: Path) -> None:
    assert vsv(filled, "archive", "1004486").exit_code == 0
    report = backed_up(filled)
    assert (report["copied"], report["troubles"]) == (report["files"], {})


def test_next_backup_copies_new_files_and_removes_purged_ones(filled: Path) -> None:
    first = backed_up(filled)
    second_one = backed_up(filled)
    assert (first["copied"], second_one["copied"]) == (first["files"], 1)  # the records, always
    before = set((filled / "backup/contents").glob("??/*"))
    with running_site(filled) as site:
        site.bring("c.svs", other_scan(slide_bytes(), b"28"))
        gone = next(r.image_id for r in site.records() if r.status is Status.DELETED)
        site.services.files.purge(gone)
        site.services.slides.update(gone, {"original": "PURGED"}, by="test")
    third = backed_up(filled)
    assert 0 < third["copied"] < third["files"]
    digest = hashlib.sha256(other_scan(slide_bytes())).hexdigest()
    assert BackupStore(filled / "backup").content(digest) in before
    assert not BackupStore(filled / "backup").content(digest).exists()
    assert vsv(filled, "backup", filled / "backup", "--verify").exit_code == 0


def test_backup_excludes_unfinished_imports_and_temporary_files(filled: Path) -> None:
    for name in ("incoming/x.svs", "taken/x.svs/1.svs", "runs/x.json", "slides/1004486/pyramid.tif.1.part"):
        (filled / "data" / name).parent.mkdir(exist_ok=True)
        (filled / "data" / name).write_bytes(b"x")
    for name in ("archive/1/slide.svs", "published/2.svs", "destinations.json"):
        (filled / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (filled / "data" / name).write_bytes(name.encode())
    backed_up(filled)
    paths = {entry.path for entry in BackupStore(filled / "backup").required().entries}
    assert {"archive/1/slide.svs", "published/2.svs", "destinations.json", "records.sqlite"} <= paths
    assert not any(
        path.split("/")[0] in {"incoming", "taken", "runs", "locks"} or "part" in path for path in paths
    )


def test_backup_copies_originals_in_place_only_with_originals_option(tmp_path: Path) -> None:
    with running_site(tmp_path, in_place=True) as site:
        site.bring()
    assert backed_up(tmp_path)["in_place"] == 1
    shutil.rmtree(tmp_path / "data")
    assert vsv(tmp_path, "restore", tmp_path / "backup").exit_code == 0
    assert (tmp_path / "data/slides/1004486/slide.svs").readlink() == tmp_path / "scanner/a.svs"
    assert backed_up(tmp_path, "--with-originals")["in_place"] == 0
    shutil.rmtree(tmp_path / "data")
    shutil.rmtree(tmp_path / "scanner")
    assert vsv(tmp_path, "restore", tmp_path / "backup").exit_code == 0
    assert (tmp_path / "data/slides/1004486/slide.svs").read_bytes() == slide_bytes()


@pytest.mark.parametrize("to", ["deleted", "slides"])
def test_slide_moved_during_backup_is_stored_where_its_record_says(
    filled: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    files = SlideFiles(filled / "data")
    moved = "1004486" if to == "deleted" else next((filled / "data/deleted").iterdir()).name
    add, done = backup_module._Backup._add, []

    def adding(self: Any, path: Path) -> None:
        add(self, path)
        if not done and path.parent.parent.name == "deleted":  # it is looked at before slides
            done.append((files.hide if to == "deleted" else files.unhide)(moved))

    monkeypatch.setattr(backup_module._Backup, "_add", adding)
    backed_up(filled)
    assert done
    paths = {entry.path for entry in BackupStore(filled / "backup").required().entries}
    own = "slides" if to == "deleted" else "deleted"
    assert f"{own}/{moved}/slide.svs" in paths and f"{own}/{moved}/import.json" in paths
    assert not any(path.startswith(f"{to}/{moved}/") for path in paths)


def test_backup_reports_a_missing_original_and_copies_all_other_files(filled: Path) -> None:
    (filled / "data/slides/1004486/slide.svs").unlink()
    result = vsv(filled, "backup", filled / "backup")
    assert result.exit_code == 1
    assert "slide 1004486: its original is not in the data folder" in result.output
    assert len(BackupStore(filled / "backup").required().entries) > 5


@pytest.mark.parametrize("lost", ["slides/1004486/slide.svs", "slides/1004486", "slides"])
def test_later_backups_keep_an_original_missing_from_the_data_folder(
    filled: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """The next night's backup must not let go of what may be the only copy by now."""
    monkeypatch.setattr(
        "vsv_local.backup.backup_folder._linked", lambda _source, _part: None
    )  # as on another disk
    backed_up(filled)
    path = filled / "data" / lost
    path.unlink() if path.is_file() else shutil.rmtree(path)
    for _night in range(2):
        result = vsv(filled, "backup", filled / "backup")
        assert result.exit_code == 1
        assert "not in the data folder; the backup keeps the one that it has" in result.output
    shutil.rmtree(filled / "data")
    assert vsv(filled, "restore", filled / "backup").exit_code == 0
    assert (filled / "data/slides/1004486/slide.svs").read_bytes() == slide_bytes()
    assert (filled / "data/slides/1004486/pyramid.tif").exists()


def test_later_backups_keep_an_archived_original_missing_from_the_data_folder(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "vsv_local.backup.backup_folder._linked", lambda _source, _part: None
    )  # as on another disk
    assert vsv(filled, "archive", "1004486").exit_code == 0
    backed_up(filled)
    shutil.rmtree(filled / "data/archive/1004486")
    for _night in range(2):
        result = vsv(filled, "backup", filled / "backup")
        assert result.exit_code == 1
        assert "archived original is not in the data folder any more; the backup keeps" in result.output
    shutil.rmtree(filled / "data")
    assert vsv(filled, "restore", filled / "backup").exit_code == 0
    assert vsv(filled, "unarchive", "1004486").exit_code == 0
    assert (filled / "data/slides/1004486/slide.svs").read_bytes() == slide_bytes()


def test_backup_contents_are_readable_only_by_their_owner(filled: Path) -> None:
    (filled / "backup").mkdir(mode=0o755)
    backed_up(filled)
    assert (filled / "backup/contents").stat().st_mode & 0o777 == 0o700


def test_corrupted_original_does_not_replace_the_intact_backup_copy(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "vsv_local.backup.backup_folder._linked", lambda _source, _part: None
    )  # as on another disk
    backed_up(filled)
    original = filled / "data/slides/1004486/slide.svs"
    original.chmod(0o644)
    original.write_bytes(slide_bytes()[:-1] + b"?")
    result = vsv(filled, "backup", filled / "backup")
    assert result.exit_code == 1
    assert "not what was imported" in result.output and "keeps the good one" in result.output
    shutil.rmtree(filled / "data")
    assert vsv(filled, "restore", filled / "backup").exit_code == 0
    assert original.read_bytes() == slide_bytes()


def test_verify_reports_damaged_content_and_restore_leaves_only_that_file_out(filled: Path) -> None:
    backed_up(filled)
    damage(filled, hashlib.sha256(slide_bytes()).hexdigest())
    result = vsv(filled, "backup", filled / "backup", "--verify")
    assert result.exit_code == 1
    assert "slides/1004486/slide.svs: its content is not what was backed up" in result.output
    expected = contents(filled / "data")
    del expected["slides/1004486/slide.svs"]
    shutil.rmtree(filled / "data")
    result = vsv(filled, "restore", filled / "backup")
    assert "the backup is damaged" in result.output
    assert "slides/1004486/slide.svs is missing" in result.output
    assert (result.exit_code, contents(filled / "data")) == (1, expected)
    assert vsv(filled, "list").exit_code == 0


@pytest.mark.parametrize(
    "change",
    [
        {"path": "../outside"}, {"path": "/etc/x"}, {"path": "slides/../../x"}, {"path": ""}, {"sha256": "../../x"},
        {"size": "1"}, {"link": "x"}, {"sha256": None}, {"more": 1},
    ],
    ids=str,
)  # fmt: skip
def test_restore_refuses_a_manipulated_manifest(filled: Path, change: dict[str, Any]) -> None:
    backed_up(filled)
    path = filled / "backup/manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["entries"][0] |= change
    path.write_text(json.dumps(manifest))
    shutil.rmtree(filled / "data")
    result = vsv(filled, "restore", filled / "backup")
    assert (result.exit_code, result.output) == (
        1, "Error: the backup's manifest is damaged: use another backup\n",
    )  # fmt: skip


def test_restore_refuses_a_folder_with_data_and_a_missing_backup(filled: Path) -> None:
    backed_up(filled)
    result = vsv(filled, "restore", filled / "backup")
    assert result.exit_code == 1
    assert "an empty folder only" in result.output
    assert (
        vsv(filled, "restore", filled / "nothing").output == "Error: this folder holds no finished backup\n"
    )


@pytest.mark.parametrize("place", ["data/backup", "data/slides/backup", "."])
def test_backup_refuses_a_place_inside_or_around_the_data_folder(filled: Path, place: str) -> None:
    result = vsv(filled, "backup", filled / place)
    assert (result.exit_code, "must lie outside" in result.output) == (1, True)


def test_full_disk_leaves_the_previous_backup_intact(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backed_up(filled)
    before = (filled / "backup/manifest.json").read_bytes()
    with running_site(filled) as site:
        site.bring("c.svs", other_scan(slide_bytes(), b"28"))

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("vsv_local.backup.backup_folder._linked", full)
        result = vsv(filled, "backup", filled / "backup")
    assert (result.exit_code, "disk full" in result.output) == (1, True)
    with monkeypatch.context() as patched:
        patched.setattr(atomic_write, "write", full)
        assert vsv(filled, "backup", filled / "backup").exit_code == 1
    assert (filled / "backup/manifest.json").read_bytes() == before
    assert vsv(filled, "backup", filled / "backup", "--verify").exit_code == 0
    assert backed_up(filled)["troubles"] == {}


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mount") is None, reason="needs a file system of its own"
)
def test_backup_and_restore_to_a_small_file_system_report_disk_full(filled: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small], capture_output=True, check=False
    ).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        result = vsv(filled, "backup", small / "backup")
        assert (result.exit_code, "disk full" in result.output) == (1, True)
        assert BackupStore(small / "backup").manifest() is None
        backed_up(filled)
        arguments = ["restore", str(filled / "backup"), "--data", str(small / "data")]
        result = CliRunner().invoke(main, arguments)
        assert (result.exit_code, "disk full" in result.output) == (1, True)
        assert not (small / "data/records.sqlite").exists()
        assert vsv(filled, "list").exit_code == 0
    finally:
        subprocess.run(["umount", small], check=True)


def test_unwritable_backup_folder_ends_with_an_error_message(filled: Path) -> None:
    (filled / "file").write_bytes(b"")
    result = vsv(filled, "backup", filled / "file/backup")
    assert (result.exit_code, result.output.startswith("Error: the backup could not be written")) == (1, True)


def test_backup_refuses_to_run_while_another_backup_runs(filled: Path) -> None:
    with BackupStore(filled / "backup").held():
        assert "another vsv is working" in vsv(filled, "backup", filled / "backup").output


def killed(folder: Path, command: str, at: int, *more: str, method: str = "replace") -> bool:
    """Run a command in a process that kills itself at the nth file that it writes; tell whether it got that far.

    With ``method`` "unlink", at the nth file that it removes.
    """
    program = (
        f"import os, signal, sys\nfrom pathlib import Path\nn, method = [int(sys.argv.pop(1))], Path.{method}\n"
        "def counted(self, *target, **options):\n    n[0] -= self.exists()\n"
        "    if n[0] == 0 and self.exists(): os.kill(os.getpid(), signal.SIGKILL)\n"
        f"    return method(self, *target, **options)\nPath.{method} = counted\n"
        "from vsv_local.cli.main import main\nmain()"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'functions'}{os.pathsep}{ROOT}"}
    arguments = [
        sys.executable,
        "-c",
        program,
        str(at),
        command,
        str(folder / "backup"),
        "--data",
        str(folder / "data"),
        *more,
    ]
    status = subprocess.run(arguments, env=environment, capture_output=True, check=False).returncode
    assert status in {0, -signal.SIGKILL}
    return status != 0


def test_killed_backup_and_killed_restore_complete_when_run_again(filled: Path) -> None:
    files, rows = contents(filled / "data"), records(filled)
    moments = (1, 3, 6)
    assert [killed(filled, "backup", at) for at in moments] == [True] * 3
    assert backed_up(filled)["troubles"] == {}
    assert list((filled / "backup/contents").glob("*.part")) == []
    shutil.rmtree(filled / "data")
    assert [killed(filled, "restore", at) for at in moments] == [True] * 3
    assert not (filled / "data/records.sqlite").exists()
    assert vsv(filled, "restore", filled / "backup").exit_code == 0
    assert contents(filled / "data") == files
    assert records(filled) == rows


def test_restore_interrupted_between_folder_moves_completes_when_run_again(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backed_up(filled)
    files = contents(filled / "data")
    shutil.rmtree(filled / "data")
    rename = Path.rename

    def dies(self: Path, target: Path) -> Path:
        if self.name == "slides":
            raise OSError(5, "as if killed")
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", dies)
        assert vsv(filled, "restore", filled / "backup").exit_code == 1
    assert (filled / "data/deleted").exists() and not (filled / "data/slides").exists()
    assert vsv(filled, "restore", filled / "backup").exit_code == 0
    assert contents(filled / "data") == files


def test_backup_during_imports_contains_the_files_of_every_record(tmp_path: Path) -> None:
    scanner = tmp_path / "scanner"
    for number in range(6):
        put(scanner, f"{number}.svs", slide_bytes(str(2000000 + number)))
    with server(tmp_path / "data", "--watch", str(scanner)) as running:
        wait_until(lambda: b"2000000" in running.ask("/slides").body, "the first came in")
        for _ in range(4):
            assert backed_up(tmp_path)["troubles"] == {}
    shutil.rmtree(tmp_path / "data")
    assert vsv(tmp_path, "restore", tmp_path / "backup").exit_code == 0
    with running_site(tmp_path) as site:
        assert site.records()
        for record in site.records():
            assert site.services.files.slide(record.image_id).read_bytes() == slide_bytes(record.image_id)
        site.import_runner.resume()  # what had begun goes on with the scanner's files
        site.finish()
        for number in range(6):
            assert site.settle(f"{number}.svs", (scanner / f"{number}.svs").stat().st_size) == 200


def test_backup_reports_unreadable_records(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/records.sqlite").write_bytes(b"no database at all" * 100)
    result = vsv(tmp_path, "backup", tmp_path / "backup")
    assert (result.exit_code, "records cannot be read" in result.output) == (1, True)
    with pytest.raises(UnavailableError):
        backup_module.back_up(
            tmp_path / "data", tmp_path / "backup", with_originals=False, progress=lambda _n: None
        )
