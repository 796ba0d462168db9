"""Provide ``vsv backup`` and ``vsv restore``: copy the whole data folder elsewhere and back."""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from vsv_local.backup.backup import Report, back_up
from vsv_local.backup.backup_folder import BackupStore
from vsv_local.backup.restore import restore as restore_backup
from vsv_local.backup.restored_marker import is_paused
from vsv_local.backup.restored_marker import take_over as take_over_data
from vsv_local.cli.options import data_option, existing, json_option

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("folder", type=_FOLDER)
@data_option
@click.option("--with-originals", is_flag=True, help="Back up originals that stay in place, too.")
@click.option(
    "--verify", is_flag=True, help="Back nothing up: read all of the backup, and tell what is damaged."
)
@json_option
def backup(folder: Path, data: Path, with_originals: bool, verify: bool, as_json: bool) -> None:
    """Back the data folder up into FOLDER, while it is in use. The next time only what is new is copied."""
    if verify:
        _verify(folder, as_json=as_json)
        return
    with _bar("Backing up", None) as progress:
        report = back_up(data, folder, with_originals=with_originals, progress=progress)
    click.echo(json.dumps(dataclasses.asdict(report), indent=2) if as_json else _report_text(report))
    sys.exit(1 if report.troubles else 0)


@click.command()
@click.argument("folder", type=_FOLDER)
@data_option
def restore(folder: Path, data: Path) -> None:
    """Restore the backup in FOLDER into an empty data folder; for an archived slide there is vsv unarchive."""
    with _bar("Restoring", folder) as progress:
        manifest = restore_backup(folder, data, progress)
    click.echo(
        f"{len(manifest.entries)} files are restored as they were on {manifest.made_at[:16].replace('T', ' ')} UTC\n"
        "Nothing of it is sent, published, archived or purged until vsv take-over says that it is the one in use"
    )


@click.command("take-over")
@data_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def take_over(data: Path, yes: bool) -> None:
    """Say that a restored data folder is the one in use from now on: what its slides wait for is done again."""
    with existing(data):
        if not is_paused(data):
            click.echo("This data folder is in use already")
            return
        yes or click.confirm("Is the installation that the backup was made of gone for good?", abort=True)
        take_over_data(data)
    click.echo("This data folder is the one in use now")


def _verify(folder: Path, *, as_json: bool) -> None:
    store = BackupStore(folder)
    manifest = store.required()
    with _bar("Reading", folder) as progress:
        damaged = {entry.path: reason for entry, reason in store.damaged(manifest, progress)}
    if as_json:
        click.echo(json.dumps({"files": len(manifest.entries), "damaged": damaged}, indent=2))
    for path, reason in () if as_json else damaged.items():
        click.echo(f"{path}: {reason}")
    if not as_json:
        click.echo(
            f"{len(manifest.entries)} files of {manifest.made_at[:16].replace('T', ' ')} UTC, {len(damaged)} damaged"
        )
    sys.exit(1 if damaged else 0)


def _report_text(report: Report) -> str:
    lines = [
        f"{report.files} files are backed up, {report.copied} of them new or changed ({report.bytes_copied} bytes)"
    ]
    if report.same_disk:
        lines.append("This backup lies on the same file system as the data: it does not outlive that disk")
    if report.in_place:
        lines.append(
            f"{report.in_place} originals stay in place elsewhere and are not in the backup (--with-originals)"
        )
    lines += [f"{name} is a link to a folder: back that up apart" for name in report.elsewhere]
    lines += [f"slide {image_id}: {trouble}" for image_id, trouble in report.troubles.items()]
    return "\n".join(lines)


@contextmanager
def _bar(label: str, folder: Path | None) -> Iterator[Callable[[int], None]]:
    """Yield a function that counts bytes: on a terminal, as a bar where the total is known."""
    manifest = BackupStore(folder).manifest() if folder is not None else None
    if manifest is None or not sys.stderr.isatty():
        yield lambda _size: None
        return
    with click.progressbar(length=manifest.size, label=label, file=sys.stderr) as bar:
        yield bar.update
