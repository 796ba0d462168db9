"""Exclusive locks on slides, across threads, processes and machines that share the data folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from vsv.errors import UnavailableError
from vsv.identifiers import checked_image_id
from vsv.storage.slide_files import DISK, SlideFiles

BUSY = "something else is being done with this slide: try again when it is finished"


@contextmanager
def locked(files: SlideFiles, image_id: str) -> Iterator[None]:
    """Acquire the slide's exclusive file lock for the block; raise UnavailableError where the lock is held.

    The kernel releases the lock when its holder crashes, on EFS as well: EFS has the file locks of NFSv4.
    """
    with locked_file(files.root / "locks" / checked_image_id(image_id)):
        yield


@contextmanager
def locked_file(path: Path) -> Iterator[None]:
    """Acquire an exclusive lock on a file, made where it is missing; raise UnavailableError where it is held."""
    # Each caller has a separate lock object, so that two threads of one process exclude each other, too.
    lock = FileLock(path, timeout=0, thread_local=False)
    try:
        path.parent.mkdir(exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise UnavailableError(BUSY) from error
    except OSError as error:
        raise UnavailableError(DISK) from error
    try:
        yield
    finally:
        lock.release()
