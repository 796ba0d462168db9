"""``vsv status``: the runs of a data folder, shown from any terminal."""

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
_LOOK_SECONDS = 1.0


def items(data: Path, run_id: str | None) -> list[dict[str, Any]]:
    """Return the runs for JSON, the latest first, with the slides remaining and whether their processes live."""
    return [run.to_item() | {"left": run.left, "alive": is_alive(data, run)} for run in _chosen(data, run_id)]


def show(data: Path, run_id: str | None, *, watch: bool) -> None:
    """Print the latest runs; with ``watch``, every second until none is running or Ctrl+C is pressed."""
    while True:
        runs = list(_chosen(data, run_id))[:_SHOWN]
        if watch:
            click.clear()
        for run in runs:
            click.echo(_described(run, alive=is_alive(data, run)))
        if not runs:
            click.echo("No runs of vsv import or vsv render")
        if not watch or not any(is_alive(data, run) for run in runs):
            return
        time.sleep(_LOOK_SECONDS)


def list_failures(data: Path, run_id: str | None, *, as_json: bool) -> None:
    """Print what failed in a run, the latest where none is named."""
    latest = next(_chosen(data, run_id), None)
    found = failures(data, latest) if latest is not None else iter(())
    if as_json:
        click.echo(json.dumps([wire(outcome) for outcome in found], indent=2))
        return
    for outcome in found:
        click.echo(line(outcome))


def _chosen(data: Path, run_id: str | None) -> Iterator[RunState]:
    if not data.is_dir():
        raise NotFoundError(missing(data))
    found = [run for run in stored_runs(data) if run_id in {None, run.run}]
    if run_id is not None and not found:
        raise NotFoundError("run not found: vsv status lists the last ones")
    yield from found


def _described(run: RunState, *, alive: bool) -> str:
    told = [f"{run.run}  {run.kind}  {_state(run, alive=alive)}, {summary(run)}, {run.left} remaining"]
    if alive:
        told += [f"    now: {shown(name)}" for name in run.now]
        if run.seconds_left is not None:
            told.append(f"    about {duration(run.seconds_left)} remaining")
    return "\n".join(told)


def _state(run: RunState, *, alive: bool) -> str:
    since = _local_time(run.started_at)
    if run.end is not None:
        return f"{run.end} at {_local_time(run.updated_at)}, started {since}"
    if alive:
        return f"running since {since}"
    return f"crashed; started {since}: run the same command again to continue"


def _local_time(text: str) -> str:
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")
