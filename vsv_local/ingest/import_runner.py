"""Run imports on threads of this process, as DataSync and Step Functions do on AWS.

The same step handlers run in the same order. A file lock for each import keeps the server and the command line from
working on the same file; a killed process drops its locks, and the next process resumes its runs.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from extract_metadata.handler import lambda_handler as extract_metadata
from filelock import FileLock, Timeout
from inspect_file.handler import lambda_handler as inspect_file
from render_pyramid.handler import lambda_handler as render_pyramid
from vsv.errors import (
    FileMissingError,
    StillWrittenError,
    UnavailableError,
    UnreadableSlideError,
    VersionConflictError,
    VsvError,
)
from vsv.identifiers import is_set_filename
from vsv.ingest.progress import NotedProgress
from vsv.ingest.runs import NOT_THE_ONE, current_run, record_failure
from vsv.ingest.writer_wait import check_written
from vsv.records.models import ImportRecord, ImportState
from vsv.services import Services
from vsv.storage.slide_files import SlideFiles

from vsv_local.ingest import transfer
from vsv_local.ingest.handoff import FolderSource
from vsv_local.ingest.set_transfer import copy_set, unreadable_set
from vsv_local.ingest.transfer import Transferred

log = logging.getLogger(__name__)

IMPORT_THREADS = 2  # copying waits for disks: two slides can be copied at the same time
MAX_CONSECUTIVE_CRASHES = 50  # of one run; restarts on purpose count too
RETRY_DELAYS_S = (0.5, 2.0)
_UNDER_WAY = (ImportState.TRANSFERRING, ImportState.IMPORTING)


class ImportRunner(FolderSource):
    """Brings files from folders of this machine into the data folder and imports them."""

    def __init__(
        self,
        services: Callable[[], Services],
        folders: Sequence[Path] = (),
        *,
        in_place: bool = False,
        threads: int = IMPORT_THREADS,
    ) -> None:
        super().__init__(folders)
        self._services = services
        self.in_place = in_place
        self._running: set[str] = set()
        self._unrecorded: dict[str, str] = {}
        self._running_lock = Lock()
        self._importers = ThreadPoolExecutor(threads, "import")
        # One at a time: a pyramid takes all cores, and a slide can be viewed before its pyramid is complete.
        self._renderers = ThreadPoolExecutor(1, "render")

    def _record(self, run: ImportRecord, changes: dict[str, Any]) -> None:
        try:
            self._services().imports.advance(run.filename, run.run_id, changes)
        except VersionConflictError:
            return  # the newer run's record counts
        except VsvError as error:
            self._unrecorded[run.run_id] = str(error)
            log.warning("%s: this could not be noted: %s", run.filename, error)

    def start(self, run: ImportRecord) -> None:
        """Queue a run, unless this process runs it already."""
        with self._running_lock:
            if run.run_id in self._running:
                return
            self._running.add(run.run_id)
            self._unrecorded.pop(run.run_id, None)
        self._submit(self._importers, self._import, run)

    def resume(self) -> None:
        """Start the runs that a killed process left under way."""
        for state in _UNDER_WAY:
            token = None
            while True:
                page = self._services().imports.by_state(state, limit=100, token=token)
                for run in page.items:
                    self.start(run)
                if (token := page.next_token) is None:
                    break

    def resume_file(self, filename: str) -> None:
        """Start the run of a file whose import a worker received; after a failure here, ``resume`` starts it."""
        try:
            run = self._services().imports.get(filename)
        except VsvError as error:
            log.warning("%s waits: %s", filename, error)
            return
        if run is not None and run.state in _UNDER_WAY:
            self.start(run)

    def is_busy(self) -> bool:
        """Return whether any run is under way in this process."""
        with self._running_lock:
            return bool(self._running)

    def is_running(self, run: ImportRecord) -> bool:
        """Return whether this process runs an import or has queued it."""
        with self._running_lock:
            return run.run_id in self._running

    def unrecorded_error(self, run: ImportRecord) -> str | None:
        """Return the error that the last try could not even record, on a full disk say; None without one."""
        return self._unrecorded.get(run.run_id)

    def close(self) -> None:
        """Finish the steps under way and start no more."""
        self._importers.shutdown(cancel_futures=True)
        self._renderers.shutdown(cancel_futures=True)

    def _import(self, run: ImportRecord) -> None:
        if self._run_steps(run, (self._transfer, inspect_file, extract_metadata)):
            log.info("%s is viewable", run.filename)
            self._submit(self._renderers, self._render, run)
        else:
            self._release(run)

    def _submit(
        self, pool: ThreadPoolExecutor, work: Callable[[ImportRecord], None], run: ImportRecord
    ) -> None:
        try:
            pool.submit(work, run)
        except RuntimeError:
            self._release(run)  # closing: the next start resumes the run

    def _render(self, run: ImportRecord) -> None:
        if self._run_steps(run, (render_pyramid,)):
            log.info("%s is ready", run.filename)
        self._release(run)

    def _release(self, run: ImportRecord) -> None:
        with self._running_lock:
            self._running.discard(run.run_id)

    def _run_steps(self, run: ImportRecord, steps: Sequence[Callable[[dict[str, Any], Any], Any]]) -> bool:
        """Run steps in order; return whether all of them passed. No exception leaves a thread's last frame."""
        event = {"filename": run.filename, "size": run.size, "runId": run.run_id}
        try:
            with import_lock(self._services().files, run.filename), self._crash_counted(run):
                for step in steps:
                    _with_retries(step, event)
            return True
        except Timeout:
            log.info("%s is being imported by another process", run.filename)
        except VersionConflictError:
            log.info("%s: a newer import has taken this one's place", run.filename)
        except StillWrittenError:
            log.debug("%s waits for its scanner", run.filename)  # its wait was logged when it began
        except UnreadableSlideError as error:
            log.warning("%s failed: %s", run.filename, error)
        except (UnavailableError, OSError) as error:
            log.warning("%s waits: %s", run.filename, error)
            message = str(error) if isinstance(error, VsvError) else "the data folder cannot be used now"
            self._record(run, {"error": message})
        except Exception as error:
            log.exception("%s failed", run.filename)
            reason = (
                str(error) if isinstance(error, VsvError) else "an unexpected error stopped it: see the log"
            )
            self._record(run, {"state": ImportState.FAILED, "error": reason})
        return False

    @contextmanager
    def _crash_counted(self, run: ImportRecord) -> Iterator[None]:
        """Count the run's crashes: a file that ends the process each time must not block all others for ever."""
        services = self._services()
        crashes = current_run(services, run.filename, run.run_id).consecutive_crashes
        if crashes >= MAX_CONSECUTIVE_CRASHES:
            message = f"the program crashed {crashes} times while importing this file: it is not tried again"
            record_failure(services, run, message)
            raise UnreadableSlideError(message)
        services.imports.advance(run.filename, run.run_id, {"consecutive_crashes": crashes + 1})
        try:
            yield
        finally:
            self._record(run, {"consecutive_crashes": 0})

    def _transfer(self, event: dict[str, Any], _context: Any) -> None:
        """Bring the file in, unless an earlier attempt has."""
        services = self._services()
        run = services.imports.get(event["filename"])
        if run is None or run.run_id != event["runId"]:
            raise VersionConflictError("a newer import of this file has replaced this one")
        if run.image_id is not None and services.files.stored_size(run.image_id) == run.size:
            return
        paths = services.files.taken(run.filename, run.run_id), services.files.incoming(run.filename)
        if run.checksum is not None and any(path.exists() for path in paths):
            return
        source = self.folders.path_for(run)
        if source is None:
            raise FileMissingError(
                "the file left the scanner's folder before it was copied: scan the slide again"
            )
        check_written(services, run, source)
        transferred = self._bring(services, run, source)
        services.imports.advance(
            run.filename,
            run.run_id,
            {"checksum": transferred.checksum, "source_modified": transferred.modified},
        )

    def _bring(self, services: Services, run: ImportRecord, source: Path) -> Transferred:
        """Copy or link a run's file; record why the run failed where the file is not a slide that was asked for."""
        is_set = is_set_filename(run.filename)
        copy = partial(copy_set if is_set else transfer.copy, progress=NotedProgress(services, run))
        # A set is copied even where other originals stay in place: each of its files could be changed there.
        is_copied = is_set or not self.in_place
        transfer_file = copy if is_copied else transfer.link
        try:
            transferred = transfer_file(source, services.files, run.filename, run.size)
        except UnreadableSlideError as error:
            record_failure(services, run, str(error), unreadable_set(source))
            raise
        if is_copied and run.expected not in {None, transferred.named or transferred.checksum}:
            record_failure(services, run, NOT_THE_ONE)
            raise UnreadableSlideError(NOT_THE_ONE)
        return transferred


def import_lock(files: SlideFiles, filename: str) -> FileLock:
    """Return the lock on imports of a file of this name; entering a lock that is held raises Timeout."""
    folder = files.root / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(filename.encode()).hexdigest()[:32]
    return FileLock(folder / f"{name}.lock", timeout=0)


def _with_retries(step: Callable[[dict[str, Any], Any], Any], event: dict[str, Any]) -> None:
    """Run a step; after UnavailableError, retry after a pause."""
    for delay_s in RETRY_DELAYS_S:
        try:
            step(event, None)
            return
        except StillWrittenError:
            raise  # a wait of minutes, without a thread
        except UnavailableError as error:
            log.info("%s: trying again: %s", event["filename"], error)
            time.sleep(delay_s)
    step(event, None)
