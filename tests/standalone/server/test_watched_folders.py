"""Watched folders: those inside them where asked for, no loops, no system folders; what is passed over is named."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from vsv.errors import BadRequestError, UnavailableError
from vsv.ingest import not_imported
from vsv.ingest.not_imported import NotImported, Tally

from tests.support.servers.running import running_site, server, wait_until
from tests.support.slides.small import other_scan, put, slide_bytes
from vsv_local.ingest import watched_folders
from vsv_local.ingest.watched_folders import WatchedFolders
from vsv_local.ingest.watcher import HELD_SECONDS, RESUME_EVERY, Watcher
from vsv_local.server.main import post

SIZE = len(slide_bytes())


def names(folders: WatchedFolders, root: Path) -> list[str]:
    return [str(folder.relative_to(root)) for folder in folders]


def unwatched(folders: WatchedFolders) -> list[str]:
    list(folders)
    tally = Tally()
    folders.add_unwatched(tally)
    return [one.sentence for one in tally.found()]


class Noted(Watcher):
    """A watcher that notes what it posts and reports, and polls when it is told to."""

    def __init__(self, folders: Sequence[Path], *, final: bool = True) -> None:
        self.posted: list[tuple[str, int]] = []
        self.told: list[tuple[NotImported, ...]] = []
        self.final = final
        super().__init__(folders, self.note, lambda: None, lambda found: self.told.append(tuple(found)))

    def note(self, filename: str, size: int) -> bool:
        self.posted.append((filename, size))
        return self.final


def test_folders_inside_are_watched_only_where_asked_for(tmp_path: Path) -> None:
    for name in ("2026/June", "2026/July/day 1", "2025"):
        (tmp_path / "scans" / name).mkdir(parents=True)
    root = tmp_path / "scans"
    assert names(WatchedFolders([root]), root) == ["."]
    found = names(WatchedFolders([root], recursive=True), root)
    assert found == [".", "2025", "2026", "2026/July", "2026/June", "2026/July/day 1"]


def test_links_loops_hidden_temporary_and_system_folders_are_not_walked(tmp_path: Path) -> None:
    root = tmp_path / "scans"
    inside = root / "inside"
    inside.mkdir(parents=True)
    (inside / "loop").symlink_to(root)
    (inside / "self").symlink_to(".")
    (root / "elsewhere").symlink_to(tmp_path)
    for name in (
        ".hidden",
        "~lock",
        "$RECYCLE.BIN",
        "@eaDir",
        "#recycle",
        "x.tmp",
        "x.part",
        "System Volume Information",
    ):
        put(root / name, "a.svs")
    put(root, "set.mrxs", b"1")
    put(root / "set", "Data0001.dat", b"1")
    assert names(WatchedFolders([root], recursive=True), root) == [".", "inside"]
    assert unwatched(WatchedFolders([root])) == []


def test_folder_that_is_named_twice_is_walked_once(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    found = list(WatchedFolders([tmp_path / "a", tmp_path / "a/b"], recursive=True))
    assert sorted(found) == [tmp_path / "a", tmp_path / "a/b", tmp_path / "a/b/c"]


def test_depth_and_number_of_folders_are_bounded_and_what_is_beyond_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "deep"
    (root / "/".join("abcdefghijklmnopqrstuvwxyz")).mkdir(parents=True)
    deep = WatchedFolders([root], recursive=True)
    assert len(deep) == watched_folders.MAX_DEPTH + 1
    assert unwatched(deep) == [
        "1 folder is not watched, as it lies too deep or there are too many: watch it itself: q"
    ]
    monkeypatch.setattr(watched_folders, "MAX_FOLDERS", 10)
    many = tmp_path / "many"
    for number in range(15):
        (many / f"{number:02}").mkdir(parents=True)
    wide = WatchedFolders([many], recursive=True)
    assert len(wide) == 10
    assert unwatched(wide)[0].startswith("6 folders are not watched")


def test_folders_of_the_installation_itself_are_left_out(tmp_path: Path) -> None:
    folders = WatchedFolders([tmp_path], recursive=True)
    (tmp_path / "own").mkdir()
    with running_site(tmp_path / "own") as site:
        assert site.bring() == 200
        folders.leave_out(site.services.files.root)
        assert not any("slides" in folder.parts for folder in folders)


def test_new_folder_is_found_by_the_next_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched_folders, "_REFRESH_S", 0.0)
    monkeypatch.setattr(watched_folders, "_REFRESH_RATIO", 0)
    folders = WatchedFolders([tmp_path], recursive=True)
    assert len(folders) == 1
    (tmp_path / "later").mkdir()
    assert len(folders) == 2


def test_folder_with_slides_that_is_not_watched_is_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path / "June/1", "a.svs")
    put(tmp_path / "notes", "a.txt", b"1")
    watched = Noted(WatchedFolders([tmp_path]))
    for _ in range(2 * RESUME_EVERY):
        watched.poll()
    sentence = "1 folder holds slides and is not watched: watch it, too, or start with --recursive: June"
    assert [record.getMessage() for record in caplog.records] == [sentence]
    assert [[one.sentence for one in found] for found in watched.told] == [[sentence]]
    assert watched.posted == []


def test_files_of_one_name_in_several_folders_are_posted_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "a", "1.svs", b"1")
    put(tmp_path / "b", "1.svs", b"22")
    put(tmp_path / "b", "2.svs", b"333")
    watched = Noted(WatchedFolders([tmp_path], recursive=True), final=False)
    watched.poll()
    watched.poll()
    assert watched.posted == [("1.svs", 1), ("2.svs", 3)] * 2
    watched.final = True
    watched.poll()
    watched.poll()
    assert watched.posted[4:] == [("1.svs", 1), ("1.svs", 2), ("2.svs", 3)]


def test_file_that_is_never_imported_does_not_keep_others_of_its_name_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "a", "1.svs", b"1")
    put(tmp_path / "b", "1.svs", b"22")
    watched = Noted(WatchedFolders([tmp_path], recursive=True), final=False)
    watched.poll()
    now = time.monotonic()
    monkeypatch.setattr("vsv_local.ingest.watcher.time.monotonic", lambda: now + HELD_SECONDS + 1)
    watched.poll()
    assert ("1.svs", 2) in watched.posted


def test_server_imports_files_of_one_name_from_all_folders_inside(tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    days = [b"%d" % day for day in (10, 11, 12)]
    for day in days:
        put(scans / day.decode(), "1.svs", other_scan(slide_bytes(), day))
    put(scans / "13", "1.svs", other_scan(slide_bytes(), b"13") + b"\0")
    with server(tmp_path / "data", "--watch", str(scans), "--recursive", "--workers", "2") as running:

        def imported() -> bool:
            found = json.loads(running.ask("/slides").body)["items"]
            return {item["ScanDate"][8:10] for item in found} == {"10", "11", "12", "13"}

        wait_until(imported, "all four were imported", 0.2)
        found = json.loads(running.ask("/slides").body)["items"]
        assert len({item["ImageID"] for item in found}) == len(found) == 4
    assert all((scans / day.decode() / "1.svs").exists() for day in days)


def test_server_names_what_it_does_not_import(tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    put(scans, "a.lif", b"1")
    put(scans / "June", "a.svs")
    with server(tmp_path / "data", "--watch", str(scans)):
        found = wait_until(lambda: not_imported.read(tmp_path / "data"), "it was named")
    assert [one.sentence for one in found] == [
        "1 file is not a slide that can be read: a.lif (Leica LIF)",
        "1 folder holds slides and is not watched: watch it, too, or start with --recursive: June",
    ]


def test_report_follows_what_lies_in_the_folder(tmp_path: Path) -> None:
    watched = Noted([tmp_path])
    watched.poll()
    path = put(tmp_path, "a.nd2", b"1")
    watched.poll()
    watched.poll()
    path.unlink()
    watched.poll()
    assert [[one.count for one in found] for found in watched.told] == [[], [1], []]


def test_report_that_cannot_be_written_is_logged_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "a.nd2", b"1")
    answers: list[object] = [OSError(30, "Read-only file system")] * 2

    def refuse(_found: object) -> None:
        answers and _raise(answers.pop())

    watcher = Watcher([tmp_path], lambda *_: True, lambda: None, refuse)
    for _ in range(4):
        watcher.poll()
    assert answers == []
    assert sum("cannot be noted" in record.getMessage() for record in caplog.records) == 1


def _raise(error: object) -> None:
    raise error  # type: ignore[misc]


def test_file_that_cannot_be_posted_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_services: object, filename: str, _size: int) -> None:
        raise {
            "odd.svs": ZeroDivisionError(),
            "bad.svs": BadRequestError("no"),
            "off.svs": UnavailableError(""),
        }[filename]

    monkeypatch.setattr("vsv_local.server.main.current", lambda: None)
    monkeypatch.setattr("vsv_local.server.main.receive", fail)
    assert [post(name, 1) for name in ("odd.svs", "bad.svs", "off.svs")] == [False, True, False]


def test_relative_folder_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(WatchedFolders([Path()], recursive=True)) == 2
    assert len(WatchedFolders([Path("inside")], recursive=True)) == 1
