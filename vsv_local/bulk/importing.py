"""``vsv import``: files from anywhere on this machine, each imported to its end, several at once."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Condition, Event

from vsv.errors import InvalidNameError
from vsv.ingest.receive import Receipt, Safety, receive, retry
from vsv.ingest.validation import checksum
from vsv.records.models import ImportRecord, ImportState
from vsv.services import Services

from vsv_local.bulk.file_discovery import UNREADABLE, Found, misnamed, slide_files
from vsv_local.bulk.parallel_work import Outcome, Result, Task, pause
from vsv_local.ingest.import_runner import Intake
from vsv_local.ingest.scanner_folders import ScannerFolders

_POLL_SECONDS = 0.05
# Of what another process does only the records tell.
_OTHERS_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 600.0  # without a word from it; a copy and a rendering note their progress all the time
_UNFINISHED = "it is not finished yet: another process is importing it and does not get on"
_ENDED = (ImportState.READY, ImportState.FAILED)
# A step has tried several times already before its trouble is noted.
_TROUBLES = 2


class FilesAtHand(ScannerFolders):
    """Where the files lie that are being imported now: one of a name at a time, since an import goes by its name."""

    def __init__(self) -> None:
        super().__init__(())
        self._paths: dict[str, Path] = {}
        self._changed = Condition()

    @contextmanager
    def holding(self, path: Path) -> Iterator[None]:
        """Bring this file under its name for the length of a block; waits for another one of that name."""
        with self._changed:
            self._changed.wait_for(lambda: path.name not in self._paths)
            self._paths[path.name] = path
        try:
            yield
        finally:
            with self._changed:
                del self._paths[path.name]
                for key in [key for key in self._known if key[0] == path]:
                    del self._known[key]  # it is of use within one import only, and would grow with each
                self._changed.notify_all()

    def _named(self, filename: str, run: ImportRecord | None) -> list[Path]:
        path = self._paths.get(filename)
        return [path] if path is not None and path.is_file() else super()._named(filename, run)


class FileImporter:
    """Imports single files; any number of threads may ask."""

    def __init__(self, services: Services, intake: Intake, stopping: Event) -> None:
        self._services, self._intake, self._stopping = services, intake, stopping
        self._at_hand = FilesAtHand()
        intake.folders = self._at_hand

    def tasks(self, paths: Sequence[Path]) -> Iterator[Task]:
        """Give the work that each slide of files and folders is."""
        for found in slide_files(paths, self._services.files.root):
            yield Task(str(found.path), found.size, partial(self.bring, found))

    def bring(self, found: Found) -> Outcome:
        """Import a file to its end; raises StoppedError where a person wants to stop."""
        try:
            if found.trouble is not None:
                return _failed(found, found.trouble)
            with self._at_hand.holding(found.path.absolute()):
                return self._bring(found)
        except InvalidNameError:
            return _failed(found, misnamed(found.path.name))
        except OSError:
            return _failed(found, UNREADABLE)

    def _bring(self, found: Found) -> Outcome:
        name, size = found.path.name, found.path.stat().st_size
        receipt = receive(self._services, name, size)
        was_here = receipt.state is ImportState.READY
        if receipt.state is ImportState.FAILED:
            retry(self._services, name)  # who names a file again wants it tried again
        if receipt.state is not ImportState.READY:
            receipt = self._settled(found.path.absolute(), size)
        if receipt.state is ImportState.READY and self._are_several(name, size):
            receipt = receive(self._services, name, size, checksum(found.path))
        return self._outcome(found, receipt, was_here=was_here)

    def _settled(self, path: Path, size: int) -> Receipt:
        """Wait for the end of a file's import, whoever works on it."""
        heard, since, troubles = "", time.monotonic(), 0
        runs: set[str] = set()
        while True:
            self._wait_for_us(path.name)
            run = self._services.imports.get(path.name)
            if (
                run is not None
                and run.state is ImportState.FAILED
                and run.source == str(path.parent.resolve())
            ):
                return Receipt(Safety.NOT_YET, run.state, run.error)  # to ask again would begin again
            unnoted = self._intake.unnoted(run) if run is not None else None
            receipt = receive(self._services, path.name, size)  # takes it up where its process has died
            if receipt.state in _ENDED or run is None:
                return receipt
            troubles += run.error is not None or unnoted is not None
            runs.add(run.run_id)
            if run.updated_at != heard:
                heard, since = run.updated_at, time.monotonic()
            if max(troubles, len(runs) // 2) >= _TROUBLES or time.monotonic() - since > _PATIENCE_SECONDS:
                return replace(receipt, error=unnoted or receipt.error)
            if not self._intake.works_on(run):
                pause(_OTHERS_POLL_SECONDS, self._stopping)

    def _wait_for_us(self, name: str) -> None:
        """Wait until this process has done what it can about a file; stopped, what it does is ended by ``close``."""
        run = self._services.imports.get(name)
        while run is not None and self._intake.works_on(run):
            pause(_POLL_SECONDS, self._stopping)

    def _are_several(self, filename: str, size: int) -> bool:
        """Tell whether only their content tells slides of this name and size apart."""
        page = self._services.slides.by_filename(filename, 100)
        return sum(record.file_size == size for record in page.items) > 1

    def _outcome(self, found: Found, receipt: Receipt, *, was_here: bool) -> Outcome:
        if receipt.state is not ImportState.READY or receipt.image_id is None:
            return _failed(found, receipt.error or _UNFINISHED)
        if self._services.files.is_hidden(receipt.image_id):
            reason = f"it was deleted: vsv delete --undo {receipt.image_id} brings it back"
            # Somebody wants this very file; in a folder it is one that somebody did not want.
            return Outcome(str(found.path), Result.FAILED if found.named else Result.SKIPPED, reason=reason)
        result = Result.SKIPPED if was_here else Result.OK
        return Outcome(str(found.path), result, receipt.image_id)


def _failed(found: Found, reason: str) -> Outcome:
    return Outcome(str(found.path), Result.FAILED, reason=reason)
