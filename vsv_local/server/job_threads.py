"""Run the standalone server's jobs on threads of the main process: one for files, one for sending, which may hang."""

import logging
import time
from collections.abc import Callable, Iterable
from threading import Event, Thread

from vsv.errors import VsvError
from vsv.lifecycle import daily_schedule
from vsv.lifecycle.job_runner import run_due
from vsv.records.models import JobKind
from vsv.services import Services
from vsv.workflow.job_queue import OF_FILES

from vsv_local.backup.restored_marker import ALLOWED_JOBS, is_paused

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
DAY_SECONDS = 24 * 3600.0
# A step under way may be copying gigabytes: a killed step is run again, so stopping need not wait for its end.
STOP_SECONDS = 3.0


class JobWorker:
    """Runs due jobs until it is stopped; in a paused data folder only jobs that change nothing elsewhere."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stopping = Event()
        self._last_daily_look = -DAY_SECONDS
        self._threads = [
            Thread(target=self._loop, args=(self._work_on_files,), name="jobs", daemon=True),
            Thread(target=self._loop, args=(self._send,), name="sending", daemon=True),
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Start no more jobs, and wait briefly for those under way."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(STOP_SECONDS)

    def _loop(self, work: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            try:
                work()
            except (VsvError, OSError) as error:
                log.warning("jobs wait: %s", error)
            except Exception:
                log.exception("a look at the jobs failed; going on")
            self._stopping.wait(POLL_SECONDS)

    def _work_on_files(self) -> None:
        if is_paused(self._services.files.root):
            self._run(ALLOWED_JOBS)
            return
        # A monotonic clock: a slide's waiting time is counted from one daily look to the next.
        if time.monotonic() - self._last_daily_look >= DAY_SECONDS:
            self._last_daily_look = time.monotonic()
            for job in daily_schedule.look(self._services):
                log.info("%s: %s", job.job_id, (job.detail or {}).get("because", ""))
        self._run(OF_FILES)

    def _send(self) -> None:
        if self._services.settings.sending and not is_paused(self._services.files.root):
            self._run([JobKind.SEND])

    def _run(self, kinds: Iterable[JobKind]) -> None:
        for job in run_due(self._services, kinds, lambda: not self._stopping.is_set()):
            log.info("%s: %s%s", job.job_id, job.state, f" ({job.error})" if job.error else "")
