"""Watch folders for slides as the scanner's scheduled task does, which posts each finished file repeatedly.

The folders are polled: no notifications arrive from network shares, where scanners write.
"""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from stat import S_ISREG
from threading import Event, Thread

from vsv.errors import FileChangingError, UnreadableSlideError, VsvError
from vsv.formats.file_set import companions_in
from vsv.identifiers import is_set_filename, is_slide_filename

from vsv_local.ingest.dicom_folders import DicomFolders
from vsv_local.ingest.set_transfer import set_state

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
# A file that changed within this time may still be growing, even if its size is the same in two polls.
QUIET_SECONDS = 4.0
OLD_SECONDS = 24 * 3600.0
RESUME_EVERY = 15  # polls

_State = tuple[
    int, int
]  # size in bytes, of a set a number that changes with any file; modification time in ns


class Watcher(Thread):
    """Posts every slide in the folders until the answer is final, and again when the file changes."""

    def __init__(
        self, folders: Sequence[Path], post: Callable[[str, int], bool], resume: Callable[[], None]
    ) -> None:
        super().__init__(name="watcher", daemon=True)
        self.folders, self.post, self.resume = folders, post, resume
        self.stopping = Event()
        self._settled: dict[Path, _State] = {}
        self._seen: dict[Path, tuple[_State, float]] = {}
        self._logged: set[str] = set()
        self._dicom = DicomFolders()

    def run(self) -> None:
        """Poll until ``stop``."""
        polls = 0
        while not self.stopping.is_set():
            try:
                if polls % RESUME_EVERY == 0:
                    self.resume()
                self.poll()
            except (VsvError, OSError) as error:
                log.warning("watching: %s", error)
            except Exception:
                log.exception("watching failed; going on")
            polls += 1
            self.stopping.wait(POLL_SECONDS)

    def stop(self) -> None:
        """Stop after the poll under way."""
        self.stopping.set()
        self.join(timeout=10)

    def poll(self) -> None:
        """Check every folder once; a folder that cannot be read does not block the others."""
        for folder in self.folders:
            try:
                paths = sorted(folder.iterdir())
            except OSError as error:
                self._log_once(str(folder), f"{folder} cannot be read now: {error.strerror}")
                continue
            self._logged.discard(str(folder))
            names = [path.name for path in paths]
            companions = companions_in(folder, names)
            self._dicom.name_in(folder, (name for name in names if name not in companions))
            for path in paths:
                if path.name not in companions:
                    self._post_finished(path)

    def _post_finished(self, path: Path) -> None:
        if not is_slide_filename(path.name):
            if path.suffix.lower() == ".svs" and not path.name.startswith("."):
                self._log_once(
                    str(path), f"{path.name!r} cannot be imported: rename it to plain letters and digits"
                )
            return
        try:
            status = path.stat()
        except OSError:
            return
        state = status.st_size, status.st_mtime_ns
        if not S_ISREG(status.st_mode) or self._settled.get(path) == state:
            return
        whole = self._whole_state(path, state)
        if whole is None or not self._is_quiet(path, whole):
            return
        if self.post(path.name, status.st_size):
            self._settled[path] = state

    def _whole_state(self, path: Path, state: _State) -> _State | None:
        """Return a file's state, of an index file that of its whole set; None while a file of the set is missing."""
        if not is_set_filename(path.name):
            return state
        try:
            whole = set_state(path)
        except FileChangingError as error:
            self._seen.pop(path, None)  # quiet only counts from when the set is whole
            self._log_once(f"{path} {error}", f"{path.name} waits: {error}")
            return None
        except (UnreadableSlideError, OSError):
            return state  # its import fails, and says why
        return whole.fingerprint, whole.newest

    def _is_quiet(self, path: Path, state: _State) -> bool:
        """Return whether a file is finished: written long ago, or unchanged for a while by this machine's clock.

        A file server's clock may be off by hours, so a file that seems an hour old may still be growing.
        """
        if time.time() - state[1] / 1e9 > OLD_SECONDS:
            return True
        last_state, since = self._seen.get(path, (None, 0.0))
        if last_state != state:
            self._seen[path] = state, time.monotonic()
            return False
        return time.monotonic() - since >= QUIET_SECONDS

    def _log_once(self, key: str, message: str) -> None:
        if key not in self._logged:
            self._logged.add(key)
            log.warning("%s", message)
