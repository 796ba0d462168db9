"""The commands that move originals: archive, unarchive."""

import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import click
from vsv.errors import VsvError
from vsv.lifecycle import requests
from vsv.lifecycle.archive_policy import idle
from vsv.records.models import JobRecord, JobState
from vsv.services import Services
from vsv.settings import Settings
from vsv.workflow.transitions import Decider

from vsv_local.cli.options import OPERATOR, data_option, existing
from vsv_local.cli.run_job import JobFailedError, finish

Ask = Callable[[Services, str, Decider], JobRecord]


@click.command(short_help="Move originals to the archive")
@click.argument("image_ids", nargs=-1)
@data_option
@click.option("--idle", "idle_ones", is_flag=True, help="All slides not opened for N days (see --days).")
@click.option(
    "--days",
    type=click.FloatRange(1),
    help=f"Days without being opened; $VSV_ARCHIVE_AFTER_DAYS, else {Settings().archive_after_days:g}.",
)
@click.option("--dry-run", is_flag=True, help="Only list them.")
def archive(
    image_ids: tuple[str, ...], data: Path, idle_ones: bool, days: float | None, dry_run: bool
) -> None:
    """Move originals to the archive. The slides stay viewable; VSV_ARCHIVE names the archive."""
    if bool(image_ids) == idle_ones:
        raise click.UsageError("name the slides to archive, or use --idle")
    with existing(data) as services:
        wanted: Iterable[str] = image_ids
        if idle_ones:
            found = idle(
                services, days or services.settings.archive_after_days, datetime.now(UTC), noted=not dry_run
            )
            wanted = [record.image_id for record in found]
        if dry_run:
            click.echo("\n".join([*wanted, f"{len(list(wanted))} to archive"]))
            return
        done = [_run_one(services, image_id, requests.archive, "is archived") for image_id in wanted]
    sys.exit(0 if all(done) else 1)


@click.command(short_help="Retrieve originals from the archive")
@click.argument("image_ids", nargs=-1, required=True)
@data_option
def unarchive(image_ids: tuple[str, ...], data: Path) -> None:
    """Retrieve originals from the archive. This may take hours: run it again, or let a server finish."""
    with existing(data) as services:
        done = [_run_one(services, image_id, requests.restore, "is unarchived") for image_id in image_ids]
    sys.exit(0 if all(done) else 1)


def _run_one(services: Services, image_id: str, ask: Ask, done: str) -> bool:
    """Run the job of one slide and print the outcome; a failure does not stop the others."""
    try:
        job = finish(
            services, ask(services, image_id, OPERATOR), lambda text: click.echo(f"Slide {image_id}: {text}")
        )
    except (VsvError, JobFailedError) as error:
        click.echo(f"Slide {image_id}: {error}", err=True)
        return False
    if job.state is JobState.DONE:
        size = int((job.result or {}).get("bytes", 0))
        click.echo(f"Slide {image_id} {done} ({size / 1e6:.1f} MB)")
    return True
