"""The command line ``vsv``: a small lab's way to everything that the system does."""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import platformdirs
from serve_image.webgateway_channels import read_color
from vsv.errors import SlideNotFoundError, VsvError
from vsv.installation import Installation
from vsv.masks import import_mask
from vsv.numbers import give_number
from vsv.records import SlideRecord, Status
from vsv.review import Decider, change

from local import exporting, importing_files, rendering, workers
from local.server import Address
from local.server import serve as run_server
from local.standalone import standalone

log = logging.getLogger(__name__)

# Whoever has the data folder in hand may do everything with it.
OPERATOR = Decider("vsv", is_admin=True)


class _Commands(click.Group):
    """Turns the domain's errors into one sentence and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except VsvError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="virtual-slide-viewer", prog_name="vsv")
def main() -> None:
    """Import, look after and serve whole-slide images."""
    logging.basicConfig(format="%(levelname)s %(message)s", level=os.environ.get("VSV_LOG", "WARNING"))


def _default_data() -> Path:
    return Path(os.environ.get("VSV_DATA") or platformdirs.user_data_path("vsv", appauthor=False))


def data_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--data`` to a command."""
    return click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        default=_default_data,
        show_default="$VSV_DATA, else a folder of your own",
        help="The folder that holds everything.",
    )(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json`` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")(command)


@contextmanager
def _existing(data: Path) -> Iterator[Installation]:
    """Open a data folder that is there: a mistyped --data must not look like an empty one."""
    if not data.is_dir():
        raise click.ClickException(
            f"there is no data folder {data}: import or serve something first, or set --data"
        )
    with standalone(data) as (here, _intake):
        yield here


@main.command()
@data_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0: any free port."
)
@click.option(
    "--watch",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Import the slides of this folder, now and as they appear. Can be given more than once.",
)
@click.option("--in-place", is_flag=True, help="Leave the originals where they are; nothing is copied.")
@click.option("--allow-host", multiple=True, help="A further name that browsers may call this server by.")
@click.option("--sample", is_flag=True, help="Make a small slide to look at, and import it.")
@click.option(
    "--workers",
    type=click.IntRange(1, workers.MOST),
    default=workers.default_count,
    show_default="one a core, at most 4; 1 where it is not Linux",
    help="Processes that serve.",
)
def serve(  # noqa: PLR0913  one parameter an option
    data: Path,
    host: str,
    port: int,
    watch: tuple[Path, ...],
    in_place: bool,
    allow_host: tuple[str, ...],
    sample: bool,
    workers: int,
) -> None:
    """Serve slides to browsers, and import what appears in the watched folders."""
    logging.getLogger().setLevel(os.environ.get("VSV_LOG", "INFO"))
    folders = [*watch, *([_sample_folder(data)] if sample else [])]
    address = Address(host, port, allow_host)
    run_server(data, folders, address, in_place=in_place, say=click.echo, workers=workers)


def _sample_folder(data: Path) -> Path:
    from local.sample import write_sample_slide  # noqa: PLC0415  only a first try needs the painter

    path = data / "sample" / "sample.svs"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        click.echo("Making a small sample slide …")
        write_sample_slide(path)
        os.utime(path, (0, 0))  # finished: the watcher need not wait to see whether it grows
    return path.parent


