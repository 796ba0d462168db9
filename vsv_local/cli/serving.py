"""Provide ``vsv serve``."""

import logging
import os
from pathlib import Path

import click

from vsv_local.all_settings import log_level
from vsv_local.cli.options import data_option
from vsv_local.ingest.watched_folders import WatchedFolders
from vsv_local.server import supervisor
from vsv_local.server.main import Address
from vsv_local.server.main import serve as run_server


@click.command(short_help="Run the server")
@data_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0: any free port."
)
@click.option(
    "--watch",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Import the slides in this folder, and new ones as they arrive. Can be given more than once.",
)
@click.option("--recursive", is_flag=True, help="Watch the folders inside the watched folders, too.")
@click.option("--in-place", is_flag=True, help="Leave the originals where they are; nothing is copied.")
@click.option("--allow-host", multiple=True, help="Another host name that browsers may use for this server.")
@click.option("--sample", is_flag=True, help="Create a small sample slide, and import it.")
@click.option(
    "--workers",
    type=click.IntRange(1, supervisor.MAX_WORKERS),
    default=supervisor.default_count,
    show_default="one per core, at most 4; 1 where it is not Linux",
    help="Server processes.",
)
def serve(  # noqa: PLR0913  one parameter an option
    data: Path,
    host: str,
    port: int,
    watch: tuple[Path, ...],
    recursive: bool,
    in_place: bool,
    allow_host: tuple[str, ...],
    sample: bool,
    workers: int,
) -> None:
    """Run the server: show slides in browsers, and import new files from the watched folders."""
    logging.getLogger().setLevel(log_level("INFO"))
    named = [*watch, *([_sample_folder(data)] if sample else [])]
    folders = WatchedFolders(named, recursive=recursive)
    address = Address(host, port, allow_host)
    run_server(data, folders, address, in_place=in_place, say=click.echo, workers=workers)


def _sample_folder(data: Path) -> Path:
    from vsv_local.sample.slide import write_sample_slide  # noqa: PLC0415  only --sample needs the painter

    path = data / "sample" / "sample.svs"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        click.echo("Creating a small sample slide …")
        write_sample_slide(path)
        os.utime(path, (0, 0))  # finished: the watcher need not wait to see whether it grows
    return path.parent
