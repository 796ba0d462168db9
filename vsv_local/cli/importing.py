"""Provide the commands for many slides: ``vsv import``, ``vsv render``, and ``vsv status`` for their runs."""

import json
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import click
from vsv.pyramids.renderer import cores

from vsv_local.bulk.file_discovery import slide_files
from vsv_local.bulk.importing import FileImporter
from vsv_local.bulk.parallel_work import Task, until_interrupted, work_through
from vsv_local.bulk.progress_report import reporting
from vsv_local.bulk.rendering import SLIDES_AT_ONCE, Renderer, slides_to_render
from vsv_local.bulk.run_records import End, Kind, Run
from vsv_local.cli import run_status
from vsv_local.cli.options import data_option, existing, json_option, quiet
from vsv_local.composition import standalone
from vsv_local.settings import is_log_level_set

# docs/bulk.md has the measurements.
DEFAULT_IMPORTS = 2
STOPPED = 130  # a shell's exit status for Ctrl+C


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@data_option
@click.option("--in-place", is_flag=True, help="Leave the originals where they are; nothing is copied.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=DEFAULT_IMPORTS,
    show_default=True,
    help="Slides that are copied and read at once. Rendering uses all cores anyway, for a slide at a time.",
)
@json_option
def import_files(paths: tuple[Path, ...], data: Path, in_place: bool, jobs: int, as_json: bool) -> None:
    """Import slide files and the slides of folders, however deep, and wait until they are ready.

    Importing again does what was left undone and nothing else, so it can be stopped and resumed. vsv status shows a
    run from another terminal.
    """
    with (
        standalone(data, in_place=in_place, threads=jobs) as (services, import_runner),
        until_interrupted(quiet(True)) as stopping,
        _without_import_log(),
    ):
        services.files.sweep()
        sizes = _Total(file.size for file in slide_files(paths, services.files.root))
        # More than are copied: a slide that waits for its rendering must not keep the next one from being copied.
        threads = 2 * jobs
        with Run(data, Kind.IMPORT, files=sizes.files, amount=sizes.amount, threads=threads) as run:
            tasks = FileImporter(services, import_runner, stopping).tasks(paths)
            _run_tasks(tasks, run, threads, stopping, as_json=as_json)


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
    jobs = jobs or cores()
    slides_at_once = min(SLIDES_AT_ONCE, jobs)
    with existing(data) as services, until_interrupted(quiet(True)) as stopping:
        pixels = _Total(r.width * r.height if r else 0 for _, r in slides_to_render(services, image_ids))
        with Run(data, Kind.RENDER, files=pixels.files, amount=pixels.amount, threads=slides_at_once) as run:
            tasks = Renderer(services, run, stopping, jobs // slides_at_once).tasks(image_ids)
            _run_tasks(tasks, run, slides_at_once, stopping, as_json=as_json)


@contextmanager
def _without_import_log() -> Iterator[None]:
    """Silence the log of single imports, which the report repeats, for the length of a block."""
    logger = logging.getLogger("vsv_local.ingest.import_runner")
    before = logger.level
    if not is_log_level_set():
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


class _Total:
    """The number of slides and the sum of their sizes, counted before the run for the estimate of the time left."""

    def __init__(self, amounts: Iterable[int]) -> None:
        self.files = self.amount = 0
        for amount in amounts:
            self.files += 1
            self.amount += amount


def _run_tasks(tasks: Iterable[Task], run: Run, threads: int, stopping: Event, *, as_json: bool) -> None:
    """Run the tasks and report them; ends the command with 1 where one failed, with 130 where the run was stopped."""
    with reporting(run, as_json=as_json) as report:
        for outcome in work_through(tasks, run, threads, stopping):
            report.add(outcome)
    run.close(End.STOPPED if stopping.is_set() else End.DONE)
    if stopping.is_set():
        sys.exit(STOPPED)
    if run.state.failed:
        click.echo(
            "vsv status --failed lists what failed, and why. The same command again tries it again.", err=True
        )
        sys.exit(1)


@click.command()
@data_option
@click.option("--watch", is_flag=True, help="Look again every second until no run goes on.")
@click.option("--failed", is_flag=True, help="List what failed in the latest run, and why.")
@click.option("--run", "run_id", help="Another run than the latest, by its name.")
@json_option
def status(data: Path, watch: bool, failed: bool, run_id: str | None, as_json: bool) -> None:
    """Show the last runs of vsv import and vsv render, and how far those are that go on."""
    if failed:
        run_status.list_failures(data, run_id, as_json=as_json)
    elif as_json:
        click.echo(json.dumps(run_status.items(data, run_id), indent=2))
    else:
        run_status.show(data, run_id, watch=watch)
