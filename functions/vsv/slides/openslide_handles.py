"""Cache of open OpenSlide objects; an object on which a read has failed is replaced."""

from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TypeVar

from openslide import OpenSlide, OpenSlideCache, OpenSlideError

from vsv.errors import UnavailableError, UnreadableSlideError

Result = TypeVar("Result")

# Each open slide holds file handles and OpenSlide's own tile cache.
MAX_OPEN = 8
# OpenSlide's own cache of a slide, and the tiles that threads need at the same time.
_OWN_CACHE_BYTES, _PIXEL_BYTES, _TILES_AT_ONCE = 32 << 20, 4, 4
_LARGE_TILES_BYTES = 512 << 20
_TILE_SIDES = ("openslide.level[0].tile-width", "openslide.level[0].tile-height")
_open: OrderedDict[tuple[Path, int, int, int, int], OpenSlide] = OrderedDict()
_lock = Lock()


def open_shared(path: Path) -> OpenSlide:
    """Return the cached OpenSlide object of a slide, opened if necessary; raise UnreadableSlideError."""
    try:
        stat = path.stat()
    except OSError as error:
        raise UnavailableError("the slide's file cannot be opened now") from error
    # Another file of this name is another slide, even with the same modification time.
    key = (path, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    with _lock:
        slide = _open.pop(key, None)
        if slide is None or not _usable(slide):
            slide = _open_new(path)
        _open[key] = slide
        while len(_open) > MAX_OPEN:
            # Not closed explicitly: another thread may be reading the slide; the last reference closes it.
            _open.popitem(last=False)
    return slide


def _usable(slide: OpenSlide) -> bool:
    """Return whether no read has failed: after an error, OpenSlide refuses all operations on a slide object."""
    try:
        return bool(slide.level_count)
    except OpenSlideError:
        return False


def read_with_retry(path: Path, read: Callable[[OpenSlide], Result]) -> Result:
    """Return ``read`` of the shared slide object; after an error, maybe another thread's, retry with a new one."""
    try:
        return read(open_shared(path))
    except OpenSlideError:
        with _open_new(path) as private:
            return read(private)


def _open_new(path: Path) -> OpenSlide:
    try:
        slide = OpenSlide(path)
        _make_room(slide)
    except OpenSlideError as error:
        raise UnreadableSlideError("no slide reader can open this file") from error
    return slide


def _make_room(slide: OpenSlide) -> None:
    """Set a cache that holds some of a slide's large tiles: else each small region would decode whole tiles again."""
    width_px, height_px = (int(slide.properties.get(name, 0)) for name in _TILE_SIDES)
    if width_px * height_px * _PIXEL_BYTES * _TILES_AT_ONCE > _OWN_CACHE_BYTES:
        slide.set_cache(_large_tiles())


@cache
def _large_tiles() -> OpenSlideCache:
    """Return the cache that all slides of large tiles share, so that their number does not cost memory."""
    return OpenSlideCache(_LARGE_TILES_BYTES)


def is_known(path: Path) -> bool:
    """Return whether OpenSlide detects one of its slide formats in the file."""
    return vendor(path) is not None


def vendor(path: Path) -> str | None:
    """Return the slide format that OpenSlide detects in the file, None for other files."""
    return OpenSlide.detect_format(path)
