"""The scanner's script as its timer starts it, and servers that answer wrongly."""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT
from tests.support.servers.running import DEADLINE_S

SCRIPT = ROOT / "scripts/scanner/import_slide.py"
LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (?P<word>[a-z]+): (?P<name>.+?)(?: \((?P<size>\d+) bytes\))?: (?P<text>.+)"
)
SECRET = "only the token server may see this"


@dataclass
class Workstation:
    """A scanner's folder, and the script's own."""

    folder: Path
    state: Path
    url: str = "http://127.0.0.1:9/ImportSlide"
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def start(self, *options: str, url: str | None = None) -> subprocess.Popen[str]:
        """Start one run of the script."""
        command = [sys.executable, str(SCRIPT), "--folder", str(self.folder), "--state", str(self.state)]
        inherited = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        return subprocess.Popen(
            [*command, "--url", url or self.url, *self.options, *options],
            env={**inherited, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *options: str, url: str | None = None) -> dict[str, str]:
        """Run the script once; return each file's word."""
        return {name: word for name, (word, _text) in self.tell(*options, url=url).items()}

    def tell(self, *options: str, url: str | None = None) -> dict[str, tuple[str, str]]:
        """Run the script once; return each file's word and text."""
        running = self.start(*options, url=url)
        output, _ = running.communicate(timeout=DEADLINE_S)
        assert running.returncode == 0, output
        found = [LINE.fullmatch(line) for line in output.splitlines()]
        assert all(found), output
        return {line["name"]: (line["word"], line["text"]) for line in found if line}

    def names(self) -> list[str]:
        """Return the file names in the scanner's folder."""
        return sorted(path.name for path in self.folder.iterdir())

    def log(self) -> str:
        """Return the log's text."""
        return (self.state / "import_slide.log").read_text()


@dataclass
class Asked:
    """A request that a server got."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """Return the JSON object in the body."""
        return dict(json.loads(self.body))


Reply = Callable[["Conversation"], None]


class Conversation(BaseHTTPRequestHandler):
    """One request, which a reply answers in any way."""

    asked: Asked

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked = Asked(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        server = self.server
        assert isinstance(server, ErraticServer)
        server.asked.append(self.asked)
        server.replies[min(len(server.asked), len(server.replies)) - 1](self)

    do_GET = do_POST  # noqa: N815  for those that follow a redirect

    def answer(self, status: int, body: bytes | object, **headers: str) -> None:
        """Send a whole answer."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class ErraticServer(ThreadingHTTPServer):
    """A server that sends the replies in turn, the last one repeatedly."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *replies: Reply) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.replies: tuple[Reply, ...] = replies
        self.asked: list[Asked] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.server_port}/ImportSlide"

    def handle_error(self, *_: object) -> None:
        """Ignore clients that disconnect, which some tests do on purpose."""


@contextmanager
def erratic(*replies: Reply) -> Iterator[ErraticServer]:
    """Run an erratic server for the length of a block."""
    with ErraticServer(*replies) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            running.released.set()
            running.shutdown()
            thread.join()


def echo(conversation: Conversation) -> None:
    """Answer as a server that has stored the file."""
    conversation.answer(200, conversation.asked.body)


def always(status: int, body: bytes | object, **headers: str) -> Reply:
    """Return a reply that is the same for every request."""
    return lambda conversation: conversation.answer(status, body, **headers)


def sha256(content: bytes) -> str:
    """Return the checksum that the script should send."""
    return hashlib.sha256(content).hexdigest()
