"""Cache of open ICC profiles, bounded by bytes: a scanner's profile of 13 MB is read once and not for each tile."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

from vsv.nonblocking import check_may_wait
from vsv.slides.reader import SlideReader

MAX_BYTES = 96 << 20


class Sized(Protocol):
    """An open profile; ``cost`` is the memory that it takes, in bytes."""

    cost: int


Open = TypeVar("Open", bound=Sized)
# A profile's content as a digest, and the open profile; or why there is none: None where the file has no profile.
Outcome = tuple[bytes, Open] | str | None


class ProfileCache(Generic[Open]):
    """Open profiles by content, the most recently used of them, and for each open slide which is its own.

    ``read`` reads and opens the profile of a file, or says why it cannot be used. One thread reads at a time, so that
    memory is bounded; profiles that are cached do not wait for that.
    """

    def __init__(self, read: Callable[[SlideReader], Outcome[Open]], most_bytes: int = MAX_BYTES) -> None:
        self._read, self._most_bytes = read, most_bytes
        self._own: WeakKeyDictionary[SlideReader, bytes | str | None] = WeakKeyDictionary()
        self._profiles: OrderedDict[bytes, Open] = OrderedDict()
        self._lock, self._reading = Lock(), Lock()

    def get(self, reader: SlideReader) -> Open | str | None:
        """Return a file's open profile; the reason, a text, where it cannot be used; None where there is none."""
        try:
            return self._cached(reader)
        except KeyError:
            check_may_wait()
        with self._reading:
            try:
                return self._cached(reader)
            except KeyError:
                return self._store(reader, self._read(reader))

    def by_digest(self, digest: bytes) -> Open | None:
        """Return the open profile of a content, None where it is not cached."""
        with self._lock:
            return self._profiles.get(digest)

    def _cached(self, reader: SlideReader) -> Open | str | None:
        """Return what is known of a file's profile; raise KeyError where it must be read."""
        with self._lock:
            own = self._own[reader]
            if not isinstance(own, bytes):
                return own
            self._profiles.move_to_end(own)
            return self._profiles[own]

    def _store(self, reader: SlideReader, outcome: Outcome[Open]) -> Open | str | None:
        with self._lock:
            if not isinstance(outcome, tuple):
                self._own[reader] = outcome
                return outcome
            self._own[reader], profile = outcome
            self._profiles[outcome[0]] = profile
            self._profiles.move_to_end(outcome[0])
            while (
                len(self._profiles) > 1
                and sum(kept.cost for kept in self._profiles.values()) > self._most_bytes
            ):
                self._profiles.popitem(last=False)
            return profile
