"""A process that serves a part of the connections: started by ``workers.py``, ended when that lets go of it.

It has the installation's folder and records as every process may; imports that it is asked for it hands over.
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

from vsv_local.composition import worker_installation
from vsv_local.server.uvicorn_server import GRACE_SECONDS, make_server
from vsv_local.settings import log_level

log = logging.getLogger(__name__)


def main(text: str) -> None:
    """Serve until the main process lets go of the lifeline, as it does in dying, too; ``text`` is from there."""
    logging.basicConfig(format="%(levelname)s %(message)s", level=log_level("INFO"))
    told = json.loads(text)
    folders = [Path(folder) for folder in told["folders"]]
    with (
        socket.socket(fileno=told["socket"]) as listening,
        worker_installation(Path(told["data"]), folders, _handing_over(told["handover"])),
    ):
        server = make_server(tuple(told["names"]), told["connections"])
        Thread(target=_end_with, args=(told["lifeline"], server), daemon=True).start()
        server.run(sockets=[listening])
    logging.shutdown()
    os._exit(
        0
    )  # all is closed: taking the interpreter apart would cost time, and noise of libraries' own making


def _handing_over(handover: int) -> Callable[[str], None]:
    os.set_blocking(handover, False)

    def hand_over(filename: str) -> None:
        """Tell the main process that an import of that file waits; a name is shorter than what is written whole."""
        try:
            os.write(handover, f"{filename}\n".encode())
        except OSError:
            log.info("%s waits: it is taken up within a minute", filename)

    return hand_over


def _end_with(lifeline: int, server: uvicorn.Server) -> None:
    """Wait for the lifeline's end, then stop: in order, or hard where something hangs."""
    os.read(lifeline, 1)
    server.should_exit = True
    time.sleep(GRACE_SECONDS + 2)
    os._exit(1)
