"""Progress of a long import step, stored in the import's record for people who wait."""

import time
from collections.abc import Callable

from vsv.errors import UnavailableError, VersionConflictError
from vsv.records.models import ImportRecord
from vsv.services import Services

# Often enough for people, without a store's write for each tile.
EVERY_S = 0.5


class NotedProgress:
    """Writer of done and total to a run's record, at most every ``EVERY_S`` seconds; called from a single thread.

    An error while writing is ignored: the step's own writes will meet and report the same error.
    """

    def __init__(
        self, services: Services, run: ImportRecord, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._services, self._run, self._clock = services, run, clock
        self._noted_at = clock()

    def __call__(self, done: int, total: int) -> None:
        """Write the progress to the run's record: ``done`` of ``total``, in any unit."""
        now = self._clock()
        if total <= 0 or now - self._noted_at < EVERY_S:
            return
        self._noted_at = now
        progress = round(min(done / total, 1.0), 3)
        try:
            self._services.imports.advance(self._run.filename, self._run.run_id, {"progress": progress})
        except (VersionConflictError, UnavailableError):
            return
