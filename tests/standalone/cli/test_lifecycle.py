"""Jobs, deletion and sending at the command line and in the standalone server."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from vsv.lifecycle import requests
from vsv.records.models import JobKind, JobRecord, JobState, Status
from vsv.services import Services
from vsv.workflow import job_queue
from vsv.workflow.transitions import Decider, change

from tests.support.servers.registry import Registry, status
from tests.support.stores.store_records import slide
from vsv_local.cli.main import main
from vsv_local.composition import standalone
from vsv_local.server.job_threads import JobWorker

ADMIN = Decider("Eve", is_admin=True)


@pytest.fixture
def data(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("VSV_DATA", "VSV_DESTINATIONS", "VSV_GRACE_DAYS"):
        monkeypatch.delenv(name, raising=False)
    data = tmp_path / "data"
    data.mkdir()
    (data / "destinations.json").write_text(json.dumps([{"name": "registry", "url": registry.url}]))
    with standalone(data) as (services, _intake):
        for image_id in ("1", "2"):
            services.slides.put_new(slide(image_id, status=Status.GOOD))
            services.files.folder(image_id).mkdir(parents=True)
            services.files.slide(image_id).write_bytes(b"slide")
    return data


def run(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--data", str(data)])


def read_stored(data: Path, read: Callable[[Services], Any]) -> Any:
    with standalone(data) as (services, _intake):
        return read(services)


class TestMark:
    @pytest.mark.parametrize(
        ("mark", "expected"), [("bad", Status.BAD), ("NEW", Status.NEW), ("good", Status.GOOD)]
    )
    def test_mark_sets_status_and_notes_it_in_the_history(
        self, data: Path, mark: str, expected: Status
    ) -> None:
        result = run(data, "mark", "1", mark)
        assert (result.exit_code, result.output) == (0, f"Slide 1 is {expected}\n")
        assert read_stored(data, lambda services: services.slides.get("1").status) is expected
        history = read_stored(data, lambda services: services.slides.history("1").items)
        marked = [(change.by, change.old, change.new) for change in history if change.field == "Status"]
        assert marked == [("vsv", "GOOD", str(expected))] * (expected is not Status.GOOD) + marked[-1:]
        assert run(data, "mark", "1", mark).output == result.output

    @pytest.mark.parametrize(
        ("status", "message"),
        [
            (Status.DELETED, "Slide 3 is deleted: vsv undelete 3 undoes that"),
            (Status.ARCHIVED, "Use Archive or Unarchive instead"),
            (Status.PUBLISHED, "Use Publish or Withdraw instead"),
        ],
    )
    def test_mark_refuses_slide_that_another_command_changes(
        self, data: Path, status: Status, message: str
    ) -> None:
        read_stored(data, lambda services: services.slides.put_new(slide("3", status=status)))
        result = run(data, "mark", "3", "good")
        assert (result.exit_code, message in result.output) == (1, True), result.output
        assert read_stored(data, lambda services: services.slides.get("3").status) is status

    def test_mark_refuses_sent_slide_to_become_new(self, data: Path) -> None:
        read_stored(data, lambda services: services.slides.put_new(slide("3", status=Status.SENT)))
        result = run(data, "mark", "3", "new")
        assert result.exit_code == 1
        assert "The status cannot change from SENT to NEW." in result.output

    def test_mark_names_missing_slide_and_unknown_mark(self, data: Path) -> None:
        assert "Slide 9 not found" in run(data, "mark", "9", "good").output
        assert run(data, "mark", "1", "sent").exit_code == 2


def test_list_and_show_mark_characters_that_move_the_cursor_or_reorder_text(data: Path) -> None:
    hostile = slide("4", slide_id="a\x1b[2J\u202eb", filename="c\u202ed.svs", note="e\x07f")
    read_stored(data, lambda services: services.slides.put_new(hostile))
    for result in (run(data, "list"), run(data, "show", "4")):
        assert not {"\x1b", "\u202e", "\x07"} & set(result.output)
        assert "a\ufffd[2J\ufffdb" in result.output
    (listed,) = (item for item in json.loads(run(data, "list", "--json").output) if item["ImageID"] == "4")
    assert listed["SlideID"] == hostile.slide_id


class TestSend:
    def test_send_delivers_slides_and_reports_those_already_sent(
        self, data: Path, registry: Registry
    ) -> None:
        result = run(data, "send", "1", "2")
        assert (result.exit_code, result.output) == (0, "Slide 1 is SENT\nSlide 2 is SENT\n")
        again = run(data, "send", "1")
        assert (
            again.exit_code,
            "Slide 1 is SENT already: to send it again, mark it" in again.output,
        ) == (0, True)
        assert [document["slide"]["ImageID"] for _p, _h, document in registry.asked] == ["1", "2"]
        assert read_stored(data, lambda services: services.slides.get("1").status) is Status.SENT

    def test_send_leaves_a_waiting_job_when_registry_is_unavailable(
        self, data: Path, registry: Registry
    ) -> None:
        registry.answers[:] = [status(503)]
        result = run(data, "send", "1")
        assert result.exit_code == 0
        assert "registry cannot accept the slide now (status 503)" in result.output
        assert "is waiting for the registry" in result.output
        listed = run(data, "jobs")
        assert "SEND      1" in listed.output
        assert "status 503" in listed.output

    def test_send_reports_rejected_slides_and_continues_with_the_others(
        self, data: Path, registry: Registry
    ) -> None:
        registry.answers[:] = [status(422), status(200)]
        result = run(data, "send", "1", "nowhere", "2")
        assert result.exit_code == 1
        assert "Slide 1: registry rejected the slide (status 422)" in result.output
        assert "Slide nowhere: Slide not found." in result.output
        assert "Slide 2 is SENT" in result.output
        (failed,) = json.loads(run(data, "jobs", "--state", "failed", "--json").output)
        assert (failed["ImageID"], failed["Kind"]) == ("1", "SEND")

    @pytest.mark.parametrize(
        ("status", "first"),
        [
            (Status.PUBLISHED, "This slide is published: withdraw its published copy before sending it."),
            (Status.ARCHIVED, "This slide's original is archived: unarchive it before sending it."),
            (Status.DELETED, "This slide is deleted: undelete it and mark it GOOD before sending it."),
            (Status.NEW, "Mark the slide GOOD before sending it."),
        ],
    )
    def test_send_names_what_comes_before_sending(
        self, data: Path, registry: Registry, status: Status, first: str
    ) -> None:
        read_stored(data, lambda services: services.slides.put_new(slide("3", status=status)))
        result = run(data, "send", "3")
        assert (result.exit_code, result.output) == (1, f"Slide 3: {first}\n")
        assert registry.asked == []
        assert read_stored(data, lambda services: services.slides.get("3").status) is status

    def test_send_refuses_invalid_destinations(self, data: Path) -> None:
        (data / "destinations.json").write_text("[")
        result = run(data, "send", "1")
        assert result.exit_code == 1
        assert "the destinations are not JSON" in result.output


class TestUndeleteAndPurge:
    def test_undelete_brings_a_deleted_slide_back_as_new(self, data: Path) -> None:
        run(data, "delete", "1", "--yes")
        result = run(data, "undelete", "1")
        assert (result.exit_code, result.output) == (0, "Slide 1 is undeleted\n")
        assert read_stored(data, lambda services: services.slides.get("1").status) is Status.NEW
        assert read_stored(data, lambda services: services.files.slide("1").read_bytes()) == b"slide"

    @pytest.mark.parametrize("command", [("undelete", "1"), ("delete", "1", "--undo")])
    def test_undelete_refuses_a_slide_that_is_not_deleted(self, data: Path, command: tuple[str, ...]) -> None:
        result = run(data, *command)
        assert (result.exit_code, result.output) == (1, "Error: Slide 1 is not deleted\n")

    @pytest.mark.parametrize("command", [("purge", "1"), ("delete", "1", "--purge")])
    def test_purge_removes_files_only_after_the_id_is_typed(
        self, data: Path, command: tuple[str, ...]
    ) -> None:
        run(data, "delete", "1", "--yes")
        wrong = CliRunner().invoke(main, [*command, "--data", str(data)], input="2\n")
        assert (wrong.exit_code, "repeat its ImageID" in wrong.output) == (1, True)
        result = CliRunner().invoke(main, [*command, "--data", str(data)], input="1\n")
        assert result.exit_code == 0
        assert "Slide 1 is purged: slide.svs" in result.output
        assert read_stored(data, lambda services: services.slides.get("1").original) == "PURGED"
        again = run(data, "undelete", "1")
        assert again.exit_code == 1
        assert "This slide's files were permanently deleted: it cannot be undeleted." in again.output

    def test_purge_refuses_a_slide_that_is_not_deleted(self, data: Path) -> None:
        result = run(data, "purge", "1", "--yes")
        assert (result.exit_code, "Only a deleted slide can be purged." in result.output) == (1, True)
        assert read_stored(data, lambda services: services.files.slide("1").read_bytes()) == b"slide"

    @pytest.mark.parametrize("command", ["delete", "undelete", "purge", "show"])
    def test_command_names_a_slide_that_is_not_found(self, data: Path, command: str) -> None:
        options = ["--yes"] if command in {"delete", "purge"} else []
        result = run(data, command, "nowhere", *options)
        assert (result.exit_code, result.output) == (1, "Error: Slide nowhere not found\n")

    def test_delete_refuses_undo_and_purge_together(self, data: Path) -> None:
        assert run(data, "delete", "1", "--undo", "--purge").exit_code == 2


def test_help_lists_each_command_with_a_summary_that_is_not_cut() -> None:
    summaries = {name: command.short_help or "" for name, command in main.commands.items()}
    assert {name: text for name, text in summaries.items() if not 0 < len(text) <= 45} == {}
    output = CliRunner().invoke(main, ["--help"]).output
    assert "..." not in output.partition("Commands:")[2]
    assert all(f"{name} " in output and text in output for name, text in summaries.items())


class TestDismiss:
    def test_dismiss_takes_failed_jobs_off_the_list_and_keeps_their_records(
        self, data: Path, registry: Registry
    ) -> None:
        registry.answers[:] = [status(422)]
        run(data, "send", "1", "2")
        result = run(data, "jobs", "--dismiss", "1")
        assert (result.exit_code, "DISMISSED" in result.stdout, result.stderr) == (0, True, "1 job\n")
        (left,) = json.loads(run(data, "jobs", "--json").stdout)
        assert (left["ImageID"], left["State"]) == ("2", "FAILED")
        (kept,) = json.loads(run(data, "jobs", "--state", "dismissed", "--json").stdout)
        assert (kept["ImageID"], kept["DismissedBy"], "422" in kept["Error"]) == ("1", "vsv", True)

    @pytest.mark.parametrize("image_id", ["1", "nowhere"])
    def test_dismiss_names_a_slide_without_failed_jobs(self, data: Path, image_id: str) -> None:
        read_stored(data, lambda services: job_queue.request(services, "1", JobKind.PURGE, "Eve"))
        result = run(data, "jobs", "--dismiss", image_id)
        assert (result.exit_code, result.output) == (1, f"Error: Slide {image_id} has no failed job\n")
        assert len(json.loads(run(data, "jobs", "--json").stdout)) == 1


class TestRunJobs:
    def test_run_jobs_purges_due_slides_and_reports_them(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("VSV_GRACE_DAYS", "0")
        run(data, "delete", "1", "--yes")
        result = run(data, "run-jobs")
        assert result.exit_code == 0
        assert "PURGE     1" in result.output
        assert "slide.svs, waited.json" in result.output
        assert read_stored(data, lambda services: services.slides.get("1").original) == "PURGED"

    def test_run_jobs_purges_no_slide_within_the_grace_period(self, data: Path) -> None:
        deleted = run(data, "delete", "1", "--yes")
        assert "for 7 days vsv undelete 1 undoes this" in deleted.output
        assert "0 done" in run(data, "run-jobs").output
        assert run(data, "delete", "1", "--undo").exit_code == 0
        assert read_stored(data, lambda services: services.files.slide("1").read_bytes()) == b"slide"

    def test_run_jobs_refuses_grace_days_that_is_not_a_number(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("VSV_GRACE_DAYS", "a week")
        result = run(data, "run-jobs")
        assert result.exit_code == 1
        assert "VSV_GRACE_DAYS must be a number of days" in result.output


class TestJobWorker:
    def eventually(self, services: Services, image_id: str, kind: JobKind) -> JobRecord:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            job = services.jobs.get(image_id, kind)
            if job is not None and job.state is not JobState.WAITING:
                return job
            time.sleep(0.02)
        raise AssertionError("the job is not done")

    def test_worker_runs_requested_jobs_until_stopped(
        self, data: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("vsv_local.server.job_threads.POLL_SECONDS", 0.02)
        with standalone(data) as (services, _intake):
            worker = JobWorker(services)
            worker.start()
            try:
                change(services, "1", {"status": Status.SENT}, ADMIN)
                assert self.eventually(services, "1", JobKind.SEND).state is JobState.DONE
                change(services, "2", {"status": Status.DELETED}, ADMIN)
                requests.purge(services, "2", "2", ADMIN)
                assert self.eventually(services, "2", JobKind.PURGE).state is JobState.DONE
            finally:
                worker.stop()
            assert len(registry.asked) == 1
            job_queue.request(services, "1", JobKind.PURGE, "Eve")
            time.sleep(0.1)
            stopped = services.jobs.get("1", JobKind.PURGE)
            assert stopped
            assert stopped.attempts == 0

    def test_worker_continues_after_a_failing_daily_look(
        self,
        data: Path,
        registry: Registry,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr("vsv_local.server.job_threads.POLL_SECONDS", 0.02)

        def broken(_services: Services) -> list[JobRecord]:
            raise RuntimeError("broken")

        monkeypatch.setattr("vsv.lifecycle.daily_schedule.look", broken)
        with standalone(data) as (services, _intake):
            worker = JobWorker(services)
            worker.start()
            try:
                change(services, "2", {"status": Status.DELETED}, ADMIN)
                requests.purge(services, "2", "2", ADMIN)
                assert self.eventually(services, "2", JobKind.PURGE).state is JobState.DONE
            finally:
                worker.stop()
        assert "broken" in caplog.text


def test_jobs_command_omits_the_secret_of_a_policy(data: Path) -> None:
    detail = {"name": "STUDY-1", "policy": 'dates = "shift"\nshift_key = "0123456789abcdef"'}
    read_stored(data, lambda services: job_queue.request(services, "1", JobKind.PUBLISH, "Eve", detail))
    result = run(data, "jobs", "--json")
    (listed,) = json.loads(result.stdout)
    assert listed["Detail"] == {"name": "STUDY-1"}
    assert "0123456789abcdef" not in result.output
