"""The commands that work on many slides: ``vsv import`` and ``vsv render``."""

import json
import sys
from pathlib import Path

import click
from vsv.records import Status

from local import importing_files, rendering
from local.cli_options import data_option, existing, json_option, quiet
from local.cli_slides import all_slides


@click.command("import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@data_option
@click.option("--in-place", is_flag=True, help="Leave the originals where they are; nothing is copied.")
@json_option
def import_files(files: tuple[Path, ...], data: Path, in_place: bool, as_json: bool) -> None:
    """Import slide files, and wait until they are ready. Importing a file again does nothing."""
    outcomes = importing_files.import_files(data, files, in_place=in_place, say=quiet(as_json))
    if as_json:
        click.echo(json.dumps([outcome.to_item() for outcome in outcomes], indent=2))
    sys.exit(0 if all(outcome.image_id for outcome in outcomes) else 1)


@click.command()
@click.argument("image_ids", nargs=-1)
@data_option
@click.option("--all", "everything", is_flag=True, help="Every slide.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Threads; as many as cores if not given.")
@json_option
def render(image_ids: tuple[str, ...], data: Path, everything: bool, jobs: int | None, as_json: bool) -> None:
    """Render the levels that slides lack. Slides that have theirs are skipped, so it can be stopped and resumed."""
    if bool(image_ids) == everything:
        raise click.UsageError("name the slides to render, or say --all")
    with existing(data) as here:
        wanted = image_ids or tuple(r.image_id for r in all_slides(here) if r.status != Status.DELETED)
        counts = rendering.render_all(here, wanted, jobs, say=quiet(as_json), bar=not as_json)
    if as_json:
        click.echo(json.dumps(counts.to_item(), indent=2))
    sys.exit(1 if counts.failed else 0)
