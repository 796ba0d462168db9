"""Files that are read by position, from any thread, for as long as anybody needs them."""

import os
from pathlib import Path

from vsv.errors import FileMissingError, UnavailableError


class OpenFile:
    """A file descriptor that lives as long as anybody uses it.

    Readers in other threads keep it alive by reference, so that dropping a slide from a cache never closes a
    file under a read.
    """

    def __init__(self, path: Path) -> None:
        try:
            self.fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except FileNotFoundError as error:
            self.fd = -1
            raise FileMissingError("the slide's file is not in its place") from error
        except OSError as error:
            self.fd = -1
            raise UnavailableError("the slide's file cannot be opened now") from error

    def read(self, at: int, length: int) -> bytes:
        """Read up to ``length`` bytes; fewer only at the end of the file. Threads do not disturb each other."""
        try:
            return os.pread(self.fd, length, at)
        except OSError as error:
            raise UnavailableError("the slide's file cannot be read now") from error

    def size(self) -> int:
        """Give the file's size in bytes."""
        return os.fstat(self.fd).st_size

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
