"""``vsv delete``, ``vsv undelete``, ``vsv purge`` and ``vsv send``."""

import sys
from pathlib import Path

import click
from vsv.errors import SlideNotFoundError, VsvError
from vsv.lifecycle import requests
from vsv.records.models import JobKind, SlideRecord, Status
from vsv.services import Services
from vsv.workflow.transitions import change

from vsv_local.cli.options import OPERATOR, data_option, existing
from vsv_local.cli.run_job import JobFailedError, finish

_YES = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command(short_help="Delete a slide (vsv undelete undoes it)")
@click.argument("image_id")
@data_option
@click.option("--undo", is_flag=True, help="The same as vsv undelete.")
@click.option("--purge", "purge_now", is_flag=True, help="The same as vsv purge.")
@_YES
def delete(image_id: str, data: Path, undo: bool, purge_now: bool, yes: bool) -> None:
    """Delete a slide: it is hidden at once, and its files are removed after a grace period.

    Until then, vsv undelete undoes the deletion; vsv purge removes the files now.
    """
    if undo and purge_now:
        raise click.UsageError("--undo and --purge exclude each other")
    with existing(data) as services:
        record = _record(services, image_id)
        if undo:
            click.echo(_undeleted(services, record))
        elif purge_now:
            click.echo(_purged(services, image_id, yes))
        else:
            yes or click.confirm(f"Delete slide {image_id}?", abort=True)
            click.echo(_deleted(services, image_id))


@click.command(short_help="Undo the deletion of a slide")
@click.argument("image_id")
@data_option
def undelete(image_id: str, data: Path) -> None:
    """Undo the deletion of a slide, as long as its files are not purged. The slide is NEW afterwards."""
    with existing(data) as services:
        click.echo(_undeleted(services, _record(services, image_id)))


@click.command(short_help="Permanently remove a deleted slide's files")
@click.argument("image_id")
@data_option
@_YES
def purge(image_id: str, data: Path, yes: bool) -> None:
    """Remove the files of a deleted slide permanently, now, here and in the archive. This cannot be undone."""
    with existing(data) as services:
        _record(services, image_id)
        click.echo(_purged(services, image_id, yes))


def _record(services: Services, image_id: str) -> SlideRecord:
    record = services.slides.get(image_id)
    if record is None:
        raise SlideNotFoundError(f"Slide {image_id} not found")
    return record


def _deleted(services: Services, image_id: str) -> str:
    change(services, image_id, {"status": Status.DELETED}, OPERATOR)
    days = services.settings.grace_days
    return f"Slide {image_id} is deleted; for {days:g} days vsv undelete {image_id} undoes this"


def _undeleted(services: Services, record: SlideRecord) -> str:
    if record.status is not Status.DELETED:
        raise click.ClickException(f"Slide {record.image_id} is not deleted")
    change(services, record.image_id, {"status": Status.NEW}, OPERATOR)
    return f"Slide {record.image_id} is undeleted"


def _purged(services: Services, image_id: str, yes: bool) -> str:
    typed = image_id if yes else click.prompt("This cannot be undone. Type the ImageID to continue")
    job = finish(services, requests.purge(services, image_id, typed, OPERATOR), click.echo)
    result = job.result or {}
    return f"Slide {image_id} is purged: {result.get('files') or 'no files'} ({result.get('bytes', 0)} bytes)"


@click.command(short_help="Send slides' metadata to the registry")
@click.argument("image_ids", nargs=-1, required=True)
@data_option
def send(image_ids: tuple[str, ...], data: Path) -> None:
    """Send slides' metadata to the registry, and mark them SENT once it has acknowledged them."""
    with existing(data) as services:
        sent = [_send_one(services, image_id) for image_id in image_ids]
    sys.exit(0 if all(sent) else 1)


def _send_one(services: Services, image_id: str) -> bool:
    """Send a slide and print the outcome; a failure does not stop the others."""
    try:
        click.echo(f"Slide {image_id} {_sent(services, image_id)}")
    except (VsvError, JobFailedError) as error:
        click.echo(f"Slide {image_id}: {error}", err=True)
        return False
    return True


def _sent(services: Services, image_id: str) -> str:
    before = services.slides.get(image_id)
    if before is not None and before.status is Status.SENT:
        return "is SENT already: to send it again, mark it good first"
    record = change(services, image_id, {"status": Status.SENT}, OPERATOR)
    job = services.jobs.get(image_id, JobKind.SEND)
    if record.status is Status.SENT or job is None:
        return "is marked SENT"
    job = finish(services, job, click.echo)
    return "is SENT" if job.result and job.state == "DONE" else "is waiting for the registry"
