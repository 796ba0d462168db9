"""Report a run over many slides while it goes on: a bar on a terminal, one line per slide elsewhere."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, Protocol

import click

from vsv_local.bulk.parallel_work import Outcome, Result, duration, shown
from vsv_local.bulk.run_records import Run, RunState

_EVERY_S = 0.5
_FINE = 1000  # steps of the bar


class Report(Protocol):
    """Receives one outcome after the other."""

    def add(self, outcome: Outcome) -> None:
        """Report the outcome of a slide."""


@contextmanager
def reporting(run: Run, *, as_json: bool) -> Iterator[Report]:
    """Yield a report that suits where the output goes, and print the sums at the end."""
    since = time.monotonic()
    if as_json:
        with _array():
            yield _JsonLines()
    elif sys.stdout.isatty():
        with _bar(run):
            yield _FailuresOnly()
    else:
        yield _Lines(run.state.files)
    click.echo(f"{summary(run.state)} in {duration(time.monotonic() - since)}", err=as_json)


def summary(state: RunState) -> str:
    """Return the counts in a sentence."""
    return f"{state.ok} OK, {state.skipped} skipped, {state.failed} failed"


def line(outcome: Outcome) -> str:
    """Return a slide's outcome in one line."""
    result = "skipped" if outcome.result is Result.SKIPPED else outcome.result.value
    is_slide = f" is slide {outcome.image_id}" if outcome.image_id not in {None, outcome.name} else ""
    reason = f": {outcome.reason}" if outcome.reason else ""
    return f"{result:<7} {shown(outcome.name)}{is_slide}{reason}"


class _Lines:
    def __init__(self, files: int) -> None:
        self.files, self.count = files, 0

    def add(self, outcome: Outcome) -> None:
        self.count += 1
        click.echo(f"[{self.count}/{self.files}] {line(outcome)}")


class _FailuresOnly:
    def add(self, outcome: Outcome) -> None:
        if outcome.result is Result.FAILED:
            click.echo(f"\r\x1b[K{line(outcome)}")  # over the bar, which is drawn again below


@contextmanager
def _bar(run: Run) -> Iterator[None]:
    """Draw a bar of bytes or pixels; a separate thread updates it while one slide takes long."""
    ended = Event()
    bar: click._termui_impl.ProgressBar[int]
    with click.progressbar(length=_FINE, show_eta=False, item_show_func=lambda _item: _bar_text(run)) as bar:

        def draw() -> None:
            while not ended.wait(_EVERY_S):
                bar.pos = round(run.share_done * _FINE)
                bar.render_progress()

        thread = Thread(target=draw, name="bar", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            bar.pos = round(run.share_done * _FINE)
            bar.render_progress()


def _bar_text(run: Run) -> str:
    state = run.state
    left = f", about {duration(state.seconds_left)} remaining" if state.seconds_left else ""
    return f"{summary(state)}{left}"


class _JsonLines:
    """Writes one array, item by item, so that thousands of items need no memory."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, outcome: Outcome) -> None:
        click.echo(("," if self.count else "") + "\n" + json.dumps(wire(outcome)), nl=False)
        self.count += 1


@contextmanager
def _array() -> Iterator[None]:
    click.echo("[", nl=False)
    try:
        yield
    finally:
        click.echo("\n]")


def wire(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome for JSON, with the field names of the wire."""
    return {
        "Filename": outcome.name,
        "Outcome": outcome.result.value,
        "ImageID": outcome.image_id,
        "Error": outcome.reason,
    }
