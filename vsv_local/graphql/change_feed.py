"""Deliver changes to followers as they happen, made by this server, its import machine, or any other process.

The store numbers every change; one task looks for new numbers while there are followers. Each change is read once and
handed to all followers. A follower that falls behind gets only the latest state of each record, never an endless
queue.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from review_slides import serializers
from vsv.errors import UnavailableError
from vsv.records.models import JobKind, job_of
from vsv.runtime import current

from vsv_local.stores.sqlite_records import SqliteSlideStore

log = logging.getLogger(__name__)

# A poll costs some microseconds; a person sees a change without delay.
POLL_S = 0.1
# The most records that may wait for a follower; beyond this it must read the list again.
MAX_WAITING = 1000

Fields = dict[str, Any]


class Changed(NamedTuple):
    """One record's new state: ``kind`` is slide, import or job, ``fields`` are those of the schema's type."""

    kind: str
    key: str
    fields: Fields


class FellBehindError(Exception):
    """A follower missed changes: it must read the list again."""


class Follower:
    """Receives the changes of one kind that ``is_wanted`` accepts."""

    def __init__(self, kind: str, is_wanted: Callable[[Fields], bool]) -> None:
        self._kind, self._is_wanted = kind, is_wanted
        self._waiting: OrderedDict[str, Fields] = OrderedDict()
        self._has_changes = asyncio.Event()
        self._fell_behind = False

    def offer(self, changed: Changed) -> None:
        """Queue a change, in the place of an earlier change of the same record; never waits."""
        if changed.kind != self._kind or not self._is_wanted(changed.fields):
            return
        self._waiting[changed.key] = changed.fields
        self._fell_behind = self._fell_behind or len(self._waiting) > MAX_WAITING
        self._has_changes.set()

    async def next(self) -> Fields:
        """Return the next change, after waiting for one; raises FellBehindError when too many were queued."""
        while not self._waiting:
            self._has_changes.clear()
            await self._has_changes.wait()
        if self._fell_behind:
            raise FellBehindError
        return self._waiting.popitem(last=False)[1]


class ChangeFeed:
    """Looks for changes while there are followers, and delivers them."""

    def __init__(self) -> None:
        self._followers: set[Follower] = set()
        self._seq: int | None = None
        self._begin_lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        # A thread of its own: many tiles under way must not delay changes.
        self._thread = ThreadPoolExecutor(1, "live")

    async def begin(self) -> None:
        """Deliver every change from now on."""
        async with (
            self._begin_lock
        ):  # two callers at the same time must not skip changes that one has not seen
            if self._task is None:
                await self._deliver_changes()
                self._task = asyncio.get_running_loop().create_task(self._poll())

    def end(self) -> None:
        """Stop looking for changes: the last connection has closed."""
        if self._task is not None:
            self._task.cancel()
        self._task = self._seq = None

    def follow(self, kind: str, is_wanted: Callable[[Fields], bool]) -> Follower:
        """Return a follower that gets the changes from now on, until ``leave``."""
        follower = Follower(kind, is_wanted)
        self._followers.add(follower)
        return follower

    def leave(self, follower: Follower) -> None:
        """Stop delivering to a follower."""
        self._followers.discard(follower)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self._deliver_changes()
            except UnavailableError as error:
                log.warning("looking for changes: %s", error)
            except Exception:
                log.exception("looking for changes failed; going on")

    async def _deliver_changes(self) -> None:
        loop = asyncio.get_running_loop()
        self._seq, changes = await loop.run_in_executor(self._thread, _changes_since, self._seq)
        for changed in changes:
            for follower in tuple(self._followers):
                follower.offer(changed)


def _changes_since(seq: int | None) -> tuple[int, list[Changed]]:
    """Return the newest number and the records that changed after ``seq``, as they are now."""
    services = current()
    assert isinstance(services.slides, SqliteSlideStore)
    newest, keys = services.slides.changes_since(seq)
    slides = services.slides.get_many([key for kind, key in keys if kind == "slide"])
    imports = [services.imports.get(key) for kind, key in keys if kind == "import"]
    changes = [Changed("slide", record.image_id, serializers.slide(record)) for record in slides]
    changes += [Changed("import", r.filename, serializers.imported(r)) for r in imports if r is not None]
    jobs = [services.jobs.get(image_id, kind) for kind, image_id in _jobs_in(keys)]
    return newest, changes + [Changed("job", r.job_id, serializers.job(r)) for r in jobs if r is not None]


def _jobs_in(keys: list[tuple[str, str]]) -> list[tuple[JobKind, str]]:
    jobs = (job_of(key) for kind, key in keys if kind == "job")
    return [job for job in jobs if job is not None]
