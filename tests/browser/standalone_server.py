"""The real standalone server, started as its users start it, on a free port with a data folder of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

PATIENCE_S = 30.0
LONG_AGO = 1_000_000_000  # a file as old as this is taken at the next look


class StandaloneServer:
    """One server, its watched folder and its data folder; can be stopped and started again on its port."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.watched, self.data, self.log = folder / "watched", folder / "data", folder / "server.log"
        self.watched.mkdir()
        self.port = _free_port()
        self.settings = settings  # environment variables
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        vsv = Path(sys.executable).with_name("vsv")
        command = [vsv, "serve", "--port", str(self.port), "--data", self.data, "--watch", self.watched]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, **self.settings}
            )
        self._wait_until(self._answers, "the server")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def drop(self, name: str, content: bytes) -> None:
        """Put a file into the watched folder, whole and as if it had lain there for long."""
        unfinished = self.watched / f"{name}.part"
        unfinished.write_bytes(content)
        os.utime(unfinished, (LONG_AGO, LONG_AGO))
        unfinished.replace(self.watched / name)

    def ask(self, query: str, **variables: Any) -> Any:
        """Ask as another technician's program would."""
        answer = httpx.post(f"{self.url}graphql", json={"query": query, "variables": variables}, timeout=20)
        body = answer.json()
        assert "errors" not in body, body
        return body["data"]

    def set(self, image_id: str, **fields: str | None) -> dict[str, Any]:
        """Change a slide behind the browser's back."""
        query = "mutation Set($input: UpdateSlideInput!) { updateSlide(input: $input) { ImageID SlideID Status } }"
        changed: dict[str, Any] = self.ask(query, input={"ImageID": image_id, **fields})["updateSlide"]
        return changed

    def slide(self, image_id: str) -> dict[str, Any]:
        query = "query One($id: String!) { getSlide(ImageID: $id) { ImageID SlideID CaseID Status Version } }"
        found: dict[str, Any] = self.ask(query, id=image_id)["getSlide"]
        return found

    def wait_for_slide(self, image_id: str) -> None:
        query = "query One($id: String!) { getSlide(ImageID: $id) { ImageID } }"
        self._wait_until(lambda: self.ask(query, id=image_id)["getSlide"] is not None, f"slide {image_id}")

    def purge(self, image_id: str) -> None:
        """Delete and purge a slide, and wait until its files are gone."""
        self.set(image_id, Status="DELETED")
        self.ask(
            "mutation Go($id: String!) { purgeSlide(ImageID: $id, confirm: $id) { State } }", id=image_id
        )
        query = "query One($id: String!) { getSlide(ImageID: $id) { Original } }"
        self._wait_until(
            lambda: self.ask(query, id=image_id)["getSlide"]["Original"] == "PURGED", "the purge"
        )

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        try:
            return httpx.get(self.url, timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def _wait_until(self, is_so: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < deadline, f"{what} did not come: {self.log.read_text()}"
            time.sleep(0.05)  # between two looks: what is waited for is the condition


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


def with_image_id(slide: bytes, image_id: str) -> bytes:
    """Return the sample slide with another ImageID of the same length."""
    changed, count = re.subn(rb"\|ImageID = \d{7}", f"|ImageID = {image_id:0>7}".encode(), slide)
    assert count > 0
    assert len(changed) == len(slide)
    return changed
