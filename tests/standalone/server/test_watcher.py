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


def test_a_slide_from_long_ago_is_posted_at_once_and_once(tmp_path: Path, clock: Clock) -> None:
    put(tmp_path, "a.svs", b"12345")
    watched = Watched(tmp_path)
    for _ in range(3):
        watched.poll()
        clock.advance(2)
    assert watched.posted == [("a.svs", 5)]


def test_a_file_that_grows_is_not_posted_until_it_rests(tmp_path: Path, clock: Clock) -> None:
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
def test_nor_where_the_file_servers_clock_is_off(tmp_path: Path, clock: Clock, hours_off: float) -> None:
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


def test_a_jump_of_this_machines_clock_alone_finishes_nothing(tmp_path: Path, clock: Clock) -> None:
    watched = Watched(tmp_path)
    put(tmp_path, "a.svs", b"1", modified=now_ns(clock))
    watched.poll()
    clock.wall += 3600
    watched.poll()
    assert watched.posted == []


def test_an_answer_that_is_not_final_is_asked_for_again(tmp_path: Path, clock: Clock) -> None:
    put(tmp_path, "a.svs", b"1")
    watched = Watched(tmp_path, final=False)
    watched.poll()
    watched.poll()
    assert len(watched.posted) == 2


def test_a_file_that_changed_is_posted_anew(tmp_path: Path, clock: Clock) -> None:
    put(tmp_path, "a.svs", b"1")
    watched = Watched(tmp_path)
    watched.poll()
    put(tmp_path, "a.svs", b"2", modified=OLD + 1)
    watched.poll()
    assert watched.posted == [("a.svs", 1)] * 2


def test_other_files_folders_links_to_nowhere_and_temporary_names_are_passed_over(
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


def test_a_name_that_cannot_be_taken_is_mentioned_once(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "what?.svs", b"1")
    watched = Watched(tmp_path)
    watched.poll()
    watched.poll()
    assert len(caplog.records) == 1


def test_a_folder_that_is_gone_does_not_hold_up_the_others(
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


def test_the_thread_goes_on_after_an_error_and_stops_when_told(
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


def test_a_served_folder_takes_what_appears_later(tmp_path: Path) -> None:
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
def test_the_data_folder_itself_is_not_watched(tmp_path: Path, own: str) -> None:
    folder = tmp_path / "data" / own
    folder.mkdir(parents=True)
    with pytest.raises(SettingsError, match="part of the data folder"):
        serve(tmp_path / "data", [folder], Address("127.0.0.1", 0), in_place=False, say=print)
