"""Cache of decoded blocks of deep or multi-channel images, bounded by bytes: a strip serves many tiles."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

from vsv.formats.tiff_samples import Samples

MAX_BYTES = 96 << 20


class BlockCache:
    """Least-recently-used cache of arrays that holds at most ``most_bytes``, or a single larger array."""

    def __init__(self, most_bytes: int = MAX_BYTES) -> None:
        self._most_bytes, self._bytes = most_bytes, 0
        self._blocks: OrderedDict[Hashable, Samples] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, decode: Callable[[], Samples]) -> Samples:
        """Return the block of a key, decoded if it is not cached; two concurrent callers may both decode it."""
        with self._lock:
            if (cached := self._blocks.get(key)) is not None:
                self._blocks.move_to_end(key)
                return cached
        block = decode()
        with self._lock:
            if key not in self._blocks:
                self._blocks[key] = block
                self._bytes += block.nbytes
            while self._bytes > self._most_bytes and len(self._blocks) > 1:
                self._bytes -= self._blocks.popitem(last=False)[1].nbytes
        return block
