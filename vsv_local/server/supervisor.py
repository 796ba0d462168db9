"""The processes that serve, as many as there are cores: one that dies is replaced, none outlives the main process.

The main process keeps what there must be one of: the watcher and the import machine. It opens one socket for each
worker on the same port; the kernel spreads connections over them, and keeps those of a dead worker for its successor.
One socket for all serves as many tiles, docs/performance.md says.
"""

import json
import logging
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vsv.errors import SettingsError

from vsv_local.server.uvicorn_server import GRACE_SECONDS, MAX_CONNECTIONS

log = logging.getLogger(__name__)

MOST = 32
_BY_DEFAULT = 4
_LOOK_SECONDS = 0.2
# A worker that cannot even start is not tried faster than this.
_AGAIN_SECONDS = 1.0
_HANDOVER_BYTES = 1 << 16
# -P: nothing that lies in the current folder is taken for a part of the program.
_PROGRAM = ("-P", "-c", "import sys; from vsv_local.server.worker import main; main(sys.argv[1])")


def default_count() -> int:
    """Give how many processes fit this machine: only Linux spreads connections evenly."""
    return min(_BY_DEFAULT, len(os.sched_getaffinity(0))) if sys.platform == "linux" else 1


def check_count(count: int) -> None:
    """Raise SettingsError where there cannot be that many processes."""
    if count > 1 and sys.platform != "linux":
        raise SettingsError("several worker processes need Linux: leave --workers out")


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    since: float


class Workers:
    """One worker a socket, for the length of a block; ``take_up`` is told of files whose imports wait."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        data: Path,
        folders: Sequence[Path],
        names: Sequence[str],
        take_up: Callable[[str], None],
    ) -> None:
        self._sockets, self._take_up = sockets, take_up
        self._told = {
            "data": str(data),
            "folders": [str(folder) for folder in folders],
            "names": list(names),
            "connections": max(1, MAX_CONNECTIONS // len(sockets)),
        }
        self._workers: list[_Worker] = []
        self._rest = b""

    def __enter__(self) -> Self:
        # Only this process holds the lifeline's other end, so that its death ends the workers.
        self._lifeline, self._held = os.pipe()
        self._handed, self._handover = os.pipe()
        self._workers = [self._start(listening) for listening in self._sockets]
        return self

    def __exit__(self, *_raised: object) -> None:
        os.close(self._held)
        for listening in self._sockets:
            listening.close()  # the port is free as soon as the workers have closed theirs
        deadline = time.monotonic() + GRACE_SECONDS + 3
        try:
            for worker in self._workers:
                worker.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("a worker did not stop and is ended")
        finally:
            for worker in self._workers:
                worker.process.kill()
                worker.process.wait()
            for end in (self._lifeline, self._handed, self._handover):
                os.close(end)

    def watch(self) -> None:
        """Replace workers that die and pass on what they hand over, until interrupted."""
        while True:
            if select.select([self._handed], (), (), _LOOK_SECONDS)[0]:
                self._pass_on(os.read(self._handed, _HANDOVER_BYTES))
            for index, worker in enumerate(self._workers):
                if worker.process.poll() is not None:
                    self._replace(index, worker)

    def _pass_on(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take_up(line.decode())

    def _replace(self, index: int, worker: _Worker) -> None:
        if time.monotonic() - worker.since < _AGAIN_SECONDS:
            return
        log.warning("a worker ended with status %d: another takes its place", worker.process.returncode)
        self._workers[index] = self._start(self._sockets[index])

    def _start(self, listening: socket.socket) -> _Worker:
        ends = {"socket": listening.fileno(), "lifeline": self._lifeline, "handover": self._handover}
        process = subprocess.Popen(  # noqa: S603  this very program
            [sys.executable, *_PROGRAM, json.dumps({**self._told, **ends})],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            stdin=subprocess.DEVNULL,
            pass_fds=tuple(ends.values()),
            start_new_session=True,  # Ctrl+C is the main process's to hear
        )
        return _Worker(process, time.monotonic())
