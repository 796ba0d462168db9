"""Several processes on one data folder: the server, its watcher and the command line, all at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.servers.running import DEADLINE_S, check_whole, running_site, server, wait_until
from tests.support.slides.small import OLD, other_scan, put, slide_bytes
from vsv_local.bulk import importing

SIZE = len(slide_bytes())


def start_import(data: Path, *files: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", "from vsv_local.cli.main import main; main()", "import", "--json"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'functions'}{os.pathsep}{ROOT}"}
    return subprocess.Popen(
        [*command, "--data", str(data), *map(str, files)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def test_server_and_two_import_commands_create_a_single_slide_per_file(tmp_path: Path) -> None:
    scanner = tmp_path / "scanner"
    files = [put(scanner, f"{number}.svs", slide_bytes() + bytes(number)) for number in range(4)]
    with server(tmp_path / "data", "--watch", str(scanner)) as running:
        commands = [start_import(tmp_path / "data", *files) for _ in range(2)]
        body = json.dumps({"filename": "0.svs", "size": SIZE}).encode()
        wait_until(
            lambda: running.ask("/ImportSlide", "POST", body=body).status == 200, "the first slide is safe"
        )
        for command in commands:
            told = json.loads(command.communicate(timeout=DEADLINE_S)[0])
            assert {outcome["Error"] for outcome in told} <= {None, importing._UNFINISHED}
        wait_until(lambda: b'"items": []' in running.ask("/imports").body, "all imports ended")
    with running_site(tmp_path) as site:
        assert sorted(record.filename for record in site.records()) == [path.name for path in files]
        assert [record.version for record in site.records()] == [1] * 4
        assert {site.settle(path.name, path.stat().st_size) for path in files} == {200}
        check_whole(site)
    assert all(path.stat().st_mtime_ns == OLD for path in files)


def test_two_commands_importing_different_slides_with_the_same_image_id_keep_both(tmp_path: Path) -> None:
    contents = [slide_bytes(), other_scan(slide_bytes())]
    files = [put(tmp_path / f"scanner{n}", f"{n}.svs", content) for n, content in enumerate(contents)]
    commands = [start_import(tmp_path / "data", path) for path in files]
    ids = [json.loads(command.communicate(timeout=DEADLINE_S)[0])[0]["ImageID"] for command in commands]
    assert "1004486" in ids
    with running_site(tmp_path) as site:
        for image_id, content in zip(ids, contents, strict=True):
            assert site.services.files.slide(image_id).read_bytes() == content


def test_server_completes_an_import_that_another_process_left(tmp_path: Path) -> None:
    with running_site(tmp_path) as site:
        put(site.scanner, "a.svs")
        site.import_runner.close()
        assert site.post("a.svs", SIZE)[0] == 202
    with server(tmp_path / "data") as running:
        wait_until(lambda: b"a.svs" in running.ask("/slides").body, "it was imported")
