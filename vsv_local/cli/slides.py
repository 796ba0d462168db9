"""The commands ``list``, ``show``, ``export-deepzoom`` and ``add-mask``."""

import json
from collections.abc import Mapping
from pathlib import Path

import click
from serve_image.omero.channels import read_color
from vsv.errors import SlideNotFoundError
from vsv.identifiers import shown
from vsv.ingest.id_choice import TAG
from vsv.records.models import SlideRecord, Status
from vsv.rendering.masks import import_mask
from vsv.storage.numeric_ids import assign_number

from vsv_local.bulk.rendering import all_slides
from vsv_local.cli.options import data_option, existing, json_option
from vsv_local.export import deepzoom


@click.command("list", short_help="List slides")
@data_option
@click.option(
    "--status", type=click.Choice(list(Status), case_sensitive=False), help="Only slides with this status."
)
@json_option
def list_slides(data: Path, status: str | None, as_json: bool) -> None:
    """List slides; deleted ones only with --status DELETED."""
    with existing(data) as services:
        records = [
            r for r in all_slides(services) if (r.status == status if status else r.status != Status.DELETED)
        ]
    if as_json:
        click.echo(json.dumps([record.to_item() for record in records], indent=2, ensure_ascii=False))
        return
    for record in records:
        size = f"{record.width}×{record.height}"
        slide_id, filename = shown(record.slide_id or ""), shown(record.filename)
        click.echo(
            f"{record.image_id:<20} {slide_id:<24} {record.status:<9} {record.scan_date or '':<25}"
            f" {size:>14}  {filename}"
        )
    click.echo(f"{len(records)} slide{'' if len(records) == 1 else 's'}", err=True)


@click.command(short_help="Show a slide's record")
@click.argument("image_id")
@data_option
@json_option
def show(image_id: str, data: Path, as_json: bool) -> None:
    """Show everything that is stored about a slide."""
    with existing(data) as services:
        record = services.slides.get(image_id)
        if record is None:
            raise SlideNotFoundError(f"Slide {image_id} not found")
        number = assign_number(services.files, image_id)
    item = record.to_item()
    if as_json:
        click.echo(json.dumps(item, indent=2, ensure_ascii=False))
        return
    for name, value in item.items():
        if name not in {"Tags", "IDCandidates", "Damage"}:
            click.echo(f"{name:<15} {shown(str(value))}")
    if record.damage is not None:
        click.echo(f"{'Damage':<15} {_damage_text(record, record.damage)}")
    click.echo(f"{'OMERO number':<15} {number}")
    _print_codes(record)
    for name, value in item.get("Tags", {}).items():
        click.echo(f"  {name:<22} {shown(value.splitlines()[0]) if value else ''}")


def _print_codes(record: SlideRecord) -> None:
    """Print the texts among which the slide's ID was chosen, and whether the scanner's tag differs from the label."""
    candidates = record.id_candidates or {}
    if record.barcode is None and not candidates:
        click.echo(f"{'Barcode':<15} (not readable)")
    for text, source in candidates.items():
        click.echo(f"  {_source_name(source):<22} {shown(text)}")
    if TAG in candidates.values():
        click.echo("  The scanner's tag differs from the label.")


def _source_name(source: str) -> str:
    return "scanner's tag" if source == TAG else f"{source} on the label"


def _damage_text(record: SlideRecord, damage: Mapping[str, str]) -> str:
    """Return how many tiles of which level cannot be decoded."""
    finest = (max(record.width, record.height) - 1).bit_length()
    levels = sorted(((finest - int(level), tiles) for level, tiles in damage.items()))
    parts = [
        f"{tiles} of {'full resolution' if shift == 0 else f'level 1/{1 << shift}'}"
        for shift, tiles in levels
    ]
    return f"tiles that cannot be decoded, or not wholly: {', '.join(parts)}"


@click.command("export-deepzoom", short_help="Export a slide as Deep Zoom files")
@click.argument("image_id")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@data_option
def export_deepzoom(image_id: str, folder: Path, data: Path) -> None:
    """Write FOLDER/IMAGEID.dzi and FOLDER/IMAGEID_files/, for programs that read Deep Zoom files."""
    with existing(data) as services:
        tiles = deepzoom.export_deepzoom(services, image_id, folder)
    click.echo(f"{tiles} tiles in {folder / (image_id + '_files')}")


@click.command("add-mask", short_help="Add a mask image to a slide")
@click.argument("image_id")
@click.argument("shape", type=click.IntRange(1))
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--color", default="FFFF00", show_default=True, help="RRGGBB or RRGGBBAA.")
@data_option
def add_mask(image_id: str, shape: int, picture: Path, color: str, data: Path) -> None:
    """Store PICTURE as the slide's mask number SHAPE. Pixels that are not black belong to the mask."""
    with existing(data) as services:
        import_mask(services.files, image_id, shape, picture, read_color(color))
    click.echo(f"Mask {shape} of slide {image_id} is stored")
