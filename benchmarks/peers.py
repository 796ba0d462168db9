"""Start and stop the servers that benchmarks/serve.py compares, each on a free port of 127.0.0.1."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from vsv.slides.deepzoom_grid import Grid

ROOT = Path(__file__).resolve().parents[1]
PROCESSES = 2
QUALITY = 75
_START_SECONDS = 60.0
_DEBIAN_SBIN = "/usr/sbin"
_IIPSRV = Path("/usr/lib/iipimage-server/iipsrv.fcgi")  # where Debian's package installs it

Address = tuple[int, int, int]


@dataclass(frozen=True)
class Case:
    """The input of all servers: a slide, its grid, its tile at full resolution, and a folder to write to."""

    slide: Path
    grid: Grid
    tile: Path
    data: Path
    image_id: str
    folder: Path


@dataclass(frozen=True)
class Peer:
    """A server: how to start it on a port, and its address of a tile (level, column, row)."""

    name: str
    start: Callable[[Case, int], list["subprocess.Popen[bytes]"]]
    path: Callable[[Case, Address], str]
    missing: Callable[[], str | None] = lambda: None


@contextmanager
def running(peer: Peer, case: Case) -> Iterator[tuple[int, list[int]]]:
    """Run a server; yield its port and its processes' IDs, without their children's."""
    port = free_port()
    processes = peer.start(case, port)
    try:
        _wait(f"http://127.0.0.1:{port}{peer.path(case, (case.grid.max_level, 0, 0))}", processes)
        yield port, [process.pid for process in processes]
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """Return a port that no program uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _wait(url: str, processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with urlopen(url) as answer:
                answer.read()
            return
        except OSError:
            if time.monotonic() > deadline or any(process.poll() is not None for process in processes):
                raise
            time.sleep(0.05)


def _launch(
    case: Case, command: Sequence[object], environment: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    with (case.folder / "servers.log").open("ab") as log:
        return subprocess.Popen(
            [str(part) for part in command], env={**os.environ, **(environment or {})}, stdout=log, stderr=log
        )


def _vsv(case: Case, port: int) -> list["subprocess.Popen[bytes]"]:
    program = (sys.executable, "-c", "from vsv_local.cli.main import main; main()", "serve")
    paths = os.pathsep.join((str(ROOT / "functions"), str(ROOT)))
    return [_launch(case, [*program, "--data", case.data, "--port", port], {"PYTHONPATH": paths})]


def _bare(case: Case, port: int) -> list["subprocess.Popen[bytes]"]:
    options = ("--workers", PROCESSES, "--no-access-log", "--log-level", "error", "--port", port)
    command = (sys.executable, "-m", "uvicorn", "--app-dir", ROOT / "benchmarks", *options, "peer_bare:app")
    return [_launch(case, command, {"TILE_FILE": str(case.tile)})]


def peers_python() -> Path:
    """Return the interpreter that has the peers' packages."""
    return Path(os.environ.get("VSV_PEERS_VENV") or ROOT / ".venv-peers") / "bin" / "python"


def _gunicorn(module: str) -> Callable[[Case, int], list["subprocess.Popen[bytes]"]]:
    def start(case: Case, port: int) -> list["subprocess.Popen[bytes]"]:
        # Threads, because gunicorn's default workers close each connection.
        options = ("-w", PROCESSES, "-k", "gthread", "--threads", 8, "--keep-alive", 75, "--preload")
        command = (peers_python(), "-m", "gunicorn", *options, "-b", f"127.0.0.1:{port}", f"{module}:app")
        environment = {"SLIDE": str(case.slide), "TILE": str(case.grid.tile_size)}
        return [
            _launch(case, [*command, "--chdir", ROOT / "benchmarks", "--log-level", "error"], environment)
        ]

    return start


def _no_venv() -> str | None:
    if peers_python().exists():
        return None
    return "python3 -m venv .venv-peers && .venv-peers/bin/pip install -r benchmarks/requirements-peers.txt"


def pyramidal(case: Case) -> Path:
    """Return the slide as a pyramidal TIFF, the format that iipsrv reads; made once, by vips."""
    path = case.folder / "pyramid.tif"
    if not path.exists():
        size = str(case.grid.tile_size)
        tiling = ("--tile", "--tile-width", size, "--tile-height", size, "--pyramid", "--bigtiff")
        coding = ("--compression", "jpeg", "--Q", str(QUALITY))
        subprocess.run(["vips", "tiffsave", str(case.slide), str(path), *tiling, *coding], check=True)
    return path


def _iipsrv(case: Case, port: int) -> list["subprocess.Popen[bytes]"]:
    environment = {
        "FILESYSTEM_PREFIX": f"{pyramidal(case).parent}/",
        "JPEG_QUALITY": str(QUALITY),
        "VERBOSITY": "0",
    }
    ports = [free_port() for _ in range(PROCESSES)]
    backends = ",\n".join(
        f'("host" => "127.0.0.1", "port" => {own}, "check-local" => "disable")' for own in ports
    )
    configured = case.folder / "lighttpd.conf"
    configured.write_text(
        f'server.modules = ("mod_fastcgi")\nserver.document-root = "{case.folder}"\n'
        f'server.bind = "127.0.0.1"\nserver.port = {port}\n'
        "server.max-keep-alive-requests = 100000000\nserver.max-keep-alive-idle = 75\n"
        f'fastcgi.server = ("/iipsrv.fcgi" => ({backends}))\n'
    )
    served = [_launch(case, [_IIPSRV, "--bind", f"127.0.0.1:{own}"], environment) for own in ports]
    return [*served, _launch(case, [_lighttpd(), "-D", "-f", configured])]


def _lighttpd() -> str:
    return shutil.which("lighttpd") or shutil.which("lighttpd", path=_DEBIAN_SBIN) or ""


def _no_iipsrv() -> str | None:
    if _IIPSRV.exists() and _lighttpd() and shutil.which("vips"):
        return None
    return "apt-get install lighttpd iipimage-server libvips-tools"


def _deepzoom_path(prefix: str, suffix: str) -> Callable[[Case, Address], str]:
    return lambda case, at: f"{prefix.format(case.image_id)}/{at[0]}/{at[1]}_{at[2]}.{suffix}"


BARE = Peer("bare ASGI app, no slide", _bare, lambda _case, _address: "/")
OURS = Peer("vsv serve", _vsv, _deepzoom_path("/DeepZoom/{}_files", "jpeg"))
PEERS = (
    Peer("OpenSlide DeepZoomGenerator", _gunicorn("peer_openslide"), _deepzoom_path("", "jpeg"), _no_venv),
    Peer(
        "large_image",
        _gunicorn("peer_large_image"),
        lambda case, at: f"/{case.grid.max_level - at[0]}/{at[1]}/{at[2]}",
        _no_venv,
    ),
    Peer(
        "iipsrv behind lighttpd",
        _iipsrv,
        _deepzoom_path("/iipsrv.fcgi?DeepZoom=pyramid.tif_files", "jpg"),
        _no_iipsrv,
    ),
)
