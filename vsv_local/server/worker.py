"""Serve a part of the connections in a process of its own: ``supervisor.py`` starts it, and closes its lifeline.

The process uses the installation's folder and records as every process may; imports that it receives are handed over
to the main process.
"""

import json
import logging
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import uvicorn

from vsv_local.all_settings import log_level
from vsv_local.composition import worker_installation
from vsv_local.ingest.watched_folders import WatchedFolders
from vsv_local.server.uvicorn_server import GRACE_SECONDS, make_server

log = logging.getLogger(__name__)


def main(text: str) -> None:
    """Serve until the main process closes the lifeline, also by dying; ``text`` holds the process's arguments."""
    logging.basicConfig(format="%(levelname)s %(message)s", level=log_level("INFO"))
    arguments = json.loads(text)
    folders = WatchedFolders(
        [Path(folder) for folder in arguments["folders"]], recursive=arguments["recursive"]
    )
    with (
        socket.socket(fileno=arguments["socket"]) as listening,
        worker_installation(Path(arguments["data"]), folders, _handoff_to(arguments["handoff"])),
    ):
        server = make_server(tuple(arguments["names"]), arguments["connections"])
        Thread(target=_stop_with, args=(arguments["lifeline"], server), daemon=True).start()
        server.run(sockets=[listening])
    logging.shutdown()
    os._exit(
        0
    )  # everything is closed: a full interpreter exit would take time, and libraries would log at it


def _handoff_to(pipe: int) -> Callable[[str], None]:
    os.set_blocking(pipe, False)

    def hand_over(filename: str) -> None:
        """Write the filename of a waiting import to the main process; the pipe takes such a short line whole."""
        try:
            os.write(pipe, f"{filename}\n".encode())
        except OSError:
            log.info("%s waits: it is taken up within a minute", filename)

    return hand_over


def _stop_with(lifeline: int, server: uvicorn.Server) -> None:
    """Wait for the lifeline's end, then stop the server in order, or by force where something hangs."""
    os.read(lifeline, 1)
    server.should_exit = True
    time.sleep(GRACE_SECONDS + 2)
    os._exit(1)
