"""Provide ``vsv delete`` and ``vsv send``, which change what happens to slides."""

import sys
from pathlib import Path

import click
from vsv.errors import SlideNotFoundError, VsvError
from vsv.lifecycle import requests
from vsv.records.models import JobKind, Status
from vsv.services import Services
from vsv.workflow.transitions import change

from vsv_local.cli.finishing import JobFailedError, finish
from vsv_local.cli.options import OPERATOR, data_option, existing


@click.command()
@click.argument("image_id")
@data_option
@click.option("--undo", is_flag=True, help="Bring a deleted slide back.")
@click.option("--purge", is_flag=True, help="Remove a deleted slide's files for good, now.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(image_id: str, data: Path, undo: bool, purge: bool, yes: bool) -> None:
    """Hide a slide at once. Its files go after a grace period, in which it can be brought back."""
    if undo and purge:
        raise click.UsageError("--undo and --purge exclude each other")
    with existing(data) as services:
        record = services.slides.get(image_id)
        if record is None:
            raise SlideNotFoundError(f"there is no slide {image_id}")
        if undo and record.status is not Status.DELETED:
            raise click.ClickException(f"slide {image_id} is not deleted")
        if purge:
            click.echo(_purged(services, image_id, yes))
            return
        undo or yes or click.confirm(f"Delete slide {image_id}?", abort=True)
        change(services, image_id, {"status": Status.NEW if undo else Status.DELETED}, OPERATOR)
        days = services.settings.grace_days
    result = "is back" if undo else f"is deleted; for {days:g} days --undo brings it back"
    click.echo(f"Slide {image_id} {result}")


def _purged(services: Services, image_id: str, yes: bool) -> str:
    typed = image_id if yes else click.prompt("This cannot be undone. Type the ImageID to go on")
    job = finish(services, requests.purge(services, image_id, typed, OPERATOR), click.echo)
    result = job.result or {}
    return (
        f"Slide {image_id} was purged: {result.get('files') or 'no files'} ({result.get('bytes', 0)} bytes)"
    )


@click.command()
@click.argument("image_ids", nargs=-1, required=True)
@data_option
def send(image_ids: tuple[str, ...], data: Path) -> None:
    """Send slides' metadata to the registry, and mark them SENT once it has taken them."""
    with existing(data) as services:
        sent = [_send_slide(services, image_id) for image_id in image_ids]
    sys.exit(0 if all(sent) else 1)


def _send_slide(services: Services, image_id: str) -> bool:
    """Send a slide and print the result; a failed slide does not stop the others."""
    try:
        click.echo(f"Slide {image_id} {_mark_and_send(services, image_id)}")
    except (VsvError, JobFailedError) as error:
        click.echo(f"Slide {image_id}: {error}", err=True)
        return False
    return True


def _mark_and_send(services: Services, image_id: str) -> str:
    stored = services.slides.get(image_id)
    if stored is not None and stored.status is Status.SENT:
        return "is SENT already: to send it once more, mark it good first"
    record = change(services, image_id, {"status": Status.SENT}, OPERATOR)
    job = services.jobs.get(image_id, JobKind.SEND)
    if record.status is Status.SENT or job is None:
        return "is marked SENT"
    job = finish(services, job, click.echo)
    return "is SENT" if job.result and job.state == "DONE" else "waits for the registry"
