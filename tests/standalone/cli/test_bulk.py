"""Many slides in one run: found, worked through whatever happens to some, and looked at from outside."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from click.testing import CliRunner, Result
from vsv.errors import UnavailableError
from vsv.storage import atomic_write

from tests.support.paths import ROOT
from tests.support.servers.running import DEADLINE_S, check_whole, running_site, server, wait_until
from tests.support.slides.small import half_written, other_scan, put, slide_bytes
from vsv_local.bulk import file_discovery, run_records
from vsv_local.bulk.file_discovery import slide_files
from vsv_local.bulk.parallel_work import Outcome, StoppedError, Task, duration, shown, work_through
from vsv_local.bulk.parallel_work import Result as Ended
from vsv_local.bulk.run_records import End, Kind, Run, is_alive, stored_runs
from vsv_local.cli.main import main
from vsv_local.ingest.import_runner import import_lock
from vsv_local.stores.sqlite_database import DATABASE_NAME


def vsv(folder: Path, *arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments), "--data", str(folder / "data")])


def status(folder: Path) -> Any:
    return json.loads(vsv(folder, "status", "--json").stdout)


def fill(folder: Path, count: int, side: int = 600) -> Path:
    for number in range(count):
        put(folder / "in" / str(number % 3), f"{number}.svs", slide_bytes(str(3000000 + number), side=side))
    return folder / "in"


def start(folder: Path, *arguments: str | Path) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'functions'}{os.pathsep}{ROOT}"}
    program = [sys.executable, "-c", "from vsv_local.cli.main import main; main()"]
    return subprocess.Popen(
        [*program, *map(str, arguments), "--data", str(folder / "data")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def waiting_error(data: Path) -> str | None:
    """Return what the import of a.svs waits for, by its record in the database."""
    if not (data / DATABASE_NAME).exists():
        return None
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(data / DATABASE_NAME)) as database:
        for (item,) in database.execute("SELECT item FROM imports"):
            return json.loads(item).get("Error")  # type: ignore[no-any-return]
    return None


def names(paths: Sequence[Path], data: Path) -> list[tuple[str, bool]]:
    return [(found.path.name, found.trouble is None) for found in slide_files(paths, data)]


class TestFileDiscovery:
    def test_slide_files_walks_folders_and_ignores_other_files(self, tmp_path: Path) -> None:
        for name in ("b/z.svs", "b/c/y.ndpi", "a.SVS", "x.txt", ".hidden.svs", ".hidden/q.svs", "CON.svs"):
            put(tmp_path / "in" / Path(name).parent, Path(name).name, b"x")
        os.mkfifo(tmp_path / "in/pipe.svs")
        (tmp_path / "in/gone.svs").symlink_to(tmp_path / "nowhere")
        (tmp_path / "in/link.svs").symlink_to(tmp_path / "in/a.SVS")
        assert names([tmp_path / "in"], tmp_path / "data") == [
            ("CON.svs", False), ("a.SVS", True), ("y.ndpi", True), ("z.svs", True), ("gone.svs", False),
            ("link.svs", True),
        ]  # fmt: skip

    def test_slide_files_follows_link_loops_once_and_excludes_the_data_folder(self, tmp_path: Path) -> None:
        put(tmp_path / "data/slides/1", "slide.svs", b"x")
        put(tmp_path, "a.svs", b"x")
        (tmp_path / "loop").symlink_to(tmp_path)
        assert names([tmp_path], tmp_path / "data") == [("a.svs", True)]
        assert names([tmp_path / "loop"], tmp_path / "loop/data") == [("a.svs", True)]
        assert names([tmp_path / "data"], tmp_path / "data") == []

    def test_slide_files_reports_a_folder_that_is_too_deep(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(file_discovery, "MAX_DEPTH", 2)
        put(tmp_path / "in/1/2", "deep.svs", b"x")
        assert names([tmp_path / "in"], tmp_path / "data") == [("2", False)]

    def test_unusable_file_names_are_reported_without_control_characters(self, tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "\x1b[31mred.svs").write_bytes(b"x")
        (tmp_path / "in" / os.fsdecode(b"\xff.svs")).write_bytes(b"x")
        result = vsv(tmp_path, "import", tmp_path / "in")
        assert (result.exit_code, result.output.count("rename it")) == (1, 2)
        assert "\x1b" not in result.output
        assert vsv(tmp_path, "status", "--failed").output.count("rename it") == 2
        assert shown("a\x07\udcff") == "a��"


class TestParallelWork:
    def test_outcomes_keep_task_order_and_failures_do_not_stop_other_tasks(self) -> None:
        def work(number: int) -> Outcome:
            time.sleep(0.02 * (5 - number))
            if number == 1:
                raise UnavailableError("the disk is full")
            if number == 2:
                raise ZeroDivisionError
            return Outcome(str(number), Ended.OK)

        tasks = [Task(str(n), 1, lambda n=n: work(n)) for n in range(5)]
        outcomes = list(work_through(tasks, Silent(), 3, Event()))
        assert [outcome.name for outcome in outcomes] == list("01234")
        reasons = [outcome.reason for outcome in outcomes if outcome.result is Ended.FAILED]
        assert reasons == ["the disk is full", "an unexpected error stopped it: see the log"]

    def test_stop_event_prevents_remaining_tasks(self) -> None:
        stopping = Event()

        def work() -> Outcome:
            stopping.set()
            raise StoppedError

        done: list[int] = []
        tasks = [Task("0", 1, work), *(Task(str(n), 1, lambda n=n: done.append(n)) for n in range(1, 50))]
        assert list(work_through(tasks, Silent(), 1, stopping)) == []
        assert done == []

    def test_tasks_are_created_only_shortly_before_use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("vsv_local.bulk.parallel_work.AHEAD", 10)
        made = 0

        def tasks() -> Iterator[Task]:
            nonlocal made
            for made in range(1, 1000):  # noqa: B007  looked at below
                yield Task("x", 1, lambda: Outcome("x", Ended.OK))

        for told, _ in enumerate(work_through(tasks(), Silent(), 2, Event()), 1):
            assert made - told <= 11

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(5, "5 s"), (89, "89 s"), (600, "10 min"), (9000, "2 h 30 min"), (360000, "4.2 days")],
    )
    def test_duration_returns_readable_units(self, seconds: float, text: str) -> None:
        assert duration(seconds) == text


class Silent:
    def begin(self, name: str, amount: int) -> None: ...

    def end(self, amount: int, outcome: Outcome) -> None: ...

    def drop(self, name: str) -> None: ...


class TestRunRecords:
    def test_remaining_time_is_estimated_from_amount_of_work_without_skipped_files(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = [1000.0]
        monkeypatch.setattr("vsv_local.bulk.run_records.time.monotonic", lambda: clock[0])
        with Run(tmp_path, Kind.IMPORT, files=12, amount=1600, threads=1) as run:
            for number in range(10):
                run.begin(f"s{number}", 100)
                run.end(100, Outcome(f"s{number}", Ended.SKIPPED))
            assert run.state.seconds_left is None
            run.begin("a", 100)
            clock[0] += 10
            run.end(100, Outcome("a", Ended.OK))
            run.begin("b", 500)
            clock[0] += 1
            run.at("b", 0, 1)
            assert run.state.seconds_left == 50  # 500 bytes, at 10 a second
            clock[0] += 49
            run.at("b", 1, 2)
            assert run.state.seconds_left == 42.9  # 250 left, at 350 in a minute
            run.end(500, Outcome("b", Ended.FAILED, reason="no"))
        (state,) = stored_runs(tmp_path)
        assert (state.ok, state.skipped, state.failed, state.left, state.now) == (1, 10, 1, 0, ())

    def test_stored_runs_keeps_the_newest_runs_and_ignores_invalid_files(self, tmp_path: Path) -> None:
        (tmp_path / "runs").mkdir()
        for text in ("", "[]", "{}", '{"end": null, "kind": "import", "now": []}', "\xff"):
            (tmp_path / "runs" / f"99999999-{len(text)}.json").write_text(text)
        for _ in range(run_records.KEPT + 5):
            with Run(tmp_path, Kind.RENDER, files=0, amount=0, threads=1) as run:
                run.close(End.DONE)
        assert len(list(stored_runs(tmp_path))) == run_records.KEPT
        assert len(list((tmp_path / "runs").glob("2*.lock"))) == run_records.KEPT

    def test_run_is_alive_only_until_its_record_is_closed(self, tmp_path: Path) -> None:
        with Run(tmp_path, Kind.RENDER, files=3, amount=0, threads=1) as run:
            (state,) = stored_runs(tmp_path)
            assert (state.run, is_alive(tmp_path, state), is_alive(tmp_path, state)) == (
                run.state.run,
                True,
                True,
            )
        assert not is_alive(tmp_path, state)

    def test_unwritable_run_record_is_logged_once_and_work_continues(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def full(*_arguments: object) -> None:
            raise OSError(28, "No space left on device")

        with (
            Run(tmp_path, Kind.RENDER, files=1, amount=0, threads=1) as run,
            monkeypatch.context() as patched,
        ):
            patched.setattr(atomic_write, "write", full)
            run.end(0, Outcome("x", Ended.OK))
            run.close(End.DONE)
            run.__exit__()
            assert run.state.ok == 1
        assert caplog.text.count("cannot be noted") == 1

    def test_status_shows_running_work_and_watch_ends_with_the_run(self, tmp_path: Path) -> None:
        with Run(tmp_path / "data", Kind.RENDER, files=2, amount=9, threads=1) as run:
            run.begin("1004486", 9)
            run._write(immediately=True)
            text = vsv(tmp_path, "status").output
            assert "running since" in text
            assert "now: 1004486" in text
            run.close(End.STOPPED)
        assert "stopped at" in vsv(tmp_path, "status", "--watch").output

    def test_status_without_runs_reports_none_and_refuses_unknown_folder_and_run(
        self, tmp_path: Path
    ) -> None:
        assert vsv(tmp_path, "status").exit_code == 1
        (tmp_path / "data").mkdir()
        assert "No runs" in vsv(tmp_path, "status").output
        assert vsv(tmp_path, "status", "--failed").output == ""
        assert vsv(tmp_path, "status", "--run", "../x").exit_code == 1


class TestImportCommand:
    def test_folder_with_an_invalid_slide_imports_the_others_and_exits_with_failure(
        self, tmp_path: Path
    ) -> None:
        folder = fill(tmp_path, 5)
        put(folder / "1", "bad.svs", b"no slide")
        first = vsv(tmp_path, "import", folder, "--json")
        assert first.exit_code == 1
        ended = [outcome["Outcome"] for outcome in json.loads(first.stdout)]
        assert sorted(ended) == ["FAILED", "OK", "OK", "OK", "OK", "OK"]
        (run,) = status(tmp_path)
        assert {
            "kind": "import",
            "files": 6,
            "ok": 5,
            "failed": 1,
            "left": 0,
            "end": "done",
        }.items() <= run.items()
        assert "bad.svs: Not a supported slide file" in vsv(tmp_path, "status", "--failed").output
        assert json.loads(vsv(tmp_path, "status", "--failed", "--json").stdout)[0]["Outcome"] == "FAILED"
        again = vsv(tmp_path, "import", folder)
        assert (again.exit_code, "0 OK, 5 skipped, 1 failed" in again.output) == (1, True)
        (folder / "1/bad.svs").unlink()
        assert vsv(tmp_path, "import", folder).exit_code == 0

    def test_files_that_are_no_slides_are_named_in_the_summary_with_their_counts(
        self, tmp_path: Path
    ) -> None:
        folder = fill(tmp_path, 1)
        for name in (
            "a.lif",
            "deep/b.isyntax",
            "report.docx",
            "x\u202ey\x1b[31m.vsi",
            "what?.ndpi",
            "a.svs.part",
        ):
            put(folder / "0" / Path(name).parent, Path(name).name, b"1")
        result = vsv(tmp_path, "import", folder)
        assert result.exit_code == 0
        assert "1 OK, 0 skipped, 0 failed" in result.output
        (named,) = [line for line in result.output.splitlines() if "not slides" in line]
        assert "a.lif (Leica LIF)" in named
        assert "b.isyntax (Philips iSyntax)" in named
        assert (
            "1 file has a name that cannot be kept: rename it to plain letters and digits: what?.ndpi"
            in result.output
        )
        assert not set("\u202e\x1b") & set(result.output)
        outcomes = vsv(tmp_path, "import", folder, "--json")
        assert [outcome["Outcome"] for outcome in json.loads(outcomes.stdout)] == ["SKIPPED"]
        assert named in outcomes.stderr

    def test_half_written_slide_is_waited_for_and_imported_whole(self, tmp_path: Path) -> None:
        path = put(tmp_path / "in", "a.svs", half_written(slide_bytes(), 100_000), modified=time.time_ns())
        process = start(tmp_path, "import", path)
        data = tmp_path / "data"
        wait_until(lambda: waiting_error(data), "the import waits", 0.1)
        path.write_bytes(slide_bytes())
        output, _ = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0
        assert "is slide 1004486" in output
        assert (data / "slides/1004486/slide.svs").read_bytes() == slide_bytes()

    def test_deleted_slide_in_a_folder_is_skipped_with_the_command_that_undeletes_it(
        self, tmp_path: Path
    ) -> None:
        folder = fill(tmp_path, 1)
        vsv(tmp_path, "import", folder)
        vsv(tmp_path, "delete", "3000000", "--yes")
        result = vsv(tmp_path, "import", folder)
        assert (result.exit_code, "vsv undelete 3000000" in result.output) == (0, True)

    def test_files_of_the_same_name_in_several_folders_become_separate_slides(self, tmp_path: Path) -> None:
        days = (b"28", b"29", b"30", b"31")
        for day in days:
            put(tmp_path / "in" / day.decode(), "same.svs", other_scan(slide_bytes(), day))
        result = vsv(tmp_path, "import", tmp_path / "in", "--jobs", "4")
        assert (result.exit_code, "4 OK" in result.output) == (0, True)
        with running_site(tmp_path) as site:
            dates = sorted(str(record.scan_date)[8:10] for record in site.records())
        assert dates == [day.decode() for day in days]
        assert "0 OK, 4 skipped" in vsv(tmp_path, "import", tmp_path / "in").output

    def test_killed_import_is_reported_as_ended_and_completes_when_run_again(self, tmp_path: Path) -> None:
        folder = fill(tmp_path, 8, side=2000)
        for _ in range(3):
            process = start(tmp_path, "import", folder)
            wait_until(lambda: alive(tmp_path), "the run is seen")
            time.sleep(0.3)  # the moment that is tested, not a wait for something
            process.kill()
            process.communicate()
            assert not alive(tmp_path)
            with running_site(tmp_path) as site:
                check_whole(site)
        text = vsv(tmp_path, "status").output
        assert "crashed" in text or "done" in text
        result = vsv(tmp_path, "import", folder)
        assert (result.exit_code, "0 failed" in result.output) == (0, True)
        with running_site(tmp_path) as site:
            assert sorted(record.image_id for record in site.records()) == [
                str(3000000 + n) for n in range(8)
            ]
            check_whole(site)

    def test_interrupted_import_stops_with_status_130_and_can_continue(self, tmp_path: Path) -> None:
        folder = fill(tmp_path, 40)
        process = start(tmp_path, "import", folder)
        wait_until(lambda: alive(tmp_path) and status(tmp_path)[0]["ok"], "some are done")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 130
        assert "Stopping after the current steps" in errors
        assert "Traceback" not in errors
        (run,) = status(tmp_path)
        assert (run["end"], run["failed"], run["now"]) == ("stopped", 0, [])
        assert 0 < run["ok"] < 40
        assert "40" in vsv(tmp_path, "import", folder).output

    def test_concurrent_server_and_import_commands_import_each_file_only_once(self, tmp_path: Path) -> None:
        folder = fill(tmp_path, 6)
        with server(tmp_path / "data", "--watch", str(folder / "0"), "--watch", str(folder / "1")):
            commands = [start(tmp_path, "import", folder, "--json") for _ in range(2)]
            told = [json.loads(command.communicate(timeout=DEADLINE_S)[0]) for command in commands]
        assert {outcome["Outcome"] for outcomes in told for outcome in outcomes} <= {"OK", "SKIPPED"}
        assert [len(outcomes) for outcomes in told] == [6, 6]
        with running_site(tmp_path) as site:
            assert [record.version for record in site.records()] == [1] * 6


def alive(folder: Path) -> bool:
    return (folder / "data").is_dir() and any(run["alive"] for run in status(folder))


class TestRenderCommand:
    def test_slide_locked_by_another_process_is_skipped(self, tmp_path: Path) -> None:
        vsv(tmp_path, "import", fill(tmp_path, 2))
        with running_site(tmp_path) as site:
            for pyramid in site.services.files.root.glob("slides/*/pyramid.tif"):
                pyramid.unlink()
            with import_lock(site.services.files, "0.svs"):
                result = vsv(tmp_path, "render", "--all")
        assert "[1/2] skipped 3000000: another process is at work on it" in result.output
        assert "1 OK, 1 skipped, 0 failed" in result.output
        assert status(tmp_path)[0]["kind"] == "render"

    def test_archived_slides_are_not_rendered(self, tmp_path: Path) -> None:
        vsv(tmp_path, "import", fill(tmp_path, 2))
        with running_site(tmp_path) as site:
            site.services.slides.update("3000000", {"original": "ARCHIVED"}, by="test")
        assert "0 OK, 1 skipped, 0 failed" in vsv(tmp_path, "render", "--all").output

    def test_interrupted_render_stops_within_a_slide_and_leaves_no_partial_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vsv(tmp_path, "import", fill(tmp_path, 3))
        for pyramid in (tmp_path / "data").glob("slides/*/pyramid.tif"):
            pyramid.unlink()
        at = Run.at

        def interrupted(self: Run, name: str, done: int, total: int) -> None:
            at(self, name, done, total)
            os.kill(os.getpid(), signal.SIGINT)
            Event().wait(0.2)  # until the main thread has heard of it
            monkeypatch.setattr(Run, "at", at)

        monkeypatch.setattr(Run, "at", interrupted)
        result = vsv(tmp_path, "render", "--all", "--jobs", "1")
        assert result.exit_code == 130
        assert list((tmp_path / "data/slides").glob("*/*.part")) == []
        monkeypatch.setattr(Run, "at", at)
        assert vsv(tmp_path, "render", "--all").exit_code == 0
        assert len(list((tmp_path / "data").glob("slides/*/pyramid.tif"))) == 3
