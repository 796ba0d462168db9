"""The standalone server: watches folders, imports what appears, serves slides to browsers."""

import json
import logging
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import uvicorn
from import_slide.handler import lambda_handler as import_slide
from vsv.barcode import libdmtx_missing
from vsv.errors import SettingsError

from local import static
from local.app import App
from local.events import http_event
from local.graphql.limits import MAX_BODY_BYTES
from local.standalone import standalone
from local.watcher import Watcher

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server listens, and the further names that it answers to."""

    host: str
    port: int
    names: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """What to point a browser at."""
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104  shown, not bound
        return f"http://{shown}:{self.port}/"


def serve(
    data: Path, folders: Sequence[Path], address: Address, *, in_place: bool, say: Callable[[str], None]
) -> None:
    """Serve until interrupted; raises SettingsError where the address or a folder cannot be used."""
    for folder in folders:
        if not folder.is_dir():
            raise SettingsError(f"there is no folder {folder}")
        if any(
            folder.resolve().is_relative_to((data / own).resolve())
            for own in ("incoming", "slides", "deleted")
        ):
            raise SettingsError(
                f"{folder} is part of the data folder: watch the folder that the scanner writes to"
            )
    listening = _listen(address)
    address = replace(address, port=listening.getsockname()[1])
    with listening, standalone(data, folders, in_place=in_place) as (here, intake):
        here.files.sweep()
        watcher = Watcher(folders, post, intake.resume)
        watcher.start()
        _greet(address, data, folders, in_place, say)
        try:
            _run(address, listening)
        finally:
            watcher.stop()


def post(filename: str, size: int) -> bool:
    """Post a file as the scanner does; tell whether the answer is final."""
    body = json.dumps({"filename": filename, "size": size}).encode()
    result = import_slide(http_event("POST", "/ImportSlide", "", (), body), None)
    if result["statusCode"] >= 400 and result["statusCode"] != 422:
        log.warning("%s: %s", filename, json.loads(result["body"]).get("error"))
    return result["statusCode"] in {200, 400, 422} or json.loads(result["body"]).get("state") == "READY"


def _listen(address: Address) -> socket.socket:
    """Bind before anything is promised: a taken port must not be found out after the greeting."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address.host, address.port))
    except OSError as error:
        listening.close()
        raise SettingsError(
            f"port {address.port} on {address.host} cannot be used ({error.strerror}):"
            " stop what uses it, or choose another with --port"
        ) from error
    return listening


def _greet(
    address: Address, data: Path, folders: Sequence[Path], in_place: bool, say: Callable[[str], None]
) -> None:
    how = "served in place from" if in_place else "imported from"
    for folder in folders:
        say(f"Slides are {how} {folder}")
    say(f"Everything made of them is kept in {data}")
    if not static.libraries_installed():
        say(
            "OpenSeadragon is not installed: the list works, viewing does not. Run scripts/web once (needs npm)."
        )
    if (missing := libdmtx_missing()) is not None:
        say(missing)
    say(f"\n  Open {address.url} in a browser. Ctrl+C stops.\n")


def _run(address: Address, listening: socket.socket) -> None:
    config = uvicorn.Config(
        App([address.host, *address.names]),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
        limit_concurrency=500,
        ws="websockets-sansio",
        ws_max_size=MAX_BODY_BYTES,
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # its life cycle is ours to tell
    # uvicorn raises the signal again when it has stopped: either ends the block in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
