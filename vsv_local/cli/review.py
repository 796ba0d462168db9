"""``vsv mark``: the review of a slide at the command line."""

from pathlib import Path

import click
from vsv.errors import ConflictError, SlideNotFoundError
from vsv.records.models import Status
from vsv.workflow.transitions import change

from vsv_local.cli.options import OPERATOR, data_option, existing

_MARKS = (Status.GOOD, Status.BAD, Status.NEW)


@click.command(short_help="Mark a slide good, bad or new")
@click.argument("image_id")
@click.argument("mark", type=click.Choice([mark.lower() for mark in _MARKS], case_sensitive=False))
@data_option
def mark(image_id: str, mark: str, data: Path) -> None:
    """Mark a slide good or bad after its review, or new to have it reviewed again."""
    status = Status(mark.upper())
    with existing(data) as services:
        record = services.slides.get(image_id)
        if record is None:
            raise SlideNotFoundError(f"Slide {image_id} not found")
        if record.status is Status.DELETED:  # NEW would undelete it
            raise ConflictError(f"Slide {image_id} is deleted: vsv undelete {image_id} undoes that")
        # Of the version that was checked: it may be deleted meanwhile.
        change(services, image_id, {"status": status}, OPERATOR, record.version)
    click.echo(f"Slide {image_id} is {status}")
