"""Show the runs of this data folder on any terminal: ``vsv status``."""

import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from vsv.errors import NotFoundError

from vsv_local.bulk.parallel_work import duration, shown
from vsv_local.bulk.progress_report import line, summary, wire
from vsv_local.bulk.run_records import RunState, failures, is_alive, stored_runs
from vsv_local.cli.options import missing

_SHOWN = 5
_POLL_SECONDS = 1.0


def items(data: Path, run_id: str | None) -> list[dict[str, Any]]:
    """Return the runs for JSON, the latest first, with the number of slides left and whether the process lives."""
    return [run.to_item() | {"left": run.left, "alive": is_alive(data, run)} for run in _chosen(data, run_id)]


def show(data: Path, run_id: str | None, *, watch: bool) -> None:
    """Print the latest runs; with ``watch``, repeatedly until none goes on or a person interrupts."""
    while True:
        runs = list(_chosen(data, run_id))[:_SHOWN]
        if watch:
            click.clear()
        for run in runs:
            click.echo(_run_text(run, alive=is_alive(data, run)))
        if not runs:
            click.echo("no run of vsv import or vsv render is known here")
        if not watch or not any(is_alive(data, run) for run in runs):
            return
        time.sleep(_POLL_SECONDS)


def list_failures(data: Path, run_id: str | None, *, as_json: bool) -> None:
    """Print the failed slides of a run, the latest where none is named."""
    latest = next(_chosen(data, run_id), None)
    outcomes = failures(data, latest) if latest is not None else iter(())
    if as_json:
        click.echo(json.dumps([wire(outcome) for outcome in outcomes], indent=2))
        return
    for outcome in outcomes:
        click.echo(line(outcome))


def _chosen(data: Path, run_id: str | None) -> Iterator[RunState]:
    if not data.is_dir():
        raise NotFoundError(missing(data))
    runs = [run for run in stored_runs(data) if run_id in {None, run.run}]
    if run_id is not None and not runs:
        raise NotFoundError("there is no run of this name: vsv status lists the last ones")
    yield from runs


def _run_text(run: RunState, *, alive: bool) -> str:
    lines = [f"{run.run}  {run.kind}  {_state(run, alive=alive)}, {summary(run)}, {run.left} left"]
    if alive:
        lines += [f"    now: {shown(name)}" for name in run.now]
        if run.seconds_left is not None:
            lines.append(f"    about {duration(run.seconds_left)} left")
    return "\n".join(lines)


def _state(run: RunState, *, alive: bool) -> str:
    since = _local_time(run.started_at)
    if run.end is not None:
        return f"{run.end} at {_local_time(run.updated_at)}, begun {since}"
    if alive:
        return f"goes on since {since}"
    return f"died; it had begun {since}: the same command again goes on with it"


def _local_time(text: str) -> str:
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")
