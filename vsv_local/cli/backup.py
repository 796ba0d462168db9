"""``vsv backup``, ``vsv restore`` and ``vsv take-over``: copies of the whole data folder."""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from vsv_local.all_settings import backups_kept
from vsv_local.backup.backup import back_up
from vsv_local.backup.backup_folder import BackupStore, Manifest
from vsv_local.backup.content_checks import verify as verify_contents
from vsv_local.backup.report import Report
from vsv_local.backup.restore import restore as restore_backup
from vsv_local.backup.restored import Restored
from vsv_local.backup.restored_marker import is_paused
from vsv_local.backup.restored_marker import take_over as take_over_data
from vsv_local.backup.rolling import Kept, OlderBackups, all_backups, backup_at, with_older
from vsv_local.cli.options import data_option, existing, json_option

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(short_help="Back up the data folder")
@click.argument("folder", type=_FOLDER)
@data_option
@click.option("--with-originals", is_flag=True, help="Back up originals that stay in place, too.")
@click.option("--verify", is_flag=True, help="Only read the whole backup, and list what is damaged.")
@click.option("--list", "lists", is_flag=True, help="Only list the backups in FOLDER.")
@json_option
def backup(folder: Path, data: Path, with_originals: bool, verify: bool, lists: bool, as_json: bool) -> None:
    """Back up the data folder into FOLDER, while it is in use. Only what is new or changed is copied.

    Each backup also reads a part of what is stored, all of it within four weeks, and writes what is damaged again.
    VSV_BACKUPS_KEPT, such as 7d,4w,12m, says how many older backups stay beside the last one.
    """
    if verify or lists:
        (_verify if verify else _list)(folder, as_json=as_json)
        return
    kept = Kept.parse(backups_kept())
    with _bar("Backing up", None) as progress:
        report = back_up(data, folder, with_originals=with_originals, progress=progress, kept=kept)
    click.echo(json.dumps(dataclasses.asdict(report), indent=2) if as_json else _told(report))
    sys.exit(1 if report.troubles else 0)


@click.command(short_help="Restore a backup")
@click.argument("folder", type=_FOLDER)
@data_option
@click.option(
    "--at", metavar="TIME", help="Restore the newest backup of this day or time, such as 2026-11-30."
)
@click.option("--only", metavar="IMAGEID", help="Restore the files of this slide alone.")
def restore(folder: Path, data: Path, at: str | None, only: str | None) -> None:
    """Restore the backup in FOLDER into an empty data folder.

    With --only also into the one in use: what the slide lacks there is written. For archived originals, use
    vsv unarchive; for deleted slides, vsv undelete.
    """
    with _bar("Restoring", backup_at(BackupStore(folder), at)) as progress:
        restored = restore_backup(folder, data, progress, only, at)
    click.echo(_restored_text(restored))
    if is_paused(data):
        click.echo(
            "Nothing is sent, published, archived or purged until vsv take-over activates this data folder"
        )
    sys.exit(1 if restored.lost else 0)


@click.command("take-over", short_help="Activate a restored data folder")
@data_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def take_over(data: Path, yes: bool) -> None:
    """Activate a restored data folder: its jobs run again from now on."""
    with existing(data):
        if not is_paused(data):
            click.echo("This data folder is active already")
            return
        yes or click.confirm("Is the original installation shut down permanently?", abort=True)
        take_over_data(data)
    click.echo("This data folder is active now")


def _verify(folder: Path, *, as_json: bool) -> None:
    store = BackupStore(folder)
    manifest = store.required()
    with _bar("Reading", manifest) as progress:
        contents = with_older(manifest, OlderBackups(store).manifests())
        damaged = verify_contents(store, contents, progress)
    if as_json:
        click.echo(json.dumps({"files": len(manifest.entries), "damaged": damaged}, indent=2))
    for path, reason in () if as_json else damaged.items():
        click.echo(f"{path}: {reason}")
    if not as_json:
        click.echo(
            f"{len(manifest.entries)} files of {_minute(manifest)} UTC, {len(damaged)} damaged"
            f"{': the next backup writes them again' if damaged else ''}"
        )
    sys.exit(1 if damaged else 0)


def _list(folder: Path, *, as_json: bool) -> None:
    rows = [
        {"madeAt": manifest.made_at, "files": len(manifest.entries), "bytes": manifest.size}
        for manifest in all_backups(BackupStore(folder))
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    for row in () if as_json else rows:
        click.echo("{madeAt}  {files} files, {bytes} bytes".format(**row))


def _minute(manifest: Manifest) -> str:
    return manifest.made_at[:16].replace("T", " ")


def _restored_text(restored: Restored) -> str:
    lines = [f"{restored.files} files are restored as they were on {_minute(restored.manifest)} UTC"]
    if restored.missing:
        lines.append(f"the backup is damaged: {len(restored.missing)} of its files could not be restored")
    lines += [f"{path} is made again from its original" for path in sorted(restored.remade)]
    lines += [f"{path} is missing: {reason}" for path, reason in restored.lost.items()]
    if not restored.has_records:
        lines.append(
            "The records are missing: start no server here before they are restored from another backup"
        )
    if restored.to_render:
        lines.append(f"Levels are missing and can be rendered: vsv render {' '.join(restored.to_render)}")
    return "\n".join(lines)


def _told(report: Report) -> str:
    told = [
        f"{report.files} files are backed up, {report.copied} of them new or changed ({report.bytes_copied} bytes)"
    ]
    if report.backups > 1:
        told.append(f"{report.backups} backups are kept")
    if report.same_disk:
        told.append("This backup is on the same file system as the data: a broken disk would destroy both")
    if report.in_place:
        told.append(
            f"{report.in_place} originals stay in place elsewhere and are not in the backup (--with-originals)"
        )
    told += [f"{name}: its copy in the backup was damaged and is written again" for name in report.healed]
    told += [
        f"{name}: it was damaged here and in the backup, and is made again from its original"
        for name in report.remade
    ]
    told += [f"{name} is a link to a folder: back it up separately" for name in report.elsewhere]
    for name, trouble in report.troubles.items():
        told.append(f"{name if '/' in name else f'slide {name}'}: {trouble}")
    return "\n".join(told)


@contextmanager
def _bar(label: str, manifest: Manifest | None) -> Iterator[Callable[[int], None]]:
    """Count bytes: as a bar on a terminal where it is known how many there are."""
    if manifest is None or not sys.stderr.isatty():
        yield lambda _size: None
        return
    with click.progressbar(length=manifest.size, label=label, file=sys.stderr) as bar:
        yield bar.update
