"""Cache of drawn tiles: mostly the cropped tiles at a level's edges.

Each viewer of a slide asks for those, and each costs as much as fifty tiles that are passed through. A key holds the
slide's stamp, so that a tile drawn from another file is never served.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

MAX_BYTES = 16 << 20


class DrawnTiles:
    """Least-recently-used cache of encoded tiles that holds at most ``most_bytes``."""

    def __init__(self, most_bytes: int = MAX_BYTES) -> None:
        self._most_bytes, self._bytes = most_bytes, 0
        self._tiles: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, draw: Callable[[], bytes]) -> bytes:
        """Return the tile of a key, drawn if it is not cached; two concurrent callers may both draw the tile."""
        with self._lock:
            if (cached := self._tiles.get(key)) is not None:
                self._tiles.move_to_end(key)
                return cached
        tile = draw()
        with self._lock:
            if key not in self._tiles and len(tile) <= self._most_bytes:
                self._tiles[key] = tile
                self._bytes += len(tile)
            while self._bytes > self._most_bytes:
                self._bytes -= len(self._tiles.popitem(last=False)[1])
        return tile
