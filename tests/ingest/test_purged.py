"""What was purged stays purged: its bytes are known by their checksum, wherever they come from and under any name."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from click.testing import CliRunner
from receive_dropped.handler import lambda_handler as receive_dropped
from vsv.ingest.receive import retry
from vsv.lifecycle import job_runner, purging, requests
from vsv.records.models import ImportState, JobKind, JobState, SlideRecord, Status
from vsv.services import Services
from vsv.storage.tombstones import Tombstone, read_tombstone
from vsv.workflow.transitions import Decider, change

from tests.support.aws.import_machine import Machine, machine
from tests.support.servers.running import Site, running_site
from tests.support.slides.small import other_scan, put, slide_bytes
from vsv_local.cli.main import main

ADMIN = Decider("dr.k", is_admin=True)
CONTENT = slide_bytes()
SIZE, SHA256 = len(CONTENT), hashlib.sha256(CONTENT).hexdigest()


class Installation(Protocol):
    """What both kinds of installation have in these tests."""

    services: Services
    scanner: Path

    def post(self, filename: str, size: int, **more: object) -> tuple[int, dict[str, Any]]: ...

    def finish(self) -> None: ...


@pytest.fixture(params=["one machine", "aws"])
def installation(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """Yield an installation with SQLite, then one with DynamoDB."""
    monkeypatch.setattr("vsv_local.ingest.import_runner.RETRY_DELAYS_S", ())
    make: Callable[[Path], Any] = running_site if request.param == "one machine" else machine
    with make(tmp_path) as made:
        yield made


def offer(installation: Installation, name: str = "a.svs", content: bytes = CONTENT, **more: object) -> Any:
    """Write a file as the scanner does and post it until its import has ended; return the last answer."""
    put(installation.scanner, name, content)
    for _ in range(3):
        answer = installation.post(name, len(content), **more)
        if isinstance(installation, Machine):
            installation.deliver()
        installation.finish()
    return installation.post(name, len(content), **more) if answer[0] == 202 else answer


def slides(services: Services) -> dict[str, SlideRecord]:
    return {record.image_id: record for record in services.slides.list_all(100).items}


def purge(services: Services, image_id: str = "1004486") -> None:
    change(services, image_id, {"status": Status.DELETED}, ADMIN)
    job = job_runner.run(services, requests.purge(services, image_id, image_id, ADMIN))
    assert job.state is JobState.DONE


def left_behind(services: Services) -> list[Path]:
    root = services.files.root
    return [path for name in ("incoming", "taken") for path in (root / name).rglob("*")]


def check_refused(answer: tuple[int, dict[str, Any]]) -> None:
    status, body = answer
    assert (status, body.keys(), body["state"]) == (422, {"state", "error"}, "FAILED")
    assert "This slide was purged on 20" in body["error"]
    assert " by dr.k" in body["error"]
    assert "vsv import --again FILE" in body["error"]
    assert "retryImport with again: true" in body["error"]


@pytest.mark.parametrize("name", ["a.svs", "renamed.svs"])
@pytest.mark.parametrize("named", [{}, {"sha256": SHA256}])
def test_purged_slides_file_is_refused_with_the_reason_and_nothing_is_left(
    installation: Installation, name: str, named: dict[str, str]
) -> None:
    assert offer(installation)[0] == 200
    purge(installation.services)
    check_refused(offer(installation, name, **named))
    check_refused(installation.post(name, SIZE, **named))
    assert list(slides(installation.services)) == ["1004486"]
    assert left_behind(installation.services) == []
    assert (installation.scanner / name).read_bytes() == CONTENT


def test_file_of_the_same_name_and_size_with_other_content_is_a_rescan(installation: Installation) -> None:
    assert offer(installation)[0] == 200
    purge(installation.services)
    assert offer(installation, content=other_scan(CONTENT))[0] == 200
    (new,) = (record for key, record in slides(installation.services).items() if key != "1004486")
    assert (new.status, new.predecessor) == (Status.NEW, "1004486")


def test_person_imports_a_purged_slides_file_again_on_purpose(installation: Installation) -> None:
    assert offer(installation)[0] == 200
    purge(installation.services)
    check_refused(offer(installation))
    retry(installation.services, "a.svs")
    if isinstance(installation, Machine):
        installation.deliver()
    installation.finish()
    check_refused(installation.post("a.svs", SIZE))  # to try again is not enough
    retry(installation.services, "a.svs", again=True)
    assert offer(installation) == (200, {"filename": "a.svs", "size": SIZE})
    (new,) = (record for key, record in slides(installation.services).items() if key != "1004486")
    assert (new.checksum, new.predecessor) == (SHA256, None)  # the same scan, not another one
    purging.request_due(installation.services)
    assert offer(installation, "b.svs")[0] == 200
    purge(installation.services, new.image_id)
    check_refused(offer(installation, "c.svs"))


def test_restart_of_a_watching_server_does_not_import_what_was_purged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_site(tmp_path) as site:
        assert offer(site)[0] == 200
        purge(site.services)
        check_refused(offer(site))
    copied: list[str] = []
    monkeypatch.setattr("vsv_local.ingest.transfer.copy", lambda *_a, **_k: copied.append("a"))
    with running_site(tmp_path) as site:
        check_refused(offer(site))
        assert list(slides(site.services)) == ["1004486"]
    assert copied == []


def test_linked_original_of_a_purged_slide_is_refused_and_stays(tmp_path: Path) -> None:
    with running_site(tmp_path, in_place=True) as site:
        put(site.scanner, "a.svs", CONTENT)
        site.settle("a.svs", SIZE)
        purge(site.services)
        check_refused(offer(site))
        assert left_behind(site.services) == []
        assert (site.scanner / "a.svs").read_bytes() == CONTENT


def test_dropped_object_of_a_purged_slide_is_refused(tmp_path: Path) -> None:
    with machine(tmp_path) as aws:
        assert offer(aws)[0] == 200
        purge(aws.services)
        receive_dropped(aws.drop("folder/other.svs", CONTENT), None)
        aws.deliver()
        aws.finish()
        run = aws.services.imports.get("other.svs")
        assert run is not None
        assert run.state is ImportState.FAILED
        assert "This slide was purged on 20" in (run.error or "")
        assert list(slides(aws.services)) == ["1004486"]
        assert left_behind(aws.services) == []


def test_tombstone_holds_time_and_person_alone_and_is_written_before_the_files_go(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert site.bring() == 200
    change(site.services, "1004486", {"status": Status.DELETED}, ADMIN)
    at_removal: list[Tombstone | None] = []
    remove = purging._remove_files
    monkeypatch.setattr(
        purging,
        "_remove_files",
        lambda services, image_id: (
            at_removal.append(read_tombstone(services.files.root, SHA256)),
            remove(services, image_id),
        )[1],
    )
    job_runner.run(site.services, requests.purge(site.services, "1004486", "1004486", ADMIN))
    (tombstone,) = at_removal
    assert tombstone is not None
    assert (tombstone.by, tombstone.lifted) == ("dr.k", False)
    (path,) = (site.services.files.root / "purged").iterdir()
    assert path.name == f"{SHA256}.json"
    assert "1004486" not in path.read_text()
    assert "CMU" not in path.read_text()


def test_slide_purged_after_its_grace_names_who_deleted_it(site: Site) -> None:
    assert site.bring() == 200
    change(site.services, "1004486", {"status": Status.DELETED}, ADMIN)
    for day in range(9):
        purging.request_due(site.services, 1_795_000_000 + day * purging.DAY_S)
    job_runner.run_due(site.services, [JobKind.PURGE], lambda: True)
    check_refused(offer(site))


def test_daily_check_writes_tombstones_of_slides_that_an_earlier_version_purged(site: Site) -> None:
    assert site.bring() == 200
    purge(site.services)
    (site.services.files.root / "purged" / f"{SHA256}.json").unlink()
    purging.request_due(site.services)
    check_refused(offer(site))


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", bytes(range(128, 192))])
def test_damaged_tombstone_still_refuses(site: Site, damage: bytes) -> None:
    assert site.bring() == 200
    purge(site.services)
    (site.services.files.root / "purged" / f"{SHA256}.json").write_bytes(damage)
    status, body = offer(site)
    assert (status, body["state"]) == (422, "FAILED")
    assert body["error"].startswith("This slide was purged, so its file is not imported by itself.")


def test_import_command_skips_purged_slides_files_unless_asked_again(tmp_path: Path) -> None:
    path, data = put(tmp_path / "files", "a.svs", CONTENT), tmp_path / "data"
    command = ["import", str(path), "--data", str(data)]
    assert CliRunner().invoke(main, command).exit_code == 0
    for more in (["delete", "1004486", "--yes"], ["purge", "1004486", "--yes"]):
        result = CliRunner().invoke(main, [*more, "--data", str(data)])
        assert result.exit_code == 0, result.output
    for _ in range(2):
        refused = CliRunner().invoke(main, command)
        assert refused.exit_code == 1
        assert "This slide was purged" in refused.output
    again = CliRunner().invoke(main, [*command, "--again"])
    assert again.exit_code == 0, again.output
    assert CliRunner().invoke(main, command).exit_code == 0
