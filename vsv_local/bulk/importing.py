"""Import files from anywhere on this machine, each to its end, several at once: ``vsv import``."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Condition, Event

from vsv.errors import InvalidNameError
from vsv.ingest.deletion_rule import Safety
from vsv.ingest.purged import purged
from vsv.ingest.receive import Receipt, receive, retry
from vsv.ingest.validation import checksum
from vsv.ingest.writer_wait import is_waiting
from vsv.records.models import ImportRecord, ImportState
from vsv.services import Services

from vsv_local.bulk.file_discovery import UNREADABLE, FoundFile, name_problem, slide_files
from vsv_local.bulk.parallel_work import Outcome, Result, Task, pause
from vsv_local.ingest.import_runner import ImportRunner
from vsv_local.ingest.scanner_folders import ScannerFolders

_POLL_SECONDS = 0.05
_WRITER_POLL_SECONDS = 1.0
# Only the records show the progress of another process.
_OTHERS_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 600.0  # without progress; copying and rendering record theirs all the time
_UNFINISHED = "it is not finished yet: another process is importing it and does not get on"
_ENDED = (ImportState.READY, ImportState.FAILED)
# A step has been tried several times already before its error is recorded.
_TROUBLES = 2


class NamedFiles(ScannerFolders):
    """The files being imported now: only one of a name at a time, since an import is identified by its filename."""

    def __init__(self) -> None:
        super().__init__(())
        self._paths: dict[str, Path] = {}
        self._changed = Condition()

    @contextmanager
    def holding(self, path: Path) -> Iterator[None]:
        """Import this file under its name for the length of a block; waits for another one of that name."""
        with self._changed:
            self._changed.wait_for(lambda: path.name not in self._paths)
            self._paths[path.name] = path
        try:
            yield
        finally:
            with self._changed:
                del self._paths[path.name]
                for key in [key for key in self._known if key[0] == path]:
                    del self._known[key]  # used within one import only; the cache would grow with each
                self._changed.notify_all()

    def _named(self, filename: str, run: ImportRecord | None) -> list[Path]:
        path = self._paths.get(filename)
        return [path] if path is not None and path.is_file() else super()._named(filename, run)


class FileImporter:
    """Imports single files; any number of threads may call it. ``again``: purged slides' files as well."""

    def __init__(
        self, services: Services, import_runner: ImportRunner, stopping: Event, *, again: bool = False
    ) -> None:
        self._services, self._import_runner, self._stopping = services, import_runner, stopping
        self._again = again
        self._files = NamedFiles()
        import_runner.folders = self._files

    def tasks(self, paths: Sequence[Path]) -> Iterator[Task]:
        """Yield a task for each slide of files and folders."""
        for file in slide_files(paths, self._services.files.root):
            yield Task(str(file.path), file.size, partial(self.import_file, file))

    def import_file(self, file: FoundFile) -> Outcome:
        """Import a file to its end; raises StoppedError where a person wants to stop."""
        try:
            if file.trouble is not None:
                return _failed(file, file.trouble)
            with self._files.holding(file.path.absolute()):
                return self._import_file(file)
        except InvalidNameError:
            return _failed(file, name_problem(file.path.name))
        except OSError:
            return _failed(file, UNREADABLE)

    def _import_file(self, file: FoundFile) -> Outcome:
        name, size = file.path.name, file.path.stat().st_size
        receipt = receive(self._services, name, size, again=self._again)
        was_here = receipt.state is ImportState.READY
        if receipt.state is ImportState.FAILED:
            if not self._again and self._is_purged(name):
                return _failed(file, receipt.error or _UNFINISHED)
            # Naming a failed file again is a request to retry.
            retry(self._services, name, again=self._again)
        if receipt.state is not ImportState.READY:
            receipt = self._wait_for_end(file.path.absolute(), size)
        if receipt.state is ImportState.READY and self._is_ambiguous(name, size):
            receipt = receive(self._services, name, size, checksum(file.path))
        return self._outcome(file, receipt, was_here=was_here)

    def _is_purged(self, name: str) -> bool:
        """Return whether the latest import of this name failed because its file is a purged slide's."""
        run = self._services.imports.get(name)
        return run is not None and purged(self._services, run.checksum) is not None

    def _wait_for_end(self, path: Path, size: int) -> Receipt:
        """Wait for the end of a file's import, whichever process runs it; return the last receipt."""
        last_update, since, troubles = "", time.monotonic(), 0
        runs: set[str] = set()
        while True:
            self._wait_for_own_run(path.name)
            run = self._services.imports.get(path.name)
            if (
                run is not None
                and run.state is ImportState.FAILED
                and run.source == str(path.parent.resolve())
            ):
                return Receipt(Safety.NOT_YET, run.state, run.error)  # receive() would start it again
            unrecorded = self._import_runner.unrecorded_error(run) if run is not None else None
            receipt = receive(self._services, path.name, size)  # restarts the run if its process has died
            if receipt.state in _ENDED or run is None:
                return receipt
            if is_waiting(run):  # within bounds of its own, and no trouble
                since = time.monotonic()
                pause(_WRITER_POLL_SECONDS, self._stopping)
                continue
            troubles += run.error is not None or unrecorded is not None
            runs.add(run.run_id)
            if run.updated_at != last_update:
                last_update, since = run.updated_at, time.monotonic()
            if max(troubles, len(runs) // 2) >= _TROUBLES or time.monotonic() - since > _PATIENCE_SECONDS:
                return replace(receipt, error=unrecorded or receipt.error)
            if not self._import_runner.is_running(run):
                pause(_OTHERS_POLL_SECONDS, self._stopping)

    def _wait_for_own_run(self, name: str) -> None:
        """Wait until this process's run of a file ends; raises StoppedError, then ``close`` ends the run."""
        run = self._services.imports.get(name)
        while run is not None and self._import_runner.is_running(run):
            pause(_POLL_SECONDS, self._stopping)

    def _is_ambiguous(self, filename: str, size: int) -> bool:
        """Return whether several slides have this name and size, so that only their content distinguishes them."""
        page = self._services.slides.by_filename(filename, 100)
        return sum(record.file_size == size for record in page.items) > 1

    def _outcome(self, file: FoundFile, receipt: Receipt, *, was_here: bool) -> Outcome:
        if receipt.state is not ImportState.READY or receipt.image_id is None:
            return _failed(file, receipt.error or _UNFINISHED)
        if self._services.files.is_hidden(receipt.image_id):
            reason = f"it was deleted: vsv undelete {receipt.image_id} undoes that"
            # A file named by the person is wanted; one in a folder may have been deleted on purpose.
            return Outcome(str(file.path), Result.FAILED if file.named else Result.SKIPPED, reason=reason)
        result = Result.SKIPPED if was_here else Result.OK
        return Outcome(str(file.path), result, receipt.image_id)


def _failed(file: FoundFile, reason: str) -> Outcome:
    return Outcome(str(file.path), Result.FAILED, reason=reason)
