"""The commands that work on many slides: ``vsv import``, ``vsv render``, and ``vsv status`` for their progress."""

import json
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import click
from vsv.ingest.not_imported import Tally
from vsv.pyramids.renderer import cores

from vsv_local.all_settings import is_log_level_set
from vsv_local.bulk.file_discovery import slide_files
from vsv_local.bulk.importing import FileImporter
from vsv_local.bulk.parallel_work import Task, until_interrupted, work_through
from vsv_local.bulk.progress_report import reporting
from vsv_local.bulk.rendering import SLIDES_AT_ONCE, Renderer, slides_to_render
from vsv_local.bulk.run_records import End, Kind, Run
from vsv_local.cli import run_status
from vsv_local.cli.options import data_option, existing, json_option, quiet
from vsv_local.composition import standalone

# See docs/bulk.md for what was measured.
DEFAULT_IMPORTS = 2
STOPPED = 130  # the exit status that a shell reports for Ctrl+C


@click.command("import", short_help="Import slide files and folders")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@data_option
@click.option("--in-place", is_flag=True, help="Leave the originals where they are; nothing is copied.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=DEFAULT_IMPORTS,
    show_default=True,
    help="Slides copied and read at the same time. Rendering uses all cores, one slide at a time.",
)
@click.option("--again", is_flag=True, help="Import files of purged slides as well, as new slides.")
@json_option
def import_files(
    paths: tuple[Path, ...], data: Path, in_place: bool, jobs: int, again: bool, as_json: bool
) -> None:
    """Import slide files and all slides in folders and their subfolders, and wait until they are ready.

    Importing again continues where it stopped and skips what is done. vsv status shows the progress from another
    terminal.
    """
    with (
        standalone(data, in_place=in_place, threads=jobs) as (services, intake),
        until_interrupted(quiet(True)) as stopping,
        _quiet_import_log(),
    ):
        services.files.sweep()
        passed_over = Tally()
        sizes = _Total(found.size for found in slide_files(paths, services.files.root, passed_over.add_file))
        # More than are copied: a slide that waits for the rendering must not keep the next one from being copied.
        threads = 2 * jobs
        with Run(data, Kind.IMPORT, files=sizes.files, amount=sizes.amount, threads=threads) as run:
            tasks = FileImporter(services, intake, stopping, again=again).tasks(paths)
            _work(tasks, run, threads, stopping, passed_over, as_json=as_json)


@click.command(short_help="Render missing resolution levels")
@click.argument("image_ids", nargs=-1)
@data_option
@click.option("--all", "everything", is_flag=True, help="Every slide.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Threads; as many as cores if not given.")
@json_option
def render(image_ids: tuple[str, ...], data: Path, everything: bool, jobs: int | None, as_json: bool) -> None:
    """Render missing resolution levels. Complete slides are skipped, so it can be stopped and resumed."""
    if bool(image_ids) == everything:
        raise click.UsageError("name the slides to render, or use --all")
    jobs = jobs or cores()
    non_blocking = min(SLIDES_AT_ONCE, jobs)
    with existing(data) as services, until_interrupted(quiet(True)) as stopping:
        pixels = _Total(r.width * r.height if r else 0 for _, r in slides_to_render(services, image_ids))
        with Run(data, Kind.RENDER, files=pixels.files, amount=pixels.amount, threads=non_blocking) as run:
            tasks = Renderer(services, run, stopping, jobs // non_blocking).tasks(image_ids)
            _work(tasks, run, non_blocking, stopping, Tally(), as_json=as_json)


@contextmanager
def _quiet_import_log() -> Iterator[None]:
    """Keep the log from repeating what the report prints for each file."""
    logger = logging.getLogger("vsv_local.ingest.import_runner")
    before = logger.level
    if not is_log_level_set():
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


class _Total:
    """The number of files and their total size, counted ahead for the estimate of the time."""

    def __init__(self, amounts: Iterable[int]) -> None:
        self.files = self.amount = 0
        for amount in amounts:
            self.files += 1
            self.amount += amount


def _work(
    tasks: Iterable[Task], run: Run, threads: int, stopping: Event, passed_over: Tally, *, as_json: bool
) -> None:
    """Run the tasks and print each outcome; exit with 1 where one failed, with 130 where the run was stopped."""
    with reporting(run, as_json=as_json) as report:
        for outcome in work_through(tasks, run, threads, stopping):
            report.add(outcome)
    for found in passed_over.found():
        click.echo(found.sentence, err=as_json)
    run.close(End.STOPPED if stopping.is_set() else End.DONE)
    if stopping.is_set():
        sys.exit(STOPPED)
    if run.state.failed:
        click.echo(
            "vsv status --failed lists the failures. Run the same command again to retry them.", err=True
        )
        sys.exit(1)


@click.command(short_help="Show the progress of import and render runs")
@data_option
@click.option("--watch", is_flag=True, help="Refresh every second until no run is in progress.")
@click.option("--failed", is_flag=True, help="List the failures of the latest run.")
@click.option("--run", "run_id", help="Show this run instead of the latest ones.")
@json_option
def status(data: Path, watch: bool, failed: bool, run_id: str | None, as_json: bool) -> None:
    """Show the last runs of vsv import and vsv render, and the progress of those that are running."""
    if failed:
        run_status.list_failures(data, run_id, as_json=as_json)
    elif as_json:
        click.echo(json.dumps(run_status.items(data, run_id), indent=2))
    else:
        run_status.show(data, run_id, watch=watch)
