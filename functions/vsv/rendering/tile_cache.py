"""Tiles that had to be drawn, kept for a while: the cropped ones at a level's edges, most of all.

Each viewer of a slide asks for them, and each costs as much as fifty that are passed through. A key holds the slide's
stamp, so that what was drawn of another file is never found.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

MAX_BYTES = 16 << 20


class DrawnTiles:
    """The most recently used tiles, of ``most_bytes`` together."""

    def __init__(self, most_bytes: int = MAX_BYTES) -> None:
        self._most_bytes, self._bytes = most_bytes, 0
        self._tiles: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, draw: Callable[[], bytes]) -> bytes:
        """Give the tile of that key, drawn now where it is not here; two at once may both draw it."""
        with self._lock:
            if (found := self._tiles.get(key)) is not None:
                self._tiles.move_to_end(key)
                return found
        made = draw()
        with self._lock:
            if key not in self._tiles and len(made) <= self._most_bytes:
                self._tiles[key] = made
                self._bytes += len(made)
            while self._bytes > self._most_bytes:
                self._bytes -= len(self._tiles.popitem(last=False)[1])
        return made
