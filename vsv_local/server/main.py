"""Run the standalone server: watch folders, import new slides, serve slides to browsers."""

import logging
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vsv.barcodes.reader import libdmtx_missing
from vsv.errors import ErrorKind, SettingsError, VsvError
from vsv.ingest import not_imported
from vsv.ingest.deletion_rule import Safety
from vsv.ingest.receive import receive
from vsv.records.models import ImportState
from vsv.runtime import current
from vsv.storage.slide_files import FOLDERS

from vsv_local import web_assets
from vsv_local.backup.restored_marker import PAUSED, is_paused
from vsv_local.composition import standalone
from vsv_local.ingest.watched_folders import WatchedFolders
from vsv_local.ingest.watcher import Watcher
from vsv_local.server.job_threads import JobWorker
from vsv_local.server.supervisor import Workers, check_count
from vsv_local.server.uvicorn_server import make_server

log = logging.getLogger(__name__)

BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Address:
    """The address the server listens on, and the further names that it answers to."""

    host: str
    port: int
    names: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The URL to open in a browser."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104  shown, not bound
        return f"http://{host}:{self.port}/"


def serve(
    data: Path,
    folders: Sequence[Path],
    address: Address,
    *,
    in_place: bool,
    say: Callable[[str], None],
    workers: int = 1,
) -> None:
    """Serve until interrupted; raises SettingsError where the address or a folder cannot be used.

    ``workers`` processes serve beside this one; for 1, this process serves.
    """
    check_count(workers)
    watched = folders if isinstance(folders, WatchedFolders) else WatchedFolders(folders)
    _check_folders(watched.roots, data)
    sockets = _listen(address, workers)
    address = replace(address, port=sockets[0].getsockname()[1])
    with ExitStack() as stack:
        for listening in sockets:
            stack.enter_context(listening)
        services, import_runner = stack.enter_context(standalone(data, watched, in_place=in_place))
        services.files.sweep()
        report = partial(not_imported.write, services.files.root)
        for background in (Watcher(watched, post, import_runner.resume, report), JobWorker(services)):
            background.start()
            stack.callback(background.stop)
        _greet(address, data, watched, in_place, say)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if workers == 1:
            _run(address, sockets[0])
        else:
            names = [address.host, *address.names]
            _watch_workers(Workers(sockets, data, watched, names, import_runner.resume_file))


def _check_folders(folders: Sequence[Path], data: Path) -> None:
    """Raise SettingsError for a folder that is missing, or where the data folder has files of its own."""
    for folder in folders:
        if not folder.is_dir():
            raise SettingsError(f"there is no folder {folder}")
        if any(folder.resolve().is_relative_to((data / name).resolve()) for name in FOLDERS):
            raise SettingsError(
                f"{folder} is part of the data folder: watch the folder that the scanner writes to"
            )


def post(filename: str, size: int) -> bool:
    """Post a file as the scanner does, but not to delete it; return whether the answer is final."""
    try:
        receipt = receive(current(), filename, size)
    except VsvError as error:
        log.warning("%s: %s", filename, error)
        return error.kind in {ErrorKind.BAD_REQUEST, ErrorKind.UNREADABLE}
    except Exception:
        log.exception("%s: this file could not be posted; the others are", filename)
        return False
    return receipt.safety is Safety.SAFE or receipt.state in {ImportState.READY, ImportState.FAILED}


def _listen(address: Address, count: int) -> list[socket.socket]:
    """Return listening sockets, bound before the greeting, so that a taken port is reported first."""
    first = _bound(address)
    if count == 1:
        return [first]
    # The first socket has shown that the port is free: sockets that share a port would not notice another program.
    address = replace(address, port=first.getsockname()[1])
    first.close()
    return [_bound(address, shared=True) for _ in range(count)]


def _bound(address: Address, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        if shared:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind((address.host, address.port))
        if shared:
            listening.listen(BACKLOG)  # connections wait here until the worker has started
    except OSError as error:
        listening.close()
        raise SettingsError(
            f"port {address.port} on {address.host} cannot be used ({error.strerror}):"
            " stop what uses it, or choose another with --port"
        ) from error
    return listening


def _greet(
    address: Address, data: Path, watched: WatchedFolders, in_place: bool, say: Callable[[str], None]
) -> None:
    how = "served in place from" if in_place else "imported from"
    for folder in watched.roots:
        say(f"Slides are {how} {folder}{' and the folders inside' if watched.recursive else ''}")
    say(f"Data folder: {data}")
    if is_paused(data):
        say(f"It {PAUSED}")
    if not web_assets.libraries_installed():
        say(
            "The page's libraries are not installed: the list works, viewing does not."
            " Run scripts/web once (needs npm)."
        )
    if (missing := libdmtx_missing()) is not None:
        say(missing)
    say(f"\n  Open {address.url} in a browser. Ctrl+C stops.\n")


def _run(address: Address, listening: socket.socket) -> None:
    # uvicorn raises the signal again when it has stopped: the block ends in order either way.
    with suppress(KeyboardInterrupt):
        make_server((address.host, *address.names)).run(sockets=[listening])


def _watch_workers(workers: Workers) -> None:
    with suppress(KeyboardInterrupt), workers:
        workers.watch()
