"""The command line: what it prints, what it leaves behind, and how it ends."""

import errno
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from serve_image.handler import lambda_handler as serve_image
from vsv.errors import UnavailableError

from tests.support.slides.small import OLD, other_scan, put, slide_bytes
from vsv_local.cli.main import main
from vsv_local.composition import standalone
from vsv_local.server.api_gateway_events import http_answer, http_event

COMMANDS = (
    "add-mask", "serve", "import", "list", "show", "render", "status", "export-deepzoom", "delete", "send", "jobs",
    "run-jobs", "backup", "restore", "take-over", "omero-import", "archive", "unarchive", "publish", "withdraw",
    "check-published", "settings", "undelete", "purge", "ids", "mark",
)  # fmt: skip


@dataclass
class Shell:
    """Runs commands on one data folder; ``scanner`` is where files come from."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def scanner(self) -> Path:
        return self.folder / "scanner"

    def run(self, *arguments: str | Path, answer: str | None = None) -> Result:
        return CliRunner().invoke(main, [*map(str, arguments), "--data", str(self.data)], input=answer)

    def json(self, *arguments: str | Path) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.delenv("VSV_DATA", raising=False)
    monkeypatch.setattr("vsv_local.ingest.import_runner.RETRY_DELAYS_S", ())
    yield Shell(tmp_path)


@pytest.fixture
def filled(shell: Shell) -> Shell:
    assert shell.run("import", put(shell.scanner, "a.svs")).exit_code == 0
    return shell


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS)], ids=str)
def test_every_command_has_help(arguments: list[str]) -> None:
    for option in ("--help", "-h"):
        result = CliRunner().invoke(main, [*arguments, option])
        assert result.exit_code == 0
        assert "Usage:" in result.output
    assert set(COMMANDS) == set(main.commands)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_accepts_data_and_every_option_has_help(name: str) -> None:
    options = [p for p in main.commands[name].params if isinstance(p, click.Option)]
    assert "--data" in {opt for option in options for opt in option.opts}
    assert all(option.help for option in options)


def test_import_reports_the_outcome_of_each_file(shell: Shell) -> None:
    good, bad = put(shell.scanner, "a.svs"), put(shell.scanner, "b.svs", b"no slide")
    named = put(shell.scanner, "c.txt", b"no slide")
    result = shell.run("import", good, bad, named)
    assert result.exit_code == 1
    assert f"[1/3] OK      {good} is slide 1004486" in result.output
    assert f"[2/3] FAILED  {bad}: Not a supported slide file" in result.output
    assert f"[3/3] FAILED  {named}: its name is not that of a slide file" in result.output
    assert "1 OK, 0 skipped, 2 failed" in result.output


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x" * 197 + ".svs", "its name is too long: rename it"),
        ("a\nb.svs", "its name cannot be kept: rename it"),
    ],
)
def test_import_reports_why_a_file_name_is_refused(shell: Shell, name: str, reason: str) -> None:
    put(shell.scanner, name)
    assert reason in shell.run("import", shell.scanner).output


def test_import_reports_a_file_without_read_permission(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(shell.scanner, "a.svs")

    def refuse(source: Path, *_rest: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(source))

    monkeypatch.setattr("vsv_local.ingest.transfer._copy_bytes", refuse)
    assert f"FAILED  {path}: the file may not be read: give the account" in shell.run("import", path).output


def test_import_reports_a_failure_that_the_records_cannot_store(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(shell.scanner, "a.svs")

    def refuse(*_rest: object) -> None:
        raise UnavailableError("the records' disk is full: make room")

    monkeypatch.setattr("vsv_local.stores.sqlite_records.SqliteImportStore.advance", refuse)
    assert f"FAILED  {path}: the records' disk is full: make room" in shell.run("import", path).output


def test_import_as_json_writes_only_json_to_standard_output(shell: Shell) -> None:
    good = put(shell.scanner, "a.svs")
    result = shell.run("import", good, put(shell.scanner, "b.svs", b"no"), "--json")
    assert result.exit_code == 1
    first, second = json.loads(result.stdout)
    assert first == {"Filename": str(good), "Outcome": "OK", "ImageID": "1004486", "Error": None}
    assert second["ImageID"] is None
    assert "Not a supported slide file" in second["Error"]


def test_repeated_import_changes_no_file(filled: Shell) -> None:
    before = {p: p.stat().st_mtime_ns for p in (filled.data / "slides").rglob("*")}
    assert filled.run("import", filled.scanner / "a.svs").exit_code == 0
    assert {p: p.stat().st_mtime_ns for p in (filled.data / "slides").rglob("*")} == before


def test_import_leaves_the_original_unchanged(filled: Shell) -> None:
    original = filled.scanner / "a.svs"
    assert (original.read_bytes(), original.stat().st_mtime_ns) == (slide_bytes(), OLD)


def test_repeated_import_retries_a_failed_file(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(shell.scanner, "a.svs")
    with monkeypatch.context() as patched:
        patched.setattr("vsv.ingest.extraction.read_scan", lambda _path: 1 / 0)
        assert shell.run("import", path).exit_code == 1
    assert shell.run("import", path).exit_code == 0


def test_import_of_the_same_name_from_two_folders_creates_two_slides(shell: Shell) -> None:
    first = put(shell.scanner, "a.svs")
    second = put(shell.folder / "other", "a.svs", other_scan(slide_bytes()))
    outcomes = shell.json("import", first, second, first)
    ids = [outcome["ImageID"] for outcome in outcomes]
    assert ids[0] == ids[2] == "1004486" != ids[1]
    dates = {r["ImageID"]: r["ScanDate"] for r in shell.json("list")}
    assert dates == {ids[0]: "2009-12-29T09:59:15", ids[1]: "2009-12-30T09:59:15"}


def test_import_of_a_link_copies_its_target(shell: Shell) -> None:
    original = put(shell.folder / "archive", "original.svs")
    shell.scanner.mkdir()
    (shell.scanner / "a.svs").symlink_to(original)
    assert shell.run("import", shell.scanner / "a.svs").exit_code == 0
    assert not (shell.data / "slides/1004486/slide.svs").is_symlink()


def test_import_of_a_deleted_slide_fails_with_the_command_that_undeletes_it(filled: Shell) -> None:
    filled.run("delete", "1004486", "--yes")
    result = filled.run("import", filled.scanner / "a.svs")
    assert result.exit_code == 1
    assert "vsv undelete 1004486" in result.output


def test_import_in_place_writes_derived_files_only_to_the_data_folder(shell: Shell) -> None:
    path = put(shell.scanner, "a.svs")
    assert shell.run("import", path, "--in-place").exit_code == 0
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (slide_bytes(), OLD)
    assert list(shell.scanner.iterdir()) == [path]
    slide = shell.data / "slides/1004486"
    assert (slide / "slide.svs").readlink() == path
    assert {"pyramid.tif", "thumbnail.jpeg"} <= {found.name for found in slide.iterdir()}
    assert shell.run("delete", "1004486", "--yes").exit_code == 0
    assert shell.run("delete", "1004486", "--purge", "--yes").exit_code == 0
    assert path.read_bytes() == slide_bytes()


def test_import_in_place_refuses_and_keeps_a_file_of_the_data_folder(shell: Shell) -> None:
    shell.run("import", put(shell.scanner, "a.svs", slide_bytes()[:-1]))
    (folder,) = (shell.data / "taken").iterdir()
    (kept,) = folder.iterdir()
    assert shell.run("import", kept, "--in-place").exit_code == 1
    assert kept.read_bytes() == slide_bytes()[:-1]


def test_list_returns_records_with_their_documented_fields(filled: Shell) -> None:
    (record,) = filled.json("list")
    assert record.items() >= {
        "ImageID": "1004486", "SlideID": "1004486", "CaseID": "1004486", "Filename": "a.svs", "Status": "NEW",
        "ScanDate": "2009-12-29T09:59:15", "AppMag": "20", "MPP": 0.499, "width": 600, "height": 500,
        "FileSize": len(slide_bytes()), "TileSize": 240, "Compression": "JPEG", "ScannerID": "SS1302", "Version": 1,
    }.items()  # fmt: skip
    assert "lastModified" in record
    assert "1004486" in filled.run("list").output


def test_list_filters_by_status_and_refuses_unknown_status(filled: Shell) -> None:
    assert filled.json("list", "--status", "bad") == []
    assert len(filled.json("list", "--status", "NEW")) == 1
    assert filled.run("list", "--status", "wrong").exit_code == 2


def test_show_returns_a_record_and_refuses_an_unknown_slide(filled: Shell) -> None:
    assert filled.json("show", "1004486") == filled.json("list")[0]
    text = filled.run("show", "1004486").output
    assert "(not readable)" in text
    assert "ScanScope ID" in text
    result = filled.run("show", "unknown")
    assert (result.exit_code, result.output) == (1, "Error: Slide unknown not found\n")


def test_render_skips_complete_slides_and_renders_missing_pyramids(filled: Shell) -> None:
    assert filled.json("render", "--all") == [
        {"Filename": "1004486", "Outcome": "SKIPPED", "ImageID": "1004486", "Error": "it has all its levels"}
    ]
    (filled.data / "slides/1004486/pyramid.tif").unlink()
    assert "1 OK, 0 skipped, 0 failed" in filled.run("render", "1004486", "--jobs", "2").output
    assert "0 OK, 1 skipped, 0 failed" in filled.run("render", "--all").output


def test_render_continues_after_a_failure_and_exits_with_failure(filled: Shell) -> None:
    filled.run("import", put(filled.scanner, "b.svs"))
    ids = [record["ImageID"] for record in filled.json("list")]
    broken, good = (filled.data / "slides" / image_id for image_id in ids)
    (broken / "slide.svs").unlink()
    (good / "pyramid.tif").unlink()
    result = filled.run("render", "--all")
    assert result.exit_code == 1
    assert "1 OK, 0 skipped, 1 failed" in result.output
    result = filled.run("render", "unknown", "..", "--json")
    outcomes = [outcome["Outcome"] for outcome in json.loads(result.stdout)]
    assert (result.exit_code, outcomes) == (1, ["FAILED", "FAILED"])


def test_render_replaces_a_damaged_pyramid(filled: Shell) -> None:
    (filled.data / "slides/1004486/pyramid.tif").write_bytes(b"damaged")
    assert filled.json("render", "--all")[0]["Outcome"] == "OK"
    assert filled.json("render", "--all")[0]["Outcome"] == "SKIPPED"


@pytest.mark.parametrize(
    "arguments", [["render"], ["render", "a", "--all"], ["delete", "a", "--undo", "--purge"]]
)
def test_contradictory_arguments_exit_with_status_2(filled: Shell, arguments: list[str]) -> None:
    assert filled.run(*arguments).exit_code == 2


def test_export_deepzoom_writes_the_tiles_that_the_server_returns(filled: Shell) -> None:
    out = filled.folder / "out"
    assert filled.run("export-deepzoom", "1004486", out).exit_code == 0
    files = sorted(path for path in out.rglob("*") if path.is_file())
    assert len(files) > 12
    with standalone(filled.data):
        for path in files:
            address = f"/DeepZoom/{path.relative_to(out).as_posix()}"
            status, _, body = http_answer(serve_image(http_event("GET", address, "", ()), None))
            assert (status, body) == (200, path.read_bytes())
    assert filled.run("export-deepzoom", "unknown", out).exit_code == 1


def test_export_deepzoom_resumes_and_keeps_existing_tiles(filled: Shell) -> None:
    out = filled.folder / "out"
    filled.run("export-deepzoom", "1004486", out)
    kept, lost = out / "1004486_files/10/0_0.jpeg", out / "1004486_files/10/1_0.jpeg"
    before = lost.read_bytes()
    kept_state = kept.stat().st_mtime_ns
    lost.unlink()
    filled.run("export-deepzoom", "1004486", out)
    assert (lost.read_bytes(), kept.stat().st_mtime_ns) == (before, kept_state)


def test_delete_asks_first_and_undo_restores_the_slide(filled: Shell) -> None:
    assert filled.run("delete", "1004486", answer="n\n").exit_code == 1
    assert len(filled.json("list")) == 1
    assert filled.run("delete", "1004486", answer="y\n").exit_code == 0
    assert filled.json("list") == []
    assert len(filled.json("list", "--status", "DELETED")) == 1
    assert filled.run("delete", "1004486", "--undo").exit_code == 0
    assert filled.json("list")[0]["Status"] == "NEW"
    assert filled.run("delete", "1004486", "--purge", "--yes").exit_code == 1  # it is not deleted
    assert (filled.data / "slides/1004486/slide.svs").exists()


def test_purge_requires_the_typed_id_and_removes_all_image_files(filled: Shell) -> None:
    filled.run("delete", "1004486", "--yes")
    assert filled.run("delete", "1004486", "--purge", answer="1004487\n").exit_code == 1
    assert (filled.data / "deleted/1004486/slide.svs").exists()
    assert filled.run("delete", "1004486", "--purge", answer="1004486\n").exit_code == 0
    assert [path.name for path in (filled.data / "deleted/1004486").iterdir()] == ["import.json"]
    assert filled.run("delete", "1004486", "--undo").exit_code == 1
    assert filled.json("list") == []
    assert filled.run("delete", "unknown", "--yes").exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [["list"], ["show", "x"], ["render", "--all"], ["export-deepzoom", "x", "y"], ["delete", "x"]],
)
def test_missing_data_folder_is_refused_and_not_created(shell: Shell, arguments: list[str]) -> None:
    result = shell.run(*arguments)
    assert result.exit_code == 1
    assert "not found: name the one that the server uses" in result.output
    assert not shell.data.exists()


def test_vsv_data_variable_sets_the_data_folder(filled: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSV_DATA", str(filled.data))
    result = CliRunner().invoke(main, ["list", "--json"])
    assert [record["ImageID"] for record in json.loads(result.stdout)] == ["1004486"]


def test_data_folder_that_cannot_be_created_ends_with_an_error_message(shell: Shell) -> None:
    shell.data.write_text("a file")
    result = CliRunner().invoke(
        main, ["import", str(put(shell.scanner, "a.svs")), "--data", str(shell.data / "x")]
    )
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert "Traceback" not in result.output
