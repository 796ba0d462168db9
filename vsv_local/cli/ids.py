"""The command ``ids``: try the pattern of IDs on files and texts, or apply it to slides."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click
from vsv.barcodes.reader import read_codes
from vsv.errors import VsvError
from vsv.ingest.id_changes import IdChange, apply, id_changes
from vsv.ingest.id_choice import IdTexts, id_texts
from vsv.ingest.id_pattern import SlideIds, parse_ids
from vsv.rendering.associated_images import read_associated
from vsv.settings import Settings, from_environment
from vsv.slides.readers import read_scan

from vsv_local.bulk.rendering import all_slides
from vsv_local.cli.options import data_option, existing, json_option

Row = dict[str, str | bool | None]


@click.command(short_help="Try the pattern of slide IDs, or apply it")
@click.argument("texts", nargs=-1, metavar="[FILE…]")
@click.option("--test", "is_test", is_flag=True, help="Print what each text would become.")
@click.option("--apply", "is_apply", is_flag=True, help="Apply the pattern to the slides that are there.")
@click.option("--yes", is_flag=True, help="With --apply: do not ask.")
@data_option
@json_option
def ids(texts: tuple[str, ...], is_test: bool, is_apply: bool, yes: bool, data: Path, as_json: bool) -> None:
    """Try VSV_ID_PATTERN and VSV_ID_ORDER with --test, or apply them with --apply.

    --test prints the slide and case that each text would become, and changes nothing. Of a slide FILE the texts are
    its barcode, the scanner's Barcode tag and its name; of a .txt FILE its lines. What is no file is a text itself.

    --apply prints how the IDs of slides that are there would change, asks, and changes them. IDs that a person has
    set stay. With --json it does not ask, and without --yes it changes nothing.
    """
    if is_test == is_apply or is_test != bool(texts):
        raise click.UsageError("use either --test FILE…, or --apply without files")
    if is_apply:
        _apply(data, yes, as_json)
        return
    settings = from_environment({**os.environ, "VSV_DATA": str(data)})
    named_texts = [one for named in texts for one in _texts_of(named, settings)]
    rows = [_row(source, text, settings.id_pattern) for source, text in named_texts]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        click.echo(_line(row))


def _apply(data: Path, yes: bool, as_json: bool) -> None:
    with existing(data) as services:
        changes = list(id_changes(services, all_slides(services)))
        if as_json:
            click.echo(json.dumps(list(map(_change_row, changes)), indent=2, ensure_ascii=False))
        else:
            _print_changes(changes)
        if not changes or not (yes or (not as_json and click.confirm(f"Change {len(changes)} slides?"))):
            return
        for change in changes:
            apply(services, change)
    click.echo(f"{len(changes)} changed", err=True)


def _change_row(change: IdChange) -> Row:
    record = change.record
    return {
        "ImageID": record.image_id,
        "SlideID": change.slide_id,
        "CaseID": change.case_id,
        "IDNotConfirmed": not change.is_confirmed,
        "SlideIDBefore": record.slide_id,
        "CaseIDBefore": record.case_id,
        "PublishedAs": record.published_as if change.loses_its_case else None,
    }


def _print_changes(changes: list[IdChange]) -> None:
    for change in changes:
        record, note = change.record, "" if change.is_confirmed else "  ID not confirmed"
        click.echo(
            f"{record.image_id:<20} slide {record.slide_id} → {change.slide_id},"
            f" case {record.case_id} → {change.case_id}{note}"
        )
    click.echo(f"{len(changes)} slide{'' if len(changes) == 1 else 's'} to change", err=True)
    for change in changes:
        if change.loses_its_case:
            click.echo(
                f"{change.record.published_as} is published: if its dates were shifted, it was by case"
                f" {change.record.case_id}. Withdraw it and publish it again to shift them by {change.case_id}.",
                err=True,
            )


def _texts_of(named: str, settings: Settings) -> Iterator[tuple[str, str]]:
    path = Path(named)
    if not path.is_file():
        yield "text", named
    elif path.suffix.lower() == ".txt":
        yield from (
            ("text", line.strip()) for line in path.read_text("utf-8-sig").splitlines() if line.strip()
        )
    else:
        texts = _texts_of_slide(path, settings.id_pattern)
        yield from ((source, text) for source in settings.id_order for text in texts.of(source))


def _texts_of_slide(path: Path, pattern: str) -> IdTexts:
    try:
        label, tags = read_associated(path).get("label"), read_scan(path).tags
    except VsvError as error:
        click.echo(f"{path}: {error}", err=True)
        return id_texts((), None, path.name)
    codes = () if label is None else read_codes(label, lambda text: parse_ids(text, pattern).confirmed)
    return id_texts(codes, tags, path.name)


def _row(source: str, text: str, pattern: str) -> Row:
    found: SlideIds = parse_ids(text, pattern)
    return {"source": source, "text": text, **asdict(found)}


def _line(row: Row) -> str:
    beginning = f"{row['source']:<9} {row['text']}"
    if not row["confirmed"]:
        return f"{beginning}: ID not confirmed"
    names = [f"{name} {row[name]}" for name in ("slide", "case", "block", "stain") if row[name] is not None]
    return f"{beginning}: {', '.join(names)}"
