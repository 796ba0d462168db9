"""The product while it runs: as an installation inside the test, and as the server that users start."""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from import_slide.handler import lambda_handler as import_slide
from vsv.records.models import ImportState, SlideRecord
from vsv.services import Services
from vsv.slides.slide import open_slide

from tests.support.paths import ROOT
from tests.support.slides.small import put
from vsv_local.composition import standalone
from vsv_local.ingest.import_runner import ImportRunner
from vsv_local.server.api_gateway_events import http_event

DEADLINE_S = 60.0


def wait_until(is_so: Callable[[], Any], what: str, pause_s: float = 0.01) -> Any:
    """Poll until a result is true and return it; fail after a deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if found := is_so():
            return found
        time.sleep(pause_s)
    raise AssertionError(f"waited in vain until {what}")


@dataclass
class Site:
    """One installation inside the test process: its services, and the folder that the scanner writes to."""

    services: Services
    import_runner: ImportRunner
    scanner: Path

    def post(self, filename: object, size: object, **more: object) -> tuple[int, dict[str, Any]]:
        """Post a request as the scanner's script does; return status and body."""
        return self.post_body(json.dumps({"filename": filename, "size": size, **more}).encode())

    def post_body(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """Post any bytes; return status and body."""
        result = import_slide(http_event("POST", "/ImportSlide", "", (), body), None)
        return result["statusCode"], json.loads(result["body"])

    def finish(self) -> None:
        """Wait until no import is running."""
        wait_until(lambda: not self.import_runner.is_busy(), "the import ended")

    def bring(self, name: str = "a.svs", content: bytes | None = None, **more: object) -> int:
        """Write a file as the scanner does and post it until its import has ended; return the last status."""
        path = put(self.scanner, name, content)
        return self.settle(name, path.stat().st_size, **more)

    def settle(self, name: str, size: int, **more: object) -> int:
        """Post until the status is not 202, at most four times; return the last status."""
        for _ in range(4):
            status, _body = self.post(name, size, **more)
            self.finish()
            if status != 202:
                break
        return status

    def records(self) -> list[SlideRecord]:
        """Return every slide's record."""
        return list(self.services.slides.list_all(1000).items)

    def state(self, name: str = "a.svs") -> ImportState | None:
        """Return the state of a file's latest import."""
        run = self.services.imports.get(name)
        return run.state if run else None


def settle(site: Site, path: Path, **more: object) -> int:
    """Post a file that is in the scanner's folder until its import has ended; return the last status."""
    return site.settle(path.name, path.stat().st_size, **more)


def files_below(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files in a folder, at any depth, by their names relative to it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def running_site(folder: Path, *scanners: str, in_place: bool = False) -> Iterator[Site]:
    """Run an installation whose data and scanners' folders are under ``folder``."""
    folders = [folder / name for name in scanners or ("scanner",)]
    for path in folders:
        path.mkdir(exist_ok=True)
    with standalone(folder / "data", folders, in_place=in_place) as (services, import_runner):
        yield Site(services, import_runner, folders[0])


def check_whole(running: Site) -> None:
    """Check what must hold at every moment: each record has its file, and each pyramid is complete."""
    for record in running.records():
        assert running.services.files.stored_size(record.image_id) == record.file_size
    for pyramid in running.services.files.root.glob("slides/*/pyramid.tif"):
        slide = open_slide(pyramid.with_name("slide.svs"), pyramid, pyramid)
        assert set(slide.levels) == set(range(slide.grid.level_count))


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Server:
    """``vsv serve`` as a process of its own, on a free port of 127.0.0.1."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.log = data.with_name(f"{data.name}.log")
        command = [
            sys.executable,
            "-c",
            "from vsv_local.cli.main import main; main()",
            "serve",
            "--port",
            "0",
        ]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'functions'}{os.pathsep}{ROOT}"}
        # One process unless a test needs more: it starts faster.
        if "--workers" not in arguments:
            arguments = (*arguments, "--workers", "1")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--data", str(data), *arguments],
                env={**environment, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "default"},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.port = self._port()

    def _port(self) -> int:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "http://127.0.0.1:" in line:
                return int(line.split("127.0.0.1:")[1].split("/")[0])
        self._ended()
        raise AssertionError(f"the server did not start: {self.log.read_text()}")

    def ask(
        self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """Request exactly this path; raise OSError while the server does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            connection.request(method, path, body or None, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def answers(self) -> bool:
        """Return whether the server answers yet."""
        try:
            return self.ask("/slides").status == 200
        except OSError:
            return False

    def kill(self) -> None:
        """Kill the server without warning, as a power cut does."""
        self.process.kill()
        self._ended()

    def stop(self) -> int:
        """Stop the server as Ctrl+C or a service manager does; return its exit status."""
        self.process.terminate()
        return self._ended()

    def _ended(self) -> int:
        assert self.process.stdout is not None
        status = self.process.wait(DEADLINE_S)
        self.process.stdout.close()
        return status


@contextmanager
def server(data: Path, *arguments: str) -> Iterator[Server]:
    """Run the server for the length of a block."""
    running = Server(data, *arguments)
    try:
        wait_until(running.answers, "the server answers")
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()
