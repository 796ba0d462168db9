"""The standalone server's jobs, on threads of the main process: one for files, one for sending, which may hang."""

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

from vsv_local.backup.restored_marker import HARMLESS, rests

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
DAY_SECONDS = 24 * 3600.0
# A step under way may be copying gigabytes: it can be killed and is run again, so nobody waits long for it.
STOP_SECONDS = 3.0


class JobWorker:
    """Runs what is due until it is stopped; in a data folder that rests only what changes nothing elsewhere."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stopping = Event()
        self._looked = -DAY_SECONDS
        self._threads = [
            Thread(target=self._loop, args=(self._work_on_files,), name="jobs", daemon=True),
            Thread(target=self._loop, args=(self._send,), name="sending", daemon=True),
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin no more, and wait a little for what is under way."""
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
            self._stopping.wait(LOOK_SECONDS)

    def _work_on_files(self) -> None:
        if rests(self._services.files.root):
            self._run(HARMLESS)
            return
        # By a clock that does not jump: how long a slide has waited is counted from one look to the next.
        if time.monotonic() - self._looked >= DAY_SECONDS:
            self._looked = time.monotonic()
            for job in daily_schedule.look(self._services):
                log.info("%s: %s", job.job_id, (job.detail or {}).get("because", ""))
        self._run(OF_FILES)

    def _send(self) -> None:
        if self._services.settings.sending and not rests(self._services.files.root):
            self._run([JobKind.SEND])

    def _run(self, kinds: Iterable[JobKind]) -> None:
        for job in run_due(self._services, kinds, lambda: not self._stopping.is_set()):
            log.info("%s: %s%s", job.job_id, job.state, f" ({job.error})" if job.error else "")
