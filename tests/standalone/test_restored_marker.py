"""A restored data folder does nothing by itself until somebody says that it is the one in use."""

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from vsv.lifecycle import requests
from vsv.records.models import JobKind, JobState, Status
from vsv.workflow.transitions import Decider, change

from tests.support.servers.registry import Registry
from tests.support.servers.running import running_site, server
from vsv_local.cli.main import main
from vsv_local.composition import standalone
from vsv_local.server.job_threads import JobWorker

ADMIN = Decider("Eve", is_admin=True)
ID = "1004486"
RESTS = "This data folder was restored from a backup"


@pytest.fixture
def drill(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the restored copy of an installation; both share an archive with the deleted slide's original."""
    (tmp_path / "archive").mkdir()
    monkeypatch.setenv("VSV_ARCHIVE", str(tmp_path / "archive"))
    monkeypatch.setenv("VSV_GRACE_DAYS", "0")
    with running_site(tmp_path) as used:
        used.bring("a.svs")
        (tmp_path / "data/destinations.json").write_text(
            json.dumps([{"name": "registry", "url": registry.url}])
        )
    assert run(tmp_path / "data", "archive", ID).exit_code == 0
    assert original(tmp_path).exists()
    assert run(tmp_path / "data", "delete", ID, "--yes").exit_code == 0
    assert run(tmp_path / "data", "backup", str(tmp_path / "backup")).exit_code == 0
    result = run(tmp_path / "drill", "restore", str(tmp_path / "backup"))
    assert result.exit_code == 0
    assert "until vsv take-over activates" in result.output
    return tmp_path / "drill"


def run(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--data", str(data)])


def original(folder: Path) -> Path:
    return folder / "archive" / ID / "slide.svs"


@pytest.mark.parametrize("command", [["run-jobs"], ["delete", ID, "--purge", "--yes"]])
def test_restored_folder_refuses_to_purge_shared_originals_until_taken_over(
    drill: Path, command: list[str]
) -> None:
    result = run(drill, *command)
    assert result.exit_code == 1
    assert RESTS in result.output
    assert original(drill.parent).exists()
    assert run(drill, "take-over", "--yes").output == "This data folder is active now\n"
    assert run(drill, *command).exit_code == 0
    assert not original(drill.parent).exists()


def test_restored_folder_runs_no_waiting_jobs_until_taken_over(
    drill: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vsv_local.server.job_threads.POLL_SECONDS", 0.01)
    with standalone(drill) as (services, _intake):
        change(services, ID, {"status": Status.NEW}, ADMIN)
        change(services, ID, {"status": Status.GOOD}, ADMIN)
        change(services, ID, {"status": Status.SENT}, ADMIN)
        worker = JobWorker(services)
        worker.start()
        try:
            time.sleep(0.2)
            waiting = services.jobs.get(ID, JobKind.SEND)
            assert waiting is not None
            assert (waiting.state, waiting.attempts, registry.asked) == (JobState.WAITING, 0, [])
            assert run(drill, "take-over", "--yes").exit_code == 0
            until = time.monotonic() + 20
            while not registry.asked and time.monotonic() < until:
                time.sleep(0.02)
        finally:
            worker.stop()
    assert [document["slide"]["ImageID"] for _p, _h, document in registry.asked] == [ID]


def test_purge_requested_in_restored_folder_waits_as_a_job(drill: Path) -> None:
    with standalone(drill) as (services, _intake):
        requests.purge(services, ID, ID, ADMIN)
    assert run(drill, "jobs").output.startswith("PURGE")
    assert original(drill.parent).exists()


def test_server_serves_slides_of_a_restored_folder(drill: Path) -> None:
    with standalone(drill) as (services, _intake):
        change(services, ID, {"status": Status.NEW}, ADMIN)
    with server(drill) as running:
        assert running.ask(f"/DeepZoom/{ID}.dzi").status == 200


def test_take_over_asks_for_confirmation_and_is_idempotent(drill: Path) -> None:
    refused = CliRunner().invoke(main, ["take-over", "--data", str(drill)], input="n\n")
    assert refused.exit_code == 1
    assert run(drill, "run-jobs").exit_code == 1
    assert run(drill, "take-over", "--yes").exit_code == 0
    assert run(drill, "take-over", "--yes").output == "This data folder is active already\n"
