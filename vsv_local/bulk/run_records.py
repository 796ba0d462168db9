"""Record runs over many slides, so that another terminal can show them during the run and afterwards.

``runs/{id}.json`` holds the progress of a run, ``runs/{id}.jsonl`` each slide's outcome, one per line, and the run's
process holds ``runs/{id}.lock``: the kernel releases the lock when that process dies, for any reason.
"""

import dataclasses
import json
import logging
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import Any, Self

from filelock import FileLock, Timeout
from vsv.errors import NotFoundError, UnavailableError
from vsv.storage import atomic_write
from vsv.storage.slide_files import DISK
from vsv.timestamps import now_utc

from vsv_local.bulk.parallel_work import Outcome, Result

log = logging.getLogger(__name__)

FOLDER = "runs"
KEPT = 20
# A person sees no difference, and the disk need not flush for every slide.
EVERY_S = 0.5
# Less work than this gives no reliable rate.
ENOUGH_S = 2.0


class Kind(StrEnum):
    """What a run does with slides."""

    IMPORT = "import"
    RENDER = "render"


class End(StrEnum):
    """How a run ended: all slides were processed, or a person stopped the run."""

    DONE = "done"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """The progress of a run. Times are ISO 8601 UTC; ``now`` are the slides at work.

    ``end`` is None for a run that goes on, and for one that died: ``is_alive`` distinguishes them. ``seconds_left``
    is None where it is not known yet.
    """

    run: str
    kind: Kind
    started_at: str
    updated_at: str
    files: int
    ok: int = 0
    skipped: int = 0
    failed: int = 0
    now: tuple[str, ...] = ()
    seconds_left: float | None = None
    end: End | None = None

    @property
    def left(self) -> int:
        """How many slides are still to be done; slides may have come or gone since they were counted."""
        return max(0, self.files - self.ok - self.skipped - self.failed)

    def to_item(self) -> dict[str, Any]:
        """Return the state for JSON."""
        return dataclasses.asdict(self)


@dataclass(slots=True)
class _AtWork:
    amount: int
    since: float
    share: float = 0.0


class Run:
    """Records one run, for the length of a block; several threads report what begins and ends.

    A record that cannot be written does not stop the run: the slides themselves show the next run what is done.
    """

    def __init__(self, data: Path, kind: Kind, *, files: int, amount: int, threads: int) -> None:
        now = now_utc()
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")  # names sort by time
        self.state = RunState(
            run=f"{stamp}-{secrets.token_hex(2)}", kind=kind, started_at=now, updated_at=now, files=files
        )
        self._folder, self._threads = data / FOLDER, threads
        self._total, self._left, self._worked, self._busy_s = amount, amount, 0, 0.0
        self._at_work: dict[str, _AtWork] = {}
        self._lock = Lock()
        self._written_at = float("-inf")
        self._has_warned = False

    def __enter__(self) -> Self:
        self._run_lock = FileLock(self._folder / f"{self.state.run}.lock", timeout=0)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _remove_old(self._folder)
            self._run_lock.acquire()
        except OSError as error:
            raise UnavailableError(DISK) from error
        self._write(immediately=True)
        return self

    def __exit__(self, *_raised: object) -> None:
        with self._lock:
            self._write(immediately=True)
        self._run_lock.release()

    def close(self, end: End) -> None:
        """Record how the run ended."""
        with self._lock:
            self.state = dataclasses.replace(self.state, end=end, now=(), seconds_left=None)

    def begin(self, name: str, amount: int) -> None:
        """Record that work on a slide begins; ``amount`` is in bytes or pixels."""
        with self._lock:
            self._at_work[name] = _AtWork(amount, time.monotonic())
            self._write()

    def at(self, name: str, done: int, total: int) -> None:
        """Record how much of a slide is done, in any unit."""
        with self._lock:
            if total > 0 and (work := self._at_work.get(name)) is not None:
                work.share = min(done / total, 1.0)
                self._write()

    def drop(self, name: str) -> None:
        """Record that a slide's work was stopped."""
        with self._lock:
            self._at_work.pop(name, None)

    def end(self, amount: int, outcome: Outcome) -> None:
        """Record how a slide's work ended."""
        with self._lock:
            work = self._at_work.pop(outcome.name, None)
            if work is not None and outcome.result is Result.OK:
                self._worked += work.amount
                self._busy_s += time.monotonic() - work.since
            self._left = max(0, self._left - amount)
            field = outcome.result.value.lower()
            self.state = dataclasses.replace(self.state, **{field: getattr(self.state, field) + 1})
            self._append(outcome)
            self._write()

    def _seconds_left(self) -> float | None:
        """Estimate the time left from bytes or pixels, because slides differ a thousandfold in size.

        The rate counts only slides that needed work: skipped slides take no time, and come first where a run is
        resumed. None until enough was done.
        """
        now = time.monotonic()
        parts = [work for work in self._at_work.values() if work.share > 0]
        worked = self._worked + sum(work.share * work.amount for work in parts)
        busy_s = self._busy_s + sum(now - work.since for work in parts)
        if worked <= 0 or busy_s < ENOUGH_S:
            return None
        left = self._left - sum(work.share * work.amount for work in parts)
        return max(0.0, left * busy_s / worked / self._threads)

    @property
    def share_done(self) -> float:
        """The share of all bytes or pixels that is done, 0 to 1."""
        with self._lock:
            left = self._left - sum(work.share * work.amount for work in self._at_work.values())
        return 1 - max(0.0, left) / self._total if self._total else 1.0

    def _append(self, outcome: Outcome) -> None:
        line = json.dumps(dataclasses.asdict(outcome)) + "\n"
        try:
            with (self._folder / f"{self.state.run}.jsonl").open("a", encoding="utf-8") as journal:
                journal.write(line)
        except OSError as error:
            self._warn_once(error)

    def _write(self, *, immediately: bool = False) -> None:
        now = time.monotonic()
        if not immediately and now - self._written_at < EVERY_S:
            return
        self._written_at = now
        seconds_left = None if self.state.end else self._seconds_left()
        self.state = dataclasses.replace(
            self.state,
            updated_at=now_utc(),
            now=tuple(self._at_work),
            seconds_left=None if seconds_left is None else round(seconds_left, 1),
        )
        try:
            atomic_write.write(
                self._folder / f"{self.state.run}.json", json.dumps(self.state.to_item()).encode("utf-8")
            )
        except OSError as error:
            self._warn_once(error)

    def _warn_once(self, error: OSError) -> None:
        if not self._has_warned:
            self._has_warned = True
            log.warning("what this run does cannot be noted for vsv status: %s", error.strerror)


