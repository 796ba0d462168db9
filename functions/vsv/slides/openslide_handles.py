"""Open OpenSlide objects: a few are kept, and one that has met an error is replaced."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TypeVar

from openslide import OpenSlide, OpenSlideError

from vsv.errors import UnavailableError, UnreadableSlideError

Answer = TypeVar("Answer")

# Each open slide holds file handles and OpenSlide's own tile cache.
MAX_OPEN = 8
_open: OrderedDict[tuple[Path, int, int, int, int], OpenSlide] = OrderedDict()
_lock = Lock()


def opened(path: Path) -> OpenSlide:
    """Open a slide, or give the one already open; raises UnreadableSlideError."""
    try:
        found = path.stat()
    except OSError as error:
        raise UnavailableError("the slide's file cannot be opened now") from error
    # The next file of this name is another slide, even where it was given the same time.
    key = (path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
    with _lock:
        slide = _open.pop(key, None)
        if slide is None or not _usable(slide):
            slide = _open_again(path)
        _open[key] = slide
        while len(_open) > MAX_OPEN:
            # Not closed here: another thread may be reading it, and the last reference closes it.
            _open.popitem(last=False)
    return slide


def _usable(slide: OpenSlide) -> bool:
    """Tell whether no read has failed: OpenSlide refuses everything to a slide object that has met an error."""
    try:
        return bool(slide.level_count)
    except OpenSlideError:
        return False


def asked(path: Path, question: Callable[[OpenSlide], Answer]) -> Answer:
    """Ask the shared slide object, then, should that have met an error, perhaps another thread's, one of our own."""
    try:
        return question(opened(path))
    except OpenSlideError:
        with _open_again(path) as own:
            return question(own)


def _open_again(path: Path) -> OpenSlide:
    try:
        return OpenSlide(path)
    except OpenSlideError as error:
        raise UnreadableSlideError("no slide reader can open this file") from error


def is_known(path: Path) -> bool:
    """Tell whether the file looks like a slide of any format that OpenSlide reads."""
    return OpenSlide.detect_format(path) is not None
