"""Errors of the disks of a backup, as errors of the domain."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from vsv.errors import UnavailableError

NO_DISK = "the backup could not be written: is its disk full, read only or gone?"


@contextmanager
def domain_errors() -> Iterator[None]:
    """Raise UnavailableError, with what to check, where the records or a disk refuse."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise UnavailableError("the records cannot be read or copied now: check both disks") from error
    except OSError as error:
        raise UnavailableError(NO_DISK) from error
