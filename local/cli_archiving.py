"""The commands that move originals: archive, restore."""

import json
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from vsv import job_runs, life
from vsv.errors import UnavailableError, VsvError
from vsv.idle_slides import idle
from vsv.installation import Installation
from vsv.records import JobRecord, JobState
from vsv.review import Decider

from local.cli_options import OPERATOR, data_option, existing, json_option

Ask = Callable[[Installation, str, Decider], JobRecord]


@click.command()
@click.argument("image_ids", nargs=-1)
@data_option
@click.option("--idle", "idle_ones", is_flag=True, help="All that nobody has opened for long.")
@click.option(
    "--days", type=click.FloatRange(1), help="How long that is, in days; $VSV_ARCHIVE_AFTER_DAYS, else 180."
)
@click.option("--dry-run", is_flag=True, help="Only tell which they would be.")
@json_option
def archive(
    image_ids: tuple[str, ...],
    data: Path,
    idle_ones: bool,
    days: float | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Move originals to the archive. The slides stay viewable; VSV_ARCHIVE says where the archive is."""
    if bool(image_ids) == idle_ones:
        raise click.UsageError("name the slides to archive, or say --idle")
    with existing(data) as here:
        after = here.settings.archive_after_days if days is None else days
        wanted = list(image_ids)
        if idle_ones:
            found = idle(here, after, datetime.now(UTC), noted=not dry_run)
            wanted = [record.image_id for record in found]
        outcomes = [] if dry_run else _each(here, wanted, life.archive, as_json=as_json)
    if dry_run:
        click.echo(json.dumps(wanted) if as_json else "\n".join([*wanted, f"{len(wanted)} to archive"]))
        return
    _end(outcomes, as_json=as_json)


@click.command()
@click.argument("image_ids", nargs=-1, required=True)
@data_option
@json_option
def restore(image_ids: tuple[str, ...], data: Path, as_json: bool) -> None:
    """Bring originals back from the archive. Say it again to see whether those have come that take hours."""
    with existing(data) as here:
        outcomes = _each(here, image_ids, life.restore, as_json=as_json)
    _end(outcomes, as_json=as_json)


def _each(here: Installation, image_ids: Iterable[str], ask: Ask, *, as_json: bool) -> list[dict[str, Any]]:
    outcomes = []
    for image_id in image_ids:
        outcomes.append(_outcome(here, image_id, ask))
        click.echo(_told(outcomes[-1]), err=as_json)
    return outcomes


def _outcome(here: Installation, image_id: str, ask: Ask) -> dict[str, Any]:
    """Ask for one slide and do what can be done now; one that fails does not stop the others."""
    try:
        job = ask(here, image_id, OPERATOR)
        try:
            job = job_runs.run(here, job)
        except UnavailableError as error:  # a server works on it
            return {"ImageID": image_id, "state": str(job.state), "error": str(error)}
    except VsvError as error:
        return {"ImageID": image_id, "state": str(JobState.FAILED), "error": str(error)}
    told = {"ImageID": image_id, "state": str(job.state), "expected": job.expected_at, "error": job.error}
    return {name: value for name, value in told.items() if value is not None}


def _told(outcome: dict[str, Any]) -> str:
    state = {"DONE": "OK", "WAITING": "waits"}.get(outcome["state"], "failed")
    why = f": {outcome['error']}" if "error" in outcome else ""
    when = f", expected by {outcome['expected'][:16]}Z" if "expected" in outcome else ""
    return f"{outcome['ImageID']}  {state}{when}{why}"


def _end(outcomes: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(outcomes, indent=2, ensure_ascii=False))
    sys.exit(0 if all(outcome["state"] != JobState.FAILED for outcome in outcomes) else 1)
