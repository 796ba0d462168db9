"""The command ``ids``: try the pattern of IDs on files and texts."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import click
from vsv.barcodes.reader import read_label
from vsv.errors import VsvError
from vsv.ingest.id_pattern import SlideIds, parse_ids
from vsv.rendering.associated_images import read_associated
from vsv.settings import Settings, from_environment
from vsv.slides.readers import read_scan

from vsv_local.cli.options import data_option, json_option

Row = dict[str, str | bool | None]


@click.command(short_help="Try the pattern of slide IDs")
@click.argument("texts", nargs=-1, required=True, metavar="FILE…")
@click.option("--test", "is_test", is_flag=True, required=True, help="Print what each text would become.")
@data_option
@json_option
def ids(texts: tuple[str, ...], is_test: bool, data: Path, as_json: bool) -> None:
    """Print the slide and case that each text would become, by VSV_ID_PATTERN and VSV_ID_ORDER.

    Of a slide FILE the texts are its barcode, the scanner's Barcode tag and its name; of a .txt FILE its lines. What
    is no file is a text itself. Nothing is changed.
    """
    assert is_test
    settings = from_environment({**os.environ, "VSV_DATA": str(data)})
    rows = [
        _row(source, text, settings.id_pattern)
        for named in texts
        for source, text in _texts_of(named, settings)
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        click.echo(_line(row))


def _texts_of(named: str, settings: Settings) -> Iterator[tuple[str, str]]:
    path = Path(named)
    if not path.is_file():
        yield "text", named
    elif path.suffix.lower() == ".txt":
        yield from (
            ("text", line.strip()) for line in path.read_text("utf-8-sig").splitlines() if line.strip()
        )
    else:
        texts = {**_texts_of_slide(path), "filename": path.stem}
        yield from ((source, text.strip()) for source in settings.id_order if (text := texts.get(source)))


def _texts_of_slide(path: Path) -> Mapping[str, str | None]:
    try:
        label, tags = read_associated(path).get("label"), read_scan(path).tags
    except VsvError as error:
        click.echo(f"{path}: {error}", err=True)
        return {}
    barcode = None if label is None else read_label(label)
    return {"barcode": barcode.text if barcode else None, "tag": tags.get("Barcode")}


def _row(source: str, text: str, pattern: str) -> Row:
    found: SlideIds = parse_ids(text, pattern)
    return {"source": source, "text": text, **asdict(found)}


def _line(row: Row) -> str:
    beginning = f"{row['source']:<9} {row['text']}"
    if not row["confirmed"]:
        return f"{beginning}: ID not confirmed"
    names = [f"{name} {row[name]}" for name in ("slide", "case", "block", "stain") if row[name] is not None]
    return f"{beginning}: {', '.join(names)}"
