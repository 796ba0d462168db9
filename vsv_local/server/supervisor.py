"""Run the processes that serve, as many as there are cores; replace those that die, and end them with this process.

The main process keeps the watcher and the import machine, of which there must be only one. It opens one socket for
each worker on the same port; the kernel spreads connections over them, and keeps those of a dead worker for its
successor. A single socket for all workers serves as many tiles; docs/performance.md has the figures.
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

from vsv_local.ingest.watched_folders import WatchedFolders
from vsv_local.server.uvicorn_server import GRACE_SECONDS, MAX_CONNECTIONS

log = logging.getLogger(__name__)

MAX_WORKERS = 32
_DEFAULT_WORKERS = 4
_POLL_SECONDS = 0.2
# A worker that cannot even start is restarted no faster than this.
_RESTART_SECONDS = 1.0
_HANDOFF_BYTES = 1 << 16
# -P: Python imports no file of the current folder.
_PROGRAM = ("-P", "-c", "import sys; from vsv_local.server.worker import main; main(sys.argv[1])")


def default_count() -> int:
    """Return how many processes fit this machine: only Linux spreads connections evenly."""
    return min(_DEFAULT_WORKERS, len(os.sched_getaffinity(0))) if sys.platform == "linux" else 1


def check_count(count: int) -> None:
    """Raise SettingsError where this machine cannot run that many processes."""
    if count > 1 and sys.platform != "linux":
        raise SettingsError("several worker processes need Linux: leave --workers out")


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    since: float


class Workers:
    """One worker per socket, for the length of a block; ``resume_file`` is called with files whose imports wait."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        data: Path,
        folders: WatchedFolders,
        names: Sequence[str],
        resume_file: Callable[[str], None],
    ) -> None:
        self._sockets, self._resume_file = sockets, resume_file
        self._worker_arguments = {
            "data": str(data),
            "folders": [str(folder) for folder in folders.roots],
            "recursive": folders.recursive,
            "names": list(names),
            "connections": max(1, MAX_CONNECTIONS // len(sockets)),
        }
        self._workers: list[_Worker] = []
        self._partial_line = b""

    def __enter__(self) -> Self:
        # Only this process holds the other end of the lifeline, so that its death ends the workers.
        self._lifeline, self._lifeline_end = os.pipe()
        self._handoff_read, self._handoff_write = os.pipe()
        self._workers = [self._start(listening) for listening in self._sockets]
        return self

    def __exit__(self, *_raised: object) -> None:
        os.close(self._lifeline_end)
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
            for end in (self._lifeline, self._handoff_read, self._handoff_write):
                os.close(end)

    def watch(self) -> None:
        """Replace workers that die, and resume the imports that they hand over, until interrupted."""
        while True:
            if select.select([self._handoff_read], (), (), _POLL_SECONDS)[0]:
                self._resume_handed_over(os.read(self._handoff_read, _HANDOFF_BYTES))
            for index, worker in enumerate(self._workers):
                if worker.process.poll() is not None:
                    self._replace(index, worker)

    def _resume_handed_over(self, data: bytes) -> None:
        *lines, self._partial_line = (self._partial_line + data).split(b"\n")
        for line in lines:
            self._resume_file(line.decode())

    def _replace(self, index: int, worker: _Worker) -> None:
        if time.monotonic() - worker.since < _RESTART_SECONDS:
            return
        log.warning("a worker ended with status %d: another takes its place", worker.process.returncode)
        self._workers[index] = self._start(self._sockets[index])

    def _start(self, listening: socket.socket) -> _Worker:
        descriptors = {
            "socket": listening.fileno(),
            "lifeline": self._lifeline,
            "handoff": self._handoff_write,
        }
        process = subprocess.Popen(  # noqa: S603  this program itself
            [sys.executable, *_PROGRAM, json.dumps({**self._worker_arguments, **descriptors})],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            stdin=subprocess.DEVNULL,
            pass_fds=tuple(descriptors.values()),
            start_new_session=True,  # only the main process reacts to Ctrl+C
        )
        return _Worker(process, time.monotonic())
