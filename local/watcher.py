"""Watches folders for slides, as the scanner's scheduled task does: it posts each finished file, again and again.

By polling: notifications are not delivered from network shares, where scanners write.
"""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Thread

from vsv.errors import VsvError
from vsv.names import is_slide_filename

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
# A file written to within this time may still be growing, even if its size rests between two looks.
QUIET_SECONDS = 4.0
RESUME_EVERY = 15  # polls

_State = tuple[int, int]  # size in bytes, modification time in ns


class Watcher(Thread):
    """Posts every slide of the folders until the answer is final, and anew when the file changes."""

    def __init__(
        self, folders: Sequence[Path], post: Callable[[str, int], bool], resume: Callable[[], None]
    ) -> None:
        super().__init__(name="watcher", daemon=True)
        self.folders, self.post, self.resume = folders, post, resume
        self.stopping = Event()
        self._settled: dict[Path, _State] = {}
        self._refused: set[str] = set()

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
        """Look at every folder once."""
        for folder in self.folders:
            for path in sorted(folder.iterdir()):
                self._look(path)

    def _look(self, path: Path) -> None:
        if not is_slide_filename(path.name):
            self._mention(path)
            return
        try:
            found = path.stat()
        except OSError:
            return
        state = found.st_size, found.st_mtime_ns
        if not path.is_file() or self._settled.get(path) == state or _is_fresh(found.st_mtime):
            return
        if self.post(path.name, found.st_size):
            self._settled[path] = state

    def _mention(self, path: Path) -> None:
        """Say once that a file looks like a slide but cannot be taken."""
        if path.suffix.lower() == ".svs" and path.name not in self._refused and not path.name.startswith("."):
            self._refused.add(path.name)
            log.warning("%r cannot be imported: rename it to plain letters and digits", path.name)


def _is_fresh(modified: float) -> bool:
    """Tell whether a file has just been written to; a time in the future says nothing."""
    return 0 <= time.time() - modified < QUIET_SECONDS