def stored_runs(data: Path) -> Iterator[RunState]:
    """Yield the recorded runs, the latest first; a file that is no run's is skipped."""
    for path in sorted((data / FOLDER).glob("*.json"), reverse=True):
        with suppress(OSError, ValueError, TypeError, KeyError):
            if (state := _state(json.loads(path.read_bytes()))).run == path.stem:
                yield state


def _state(item: dict[str, Any]) -> RunState:
    end = item["end"]
    fields = {"kind": Kind(item["kind"]), "now": tuple(item["now"]), "end": End(end) if end else None}
    return RunState(**(item | fields))


def is_alive(data: Path, run: RunState) -> bool:
    """Return whether a run's process lives: it holds the lock until it ends."""
    path = data / FOLDER / f"{run.run}.lock"
    if not path.exists():
        return False
    if os.name == "nt":
        return _is_held(path)
    import fcntl  # noqa: PLC0415  not on Windows

    try:
        with path.open("rb") as file:
            # Shared: two processes that check at the same time must not mistake each other for the run.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _is_held(path: Path) -> bool:
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


def failures(data: Path, run: RunState) -> Iterator[Outcome]:
    """Yield the outcomes of a run's failed slides, in order; raises NotFoundError where its journal is gone."""
    try:
        journal = (data / FOLDER / f"{run.run}.jsonl").open(encoding="utf-8")
    except FileNotFoundError as error:
        if run.failed == 0:
            return
        raise NotFoundError("the journal of this run was deleted") from error
    with journal:
        for line in journal:
            with suppress(ValueError, TypeError, KeyError):  # a killed run may leave half a last line
                item = json.loads(line)
                outcome = Outcome(**(item | {"result": Result(item["result"])}))
                if outcome.result is Result.FAILED:
                    yield outcome


def _remove_old(folder: Path) -> None:
    """Remove all but the last runs; a run that still goes on is kept."""
    for run in list(stored_runs(folder.parent))[KEPT - 1 :]:
        if is_alive(folder.parent, run):
            continue
        old = folder / f"{run.run}.json"
        for path in (old, old.with_suffix(".jsonl"), old.with_suffix(".lock")):
            path.unlink(missing_ok=True)
    atomic_write.sweep(folder)
