"""Several processes that serve: all of the server works in each, and none is left when the main one is gone."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from vsv.errors import SettingsError

from tests.support.paths import ROOT
from tests.support.servers.running import Answer, Server, running_site, server, wait_until
from tests.support.slides.small import put, slide_bytes
from vsv_local.server.supervisor import check_count, default_count

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="several processes need Linux")
TILE = "/DeepZoom/1004486_files/10/0_0.jpeg"
SIZE = len(slide_bytes())


def workers_of(running: Server) -> set[int]:
    """Return the process IDs of the server's children."""
    found = subprocess.run(
        ["pgrep", "-P", str(running.process.pid)], check=False, capture_output=True, text=True
    )
    return {int(pid) for pid in found.stdout.split()}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with running_site(tmp_path) as site:
        assert site.bring("a.svs", slide_bytes(label=True)) == 200
    return tmp_path


@pytest.fixture
def running(folder: Path) -> Iterator[Server]:
    with server(folder / "data", "--watch", str(folder / "scanner"), "--workers", "2") as found:
        yield found


def test_workers_all_return_identical_answers(running: Server) -> None:
    assert len(workers_of(running)) == 2
    answers = [running.ask(TILE) for _ in range(20)]  # each its own connection: the kernel spreads them
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert {tuple(sorted(set(answer.headers) - {"date"})) for answer in answers} == {
        tuple(sorted(set(answers[0].headers) - {"date"}))
    }
    assert {running.ask(path).status for path in ("/", "/slides", "/imports")} == {200}


def test_import_requested_from_a_worker_runs_in_the_main_process(folder: Path, tmp_path: Path) -> None:
    scanner = tmp_path / "elsewhere"
    scanner.mkdir()
    with server(folder / "data", "--watch", str(scanner), "--workers", "2") as running:
        # A name that the watcher does not post for a while: it is new, and may be growing.
        path = put(scanner, "b.svs", slide_bytes() + b"another")
        os.utime(path)
        body = json.dumps({"filename": "b.svs", "size": SIZE + len(b"another")}).encode()
        assert running.ask("/ImportSlide", "POST", body=body).status == 202
        wait_until(lambda: b"b.svs" in running.ask("/slides").body, "it was imported")


def test_killed_workers_are_replaced_while_requests_are_still_answered(running: Server) -> None:
    before = workers_of(running)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    assert [running.ask(TILE).status for _ in range(8)] == [200] * 8
    wait_until(lambda: len(workers_of(running) - before) == 2, "two others are there")
    assert "another takes its place" in running.log.read_text()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_end_of_main_process_stops_workers_and_frees_the_port(running: Server, end: signal.Signals) -> None:
    assert running.ask(TILE).status == 200
    pids = workers_of(running)
    idle = http.client.HTTPConnection("127.0.0.1", running.port)
    idle.request("GET", TILE)
    assert idle.getresponse().read()
    running.process.send_signal(end)
    status = running._ended()
    assert status == (-end if end is signal.SIGKILL else 0)
    wait_until(lambda: not any(is_alive(pid) for pid in pids), "its workers are gone, too")
    with pytest.raises(OSError, match="refused"):
        running.ask(TILE)
    idle.close()
    assert "Traceback" not in running.log.read_text()
    assert "leaked" not in running.log.read_text()


def test_second_server_on_a_used_port_exits_and_names_the_port(running: Server, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'functions'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", "from vsv_local.cli.main import main; main()", "serve", "--workers", "2"]
    told = subprocess.run(
        [*command, "--data", str(tmp_path / "other"), "--port", str(running.port)],
        check=False, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert told.returncode == 1
    assert f"port {running.port} on 127.0.0.1 cannot be used" in told.stderr


def test_pipelined_requests_are_answered_in_order(running: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port)
    connection.connect()
    one = f"GET {TILE} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    other = b"GET /DeepZoom/1004486.dzi HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    connection.sock.sendall(one * 3 + other)
    received = b"".join(iter(lambda: connection.sock.recv(1 << 16), b""))
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 4
    assert received.count(running.ask(TILE).body) == 3
    assert received.rstrip().endswith(b"</Image>")
    connection.close()


def test_client_that_reads_no_answer_uses_bounded_worker_memory(running: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=5)
    connection.connect()
    ask = f"GET {TILE} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    before = {pid: memory_kib(pid) for pid in workers_of(running)}
    connection.sock.setblocking(False)
    sent = 0
    try:
        while sent < 64 << 20:  # far more than anything may hold
            sent += connection.sock.send(ask * 500)
    except BlockingIOError:
        pass
    assert running.ask(TILE).status == 200
    assert all(memory_kib(pid) - kib < 64 << 10 for pid, kib in before.items())
    connection.close()


def memory_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_unknown_host_name_is_refused_for_tiles_lists_and_page(running: Server) -> None:
    headers: dict[str, str] = {"host": "evil.example"}
    answers: list[Answer] = [running.ask(path, headers=headers) for path in (TILE, "/slides", "/")]
    assert [answer.status for answer in answers] == [421] * 3


def test_several_workers_are_refused_outside_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= default_count() <= 4
    monkeypatch.setattr(sys, "platform", "win32")
    assert default_count() == 1
    check_count(1)
    with pytest.raises(SettingsError, match="Linux"):
        check_count(2)
