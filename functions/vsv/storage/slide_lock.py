"""One at a time on one slide, across threads, processes and machines that share the data folder."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from vsv.errors import UnavailableError
from vsv.identifiers import checked_image_id
from vsv.storage.slide_files import DISK, SlideFiles

BUSY = "something else is being done with this slide: try again when it is finished"


@contextmanager
def locked(files: SlideFiles, image_id: str) -> Iterator[None]:
    """Be the only one at work on a slide's files; raises UnavailableError where somebody else is.

    The kernel lets go of the lock when its holder dies, on EFS as well: its file locks are NFSv4's.
    """
    path = files.root / "locks" / checked_image_id(image_id)
    # A lock of its own for each caller: two threads of one process exclude each other, too.
    held = FileLock(path, timeout=0, thread_local=False)
    try:
        path.parent.mkdir(exist_ok=True)
        held.acquire()
    except Timeout as error:
        raise UnavailableError(BUSY) from error
    except OSError as error:
        raise UnavailableError(DISK) from error
    try:
        yield
    finally:
        held.release()
