"""Changes as they happen, for those who follow: made by this server, its import machine, or any other process.

The store numbers every change; one task looks for new numbers while anybody follows. What it finds is read once and
handed to all followers. A follower that falls behind gets each record's latest state only, never an endless queue.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from review_slides import serializers
from vsv.errors import UnavailableError
from vsv.runtime import current

from vsv_local.stores.sqlite_records import SqliteSlideStore

log = logging.getLogger(__name__)

# A look costs some microseconds; a person sees a change at once.
POLL_S = 0.1
# Records that a follower may be behind by; then it is told to begin anew.
MAX_WAITING = 1000

Fields = dict[str, Any]


class Changed(NamedTuple):
    """One record's new state: ``kind`` is slide or import, ``fields`` are those of the schema's type."""

    kind: str
    key: str
    fields: Fields


class FellBehindError(Exception):
    """A follower missed changes: it has to read anew."""


class Follower:
    """One who follows changes of a kind, those that ``wants`` accepts."""

    def __init__(self, kind: str, wants: Callable[[Fields], bool]) -> None:
        self._kind, self._wants = kind, wants
        self._waiting: OrderedDict[str, Fields] = OrderedDict()
        self._some = asyncio.Event()
        self._fell_behind = False

    def offer(self, changed: Changed) -> None:
        """Take a change, in the place of an earlier one of that record; never waits."""
        if changed.kind != self._kind or not self._wants(changed.fields):
            return
        self._waiting[changed.key] = changed.fields
        self._fell_behind = self._fell_behind or len(self._waiting) > MAX_WAITING
        self._some.set()

    async def next(self) -> Fields:
        """Wait for a change; raises FellBehindError when there were too many."""
        while not self._waiting:
            self._some.clear()
            await self._some.wait()
        if self._fell_behind:
            raise FellBehindError
        return self._waiting.popitem(last=False)[1]


class Live:
    """Looks for changes while anybody follows."""

    def __init__(self) -> None:
        self._followers: set[Follower] = set()
        self._seq: int | None = None
        self._beginning = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        # Its own thread: many tiles under way must not hold up the news.
        self._thread = ThreadPoolExecutor(1, "live")

    async def begin(self) -> None:
        """See every change from now on."""
        async with self._beginning:  # two at once must not skip what one of them has not seen
            if self._task is None:
                await self._look()
                self._task = asyncio.get_running_loop().create_task(self._poll())

    def end(self) -> None:
        """Stop looking: the last connection is gone."""
        if self._task is not None:
            self._task.cancel()
        self._task = self._seq = None

    def follow(self, kind: str, wants: Callable[[Fields], bool]) -> Follower:
        """Give a follower that gets the changes from now on, until ``leave``."""
        follower = Follower(kind, wants)
        self._followers.add(follower)
        return follower

    def leave(self, follower: Follower) -> None:
        """Follow no more."""
        self._followers.discard(follower)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self._look()
            except UnavailableError as error:
                log.warning("looking for changes: %s", error)
            except Exception:
                log.exception("looking for changes failed; going on")

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._seq, found = await loop.run_in_executor(self._thread, _changes_since, self._seq)
        for changed in found:
            for follower in tuple(self._followers):
                follower.offer(changed)


def _changes_since(seq: int | None) -> tuple[int, list[Changed]]:
    """Give the newest number and the records that changed after ``seq``, as they are now."""
    services = current()
    assert isinstance(services.slides, SqliteSlideStore)
    newest, keys = services.slides.changes_since(seq)
    slides = services.slides.get_many([key for kind, key in keys if kind == "slide"])
    imports = [services.imports.get(key) for kind, key in keys if kind == "import"]
    found = [Changed("slide", record.image_id, serializers.slide(record)) for record in slides]
    return newest, found + [
        Changed("import", r.filename, serializers.imported(r)) for r in imports if r is not None
    ]