@main.command("import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@data_option
@click.option("--in-place", is_flag=True, help="Leave the originals where they are; nothing is copied.")
@json_option
def import_files(files: tuple[Path, ...], data: Path, in_place: bool, as_json: bool) -> None:
    """Import slide files, and wait until they are ready. Importing a file again does nothing."""
    outcomes = importing_files.import_files(data, files, in_place=in_place, say=_quiet(as_json))
    if as_json:
        click.echo(json.dumps([outcome.to_item() for outcome in outcomes], indent=2))
    sys.exit(0 if all(outcome.image_id for outcome in outcomes) else 1)


def _quiet(as_json: bool) -> Callable[[str], None]:
    """Give what talks to a person: on standard error where standard output is a script's."""
    return lambda text: click.echo(text, err=as_json)


@main.command("list")
@data_option
@click.option("--status", type=click.Choice(list(Status), case_sensitive=False), help="Only these.")
@json_option
def list_slides(data: Path, status: str | None, as_json: bool) -> None:
    """List the slides."""
    with _existing(data) as here:
        records = [
            r for r in all_slides(here) if (r.status == status if status else r.status != Status.DELETED)
        ]
    if as_json:
        click.echo(json.dumps([record.to_item() for record in records], indent=2, ensure_ascii=False))
        return
    for record in records:
        size = f"{record.width}×{record.height}"
        click.echo(
            f"{record.image_id:<20} {record.slide_id or '':<24} {record.status:<9} {record.scan_date or '':<25}"
            f" {size:>14}  {record.filename}"
        )
    click.echo(f"{len(records)} slide{'' if len(records) == 1 else 's'}", err=True)


def all_slides(here: Installation) -> Iterator[SlideRecord]:
    """Give every slide's record."""
    token = None
    while True:
        page = here.slides.list_all(500, token)
        yield from page.items
        if (token := page.next_token) is None:
            return


@main.command()
@click.argument("image_id")
@data_option
@json_option
def show(image_id: str, data: Path, as_json: bool) -> None:
    """Show everything that is stored about a slide."""
    with _existing(data) as here:
        record = here.slides.get(image_id)
        if record is None:
            raise SlideNotFoundError(f"there is no slide {image_id}")
        number = give_number(here.files, image_id)
    item = record.to_item()
    if as_json:
        click.echo(json.dumps(item, indent=2, ensure_ascii=False))
        return
    for name, value in item.items():
        if name != "Tags":
            click.echo(f"{name:<15} {value}")
    click.echo(f"{'OMERO number':<15} {number}")
    if record.barcode is None:
        click.echo(f"{'Barcode':<15} (not read)")
    for name, value in item.get("Tags", {}).items():
        click.echo(f"  {name:<22} {value.splitlines()[0] if value else ''}")


@main.command()
@click.argument("image_ids", nargs=-1)
@data_option
@click.option("--all", "everything", is_flag=True, help="Every slide.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Threads; as many as cores if not given.")
@json_option
def render(image_ids: tuple[str, ...], data: Path, everything: bool, jobs: int | None, as_json: bool) -> None:
    """Render the levels that slides lack. Slides that have theirs are skipped, so it can be stopped and resumed."""
    if bool(image_ids) == everything:
        raise click.UsageError("name the slides to render, or say --all")
    with _existing(data) as here:
        wanted = image_ids or tuple(r.image_id for r in all_slides(here) if r.status != Status.DELETED)
        counts = rendering.render_all(here, wanted, jobs, say=_quiet(as_json), bar=not as_json)
    if as_json:
        click.echo(json.dumps(counts.to_item(), indent=2))
    sys.exit(1 if counts.failed else 0)


@main.command("export-deepzoom")
@click.argument("image_id")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@data_option
def export_deepzoom(image_id: str, folder: Path, data: Path) -> None:
    """Write the classic FOLDER/IMAGEID.dzi and IMAGEID_files/ for programs that want them."""
    with _existing(data) as here:
        tiles = exporting.export_deepzoom(here, image_id, folder)
    click.echo(f"{tiles} tiles in {folder / (image_id + '_files')}")


@main.command("add-mask")
@click.argument("image_id")
@click.argument("shape", type=click.IntRange(1))
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--color", default="FFFF00", show_default=True, help="RRGGBB or RRGGBBAA.")
@data_option
def add_mask(image_id: str, shape: int, picture: Path, color: str, data: Path) -> None:
    """Store a picture as a slide's mask number SHAPE: what is not black in it belongs to the mask."""
    with _existing(data) as here:
        import_mask(here.files, image_id, shape, picture, read_color(color))
    click.echo(f"Mask {shape} of slide {image_id} is stored")


@main.command()
@click.argument("image_id")
@data_option
@click.option("--undo", is_flag=True, help="Bring a deleted slide back.")
@click.option("--purge", is_flag=True, help="Remove a deleted slide's files for good.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(image_id: str, data: Path, undo: bool, purge: bool, yes: bool) -> None:
    """Hide a slide at once. Its files stay until they are purged, so that it can be brought back."""
    if undo and purge:
        raise click.UsageError("--undo and --purge exclude each other")
    with _existing(data) as here:
        if here.slides.get(image_id) is None:
            raise SlideNotFoundError(f"there is no slide {image_id}")
        if undo:
            change(here, image_id, {"status": Status.NEW}, OPERATOR)
        elif purge:
            _purge(here, image_id, yes)
        else:
            yes or click.confirm(f"Delete slide {image_id}?", abort=True)
            change(here, image_id, {"status": Status.DELETED}, OPERATOR)
    what = "is back" if undo else "was purged" if purge else "is deleted; --undo brings it back"
    click.echo(f"Slide {image_id} {what}")


def _purge(here: Installation, image_id: str, yes: bool) -> None:
    if not yes:
        typed = click.prompt("This cannot be undone. Type the ImageID to go on")
        if typed != image_id:
            raise click.ClickException("that is another ImageID: nothing was purged")
    here.files.purge(image_id)
