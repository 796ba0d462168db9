"""Files that any thread reads by position and that stay open while they are referenced."""

import errno
import os
from pathlib import Path

from vsv.errors import FileMissingError, UnavailableError
from vsv.nonblocking import WouldWaitError, is_non_blocking

# Only Linux can report that a read would have to wait for the disk.
_NO_WAIT = getattr(os, "RWF_NOWAIT", None)


class OpenFile:
    """A file descriptor that is closed when its last reference goes.

    References of readers in other threads keep the descriptor open, so that evicting a slide from a cache never
    closes a file during a read. ``is_stale``: another machine has removed the file, and the file server no longer has
    it.
    """

    is_stale = False

    def __init__(self, path: Path) -> None:
        try:
            self.fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except FileNotFoundError as error:
            self.fd = -1
            raise FileMissingError("the slide's file is missing") from error
        except OSError as error:
            self.fd = -1
            raise UnavailableError("the slide's file cannot be opened now") from error

    def read(self, at: int, length: int) -> bytes:
        """Return up to ``length`` bytes from ``at``; fewer only at the end of the file. Safe from several threads."""
        if is_non_blocking():
            return self._read_non_blocking(at, length)
        try:
            return os.pread(self.fd, length, at)
        except OSError as error:
            self.is_stale = error.errno == errno.ESTALE
            raise UnavailableError("the slide's file cannot be read now") from error

    def _read_non_blocking(self, at: int, length: int) -> bytes:
        """Return bytes of the page cache; raise WouldWaitError for all others and at the end of the file."""
        data = bytearray(length)
        try:
            if _NO_WAIT is None or os.preadv(self.fd, [data], at, _NO_WAIT) != length:
                raise WouldWaitError
        except OSError as error:
            raise WouldWaitError from error
        return bytes(data)

    def size(self) -> int:
        """Return the file's size in bytes."""
        return os.fstat(self.fd).st_size

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
