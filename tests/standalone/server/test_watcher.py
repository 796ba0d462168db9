"""The folder watcher: only finished slides are posted, whatever the clocks say."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from vsv.errors import SettingsError

from tests.support.servers.running import server, wait_until
from tests.support.slides.small import OLD, put, slide_bytes
from vsv_local.ingest import watcher
from vsv_local.ingest.watcher import OLD_SECONDS, QUIET_SECONDS, Watcher
from vsv_local.server.main import Address, serve


class Clock:
    """Both clocks of the watcher, set by the test."""

    def __init__(self) -> None:
        self.now, self.wall = 100.0, OLD / 1e9 + 10 * OLD_SECONDS

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.wall

    def advance(self, seconds: float) -> None:
        self.now, self.wall = self.now + seconds, self.wall + seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(watcher, "time", clock)
    yield clock


class Watched(Watcher):
    """A watcher that notes what it posts and polls when it is told to."""

    def __init__(self, *folders: Path, final: bool = True) -> None:
        self.posted: list[tuple[str, int]] = []
        self.final = final
        super().__init__(folders, self._note, lambda: None)

    def _note(self, filename: str, size: int) -> bool:
        self.posted.append((filename, size))
        return self.final


def now_ns(clock: Clock) -> int:
    return int(clock.wall * 1e9)


def test_watcher_posts_an_old_slide_immediately_and_only_once(tmp_path: Path, clock: Clock) -> None:
    put(tmp_path, "a.svs", b"12345")
    watched = Watched(tmp_path)
    for _ in range(3):
        watched.poll()
        clock.advance(2)
    assert watched.posted == [("a.svs", 5)]


def test_watcher_posts_a_growing_file_only_after_its_quiet_period(tmp_path: Path, clock: Clock) -> None:
    watched = Watched(tmp_path)
    for size in range(1, 8):
        put(tmp_path, "a.svs", bytes(size), modified=now_ns(clock))
        watched.poll()
        clock.advance(QUIET_SECONDS - 0.5)
    assert watched.posted == []
    watched.poll()
    clock.advance(QUIET_SECONDS)
    watched.poll()
    assert watched.posted == [("a.svs", 7)]


@pytest.mark.parametrize("hours_off", [-5, -1, 1, 20, 24 * 365])
def test_watcher_waits_for_quiet_period_when_the_file_servers_clock_is_wrong(
    tmp_path: Path, clock: Clock, hours_off: float
) -> None:
    watched = Watched(tmp_path)
    for size in range(1, 5):
        put(tmp_path, "a.svs", bytes(size), modified=now_ns(clock) + int(hours_off * 3600e9))
        watched.poll()
        clock.advance(QUIET_SECONDS - 0.5)
    assert watched.posted == []
    watched.poll()
    clock.advance(QUIET_SECONDS)
    watched.poll()
    assert watched.posted == [("a.svs", 4)]


def test_watcher_does_not_post_a_new_file_when_the_wall_clock_jumps(tmp_path: Path, clock: Clock) -> None:
    watched = Watched(tmp_path)
    put(tmp_path, "a.svs", b"1", modified=now_ns(clock))
    watched.poll()
    clock.wall += 3600
    watched.poll()
    assert watched.posted == []


def test_watcher_posts_again_after_an_answer_that_is_not_final(tmp_path: Path, clock: Clock) -> None:
    put(tmp_path, "a.svs", b"1")
    watched = Watched(tmp_path, final=False)
    watched.poll()
    watched.poll()
    assert len(watched.posted) == 2


def test_watcher_posts_a_changed_file_again(tmp_path: Path, clock: Clock) -> None:
    put(tmp_path, "a.svs", b"1")
    watched = Watched(tmp_path)
    watched.poll()
    put(tmp_path, "a.svs", b"2", modified=OLD + 1)
    watched.poll()
    assert watched.posted == [("a.svs", 1)] * 2


def test_watcher_ignores_other_files_folders_broken_links_pipes_and_temporary_names(
    tmp_path: Path, clock: Clock
) -> None:
    for name in (
        "notes.txt",
        "a.svs.part",
        ".a.svs",
        "~a.svs",
        "a.svs.tmp",
        "Thumbs.db",
        "a b?.svs",
        "-a.svs",
    ):
        put(tmp_path, name, b"1")
    (tmp_path / "folder.svs").mkdir()
    (tmp_path / "nowhere.svs").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe.svs")
    watched = Watched(tmp_path)
    watched.poll()
    assert watched.posted == []


def test_watcher_logs_an_unusable_file_name_only_once(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "what?.svs", b"1")
    watched = Watched(tmp_path)
    watched.poll()
    watched.poll()
    assert len(caplog.records) == 1


def test_watcher_continues_with_other_folders_while_a_folder_is_missing(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path / "here", "a.svs", b"1")
    gone = tmp_path / "gone"
    watched = Watched(gone, tmp_path / "here")
    watched.poll()
    watched.poll()
    assert watched.posted == [("a.svs", 1)]
    assert len(caplog.records) == 1
    put(gone, "b.svs", b"1")
    watched.poll()
    assert watched.posted[1:] == [("b.svs", 1)]


def test_watcher_thread_continues_after_an_error_until_stop_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "POLL_SECONDS", 0.001)
    polls: list[int] = []

    class Failing(Watched):
        def poll(self) -> None:
            polls.append(1)
            raise ValueError("an odd folder")

    failing = Failing(tmp_path)
    failing.start()
    wait_until(lambda: len(polls) > 3, "it went on")
    failing.stop()
    assert not failing.is_alive()


def test_server_imports_a_slide_that_appears_later_in_a_watched_folder(tmp_path: Path) -> None:
    scanner = tmp_path / "scanner"
    scanner.mkdir()
    with server(tmp_path / "data", "--watch", str(scanner)) as running:
        assert b'"items": []' in running.ask("/slides").body
        put(scanner, "notes.txt", b"1")
        put(scanner, "later.svs")
        wait_until(lambda: b"later.svs" in running.ask("/slides").body, "the slide was imported")
        assert running.ask("/DeepZoom/1004486_files/10/0_0.jpeg").status == 200
    assert (scanner / "later.svs").read_bytes() == slide_bytes()


@pytest.mark.parametrize("own", ["incoming", "taken", "slides", "deleted"])
def test_serve_refuses_to_watch_a_part_of_the_data_folder(tmp_path: Path, own: str) -> None:
    folder = tmp_path / "data" / own
    folder.mkdir(parents=True)
    with pytest.raises(SettingsError, match="part of the data folder"):
        serve(tmp_path / "data", [folder], Address("127.0.0.1", 0), in_place=False, say=print)
