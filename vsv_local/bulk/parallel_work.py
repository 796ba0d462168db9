"""Run tasks on many slides, several at once, each independent of the others' failures."""

import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from threading import Event
from typing import Protocol, TypeVar

from vsv.errors import VsvError

log = logging.getLogger(__name__)

# The most outcomes that wait behind the next one to report: one slow slide must not block the others, and the queue
# must not grow with the number of slides.
AHEAD = 1000
UNEXPECTED = "an unexpected error stopped it: see the log"


class Result(StrEnum):
    """How one slide's work ended."""

    OK = "OK"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one slide: ``reason`` says why it failed or was skipped, ``image_id`` names the slide."""

    name: str
    result: Result
    image_id: str | None = None
    reason: str | None = None


class StoppedError(Exception):
    """Raised inside a slide's work when a person wants to stop: the slide is neither done nor failed."""


class Journal(Protocol):
    """Records the beginning and end of each slide's work, called from several threads."""

    def begin(self, name: str, amount: int) -> None:
        """Record that work on a slide begins; ``amount`` is its size in bytes or pixels."""

    def end(self, amount: int, outcome: Outcome) -> None:
        """Record how a slide's work ended."""

    def drop(self, name: str) -> None:
        """Record that a slide's work was stopped."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Task:
    """One slide's work; ``amount`` is in bytes or pixels, for the estimate of the time left."""

    name: str
    amount: int
    work: Callable[[], Outcome]


def work_through(tasks: Iterable[Task], journal: Journal, threads: int, stopping: Event) -> Iterator[Outcome]:
    """Run the tasks on this many threads, and yield their outcomes in the order of the tasks.

    Ends early when ``stopping`` is set: tasks under way are finished, the others are not started.
    """
    waiting: deque[Future[Outcome | None]] = deque()
    with ThreadPoolExecutor(threads, "bulk") as pool:
        for task in tasks:
            if stopping.is_set():
                break
            waiting.append(pool.submit(_run_task, task, journal, stopping))
            while waiting and (waiting[0].done() or len(waiting) >= AHEAD):
                yield from _next_outcome(waiting)
        while waiting:
            yield from _next_outcome(waiting)


def _next_outcome(waiting: deque[Future[Outcome | None]]) -> Iterator[Outcome]:
    outcome = waiting.popleft().result()
    if outcome is not None:
        yield outcome


def _run_task(task: Task, journal: Journal, stopping: Event) -> Outcome | None:
    """Run one task; None where it was stopped. No other exception escapes: one slide never stops the others."""
    if stopping.is_set():
        return None
    journal.begin(task.name, task.amount)
    try:
        outcome = task.work()
    except StoppedError:
        journal.drop(task.name)
        return None
    except VsvError as error:
        outcome = Outcome(task.name, Result.FAILED, reason=str(error))
    except Exception:
        log.exception("%s failed", shown(task.name))
        outcome = Outcome(task.name, Result.FAILED, reason=UNEXPECTED)
    journal.end(task.amount, outcome)
    return outcome


@contextmanager
def until_interrupted(say: Callable[[str], None]) -> Iterator[Event]:
    """Yield an event that Ctrl+C or SIGTERM sets; a second signal ends the process at once, as a power cut would."""
    stopping = Event()

    def stop(_number: int, _frame: object) -> None:
        if stopping.is_set():
            os._exit(130)
        stopping.set()
        say("Stopping after the current steps. Press Ctrl+C again to stop now; nothing is lost.")

    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    before = [(number, signal.signal(number, stop)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield stopping
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def pause(seconds: float, stopping: Event) -> None:
    """Wait; raises StoppedError as soon as a person wants to stop."""
    if stopping.wait(seconds):
        raise StoppedError


def shown(name: str) -> str:
    """Return a name without characters that a terminal could interpret: a filename may hold escape sequences."""
    return "".join(character if character.isprintable() else "�" for character in name)


def duration(seconds: float) -> str:
    """Return a span of time for people, in its two largest units."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 90:
        return f"{minutes} min"
    hours = round(minutes / 60)
    return f"{minutes // 60} h {minutes % 60} min" if hours < 48 else f"{hours / 24:.1f} days"
