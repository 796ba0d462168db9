"""Work on many slides: several at once, each to an end of its own, whatever becomes of the others."""

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

# So many slides are looked for ahead of the one that is told of next: one that takes long must not hold up the
# others, and what waits must not grow with the number of slides.
AHEAD = 1000
UNEXPECTED = "an unexpected error stopped it: see the log"


class Result(StrEnum):
    """How one slide's work ended."""

    OK = "OK"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one slide: ``reason`` says why it failed or was skipped, ``image_id`` which slide it is."""

    name: str
    result: Result
    image_id: str | None = None
    reason: str | None = None


class StoppedError(Exception):
    """Raised inside a slide's work when a person wants to stop: the slide is neither done nor failed."""


class Journal(Protocol):
    """Is told what begins and ends, from several threads."""

    def begin(self, name: str, amount: int) -> None:
        """Note that work on a slide begins; ``amount`` is how much there is of it."""

    def end(self, amount: int, outcome: Outcome) -> None:
        """Note how it ended."""

    def drop(self, name: str) -> None:
        """Note that it was stopped."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Task:
    """One slide's work; ``amount`` is in bytes or pixels, for the estimate of the time left."""

    name: str
    amount: int
    work: Callable[[], Outcome]


def work_through(tasks: Iterable[Task], journal: Journal, threads: int, stopping: Event) -> Iterator[Outcome]:
    """Do the tasks, as many at once as there are threads, and give their outcomes in the order of the tasks.

    Ends early when ``stopping`` is set: what has begun then ends, the rest is left.
    """
    waiting: deque[Future[Outcome | None]] = deque()
    with ThreadPoolExecutor(threads, "bulk") as pool:
        for task in tasks:
            if stopping.is_set():
                break
            waiting.append(pool.submit(_done, task, journal, stopping))
            while waiting and (waiting[0].done() or len(waiting) >= AHEAD):
                yield from _given(waiting)
        while waiting:
            yield from _given(waiting)


def _given(waiting: deque[Future[Outcome | None]]) -> Iterator[Outcome]:
    outcome = waiting.popleft().result()
    if outcome is not None:
        yield outcome


def _done(task: Task, journal: Journal, stopping: Event) -> Outcome | None:
    """Do one task; None where it was stopped. Nothing else escapes: one slide never stops the others."""
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
    """Give an event that Ctrl+C or SIGTERM sets; the second time ends the process at once, as a power cut may."""
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
    """Wait; raises StoppedError as soon as somebody wants to stop."""
    if stopping.wait(seconds):
        raise StoppedError


def shown(name: str) -> str:
    """Give a name as a terminal may be shown it: a file can be called anything, escape sequences too."""
    return "".join(character if character.isprintable() else "�" for character in name)


def duration(seconds: float) -> str:
    """Write a span of time for people, in its two largest units."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 90:
        return f"{minutes} min"
    hours = round(minutes / 60)
    return f"{minutes // 60} h {minutes % 60} min" if hours < 48 else f"{hours / 24:.1f} days"
