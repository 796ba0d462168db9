"""How far a long step of an import is, for people who wait: kept in the import's record."""

import time
from collections.abc import Callable

from vsv.errors import UnavailableError, VersionConflictError
from vsv.records.models import ImportRecord
from vsv.services import Services

# A person sees no difference, and a store is spared a write a tile.
EVERY_S = 0.5


class NotedProgress:
    """Notes done and total in a run's record, at most every ``EVERY_S`` seconds; called from one thread.

    What cannot be noted is not worth failing for: the step itself will meet the same trouble.
    """

    def __init__(
        self, services: Services, run: ImportRecord, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._services, self._run, self._clock = services, run, clock
        self._noted_at = clock()

    def __call__(self, done: int, total: int) -> None:
        """Take how much of how much is done, in whatever unit."""
        now = self._clock()
        if total <= 0 or now - self._noted_at < EVERY_S:
            return
        self._noted_at = now
        progress = round(min(done / total, 1.0), 3)
        try:
            self._services.imports.advance(self._run.filename, self._run.run_id, {"progress": progress})
        except (VersionConflictError, UnavailableError):
            return
