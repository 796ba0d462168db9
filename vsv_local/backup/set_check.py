"""Check of a slide of several files in a backup: each of its files is there, and is the imported one."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from vsv.storage.set_folder import SET
from vsv.storage.stored_set import StoredFile, read_listing

from vsv_local.backup.backup_folder import Entry
from vsv_local.backup.content_checks import ContentChecks
from vsv_local.backup.report import Report


def check_set(
    folder: Path,
    entries: dict[str, Entry],
    previous: Mapping[str, Entry],
    checks: ContentChecks,
    report: Report,
) -> None:
    """Report the files of the slide in ``folder`` that are missing or not the imported ones, if it has several files.

    In place of each, the good content of an earlier backup is kept, where there is one.
    """
    if (listing := read_listing(folder / SET)) is None:
        return
    place = f"{folder.parent.name}/{folder.name}/{SET}"
    files = {f"{place}/{name}": file for name, file in listing.files.items()}
    wrong = {path: file for path, file in files.items() if not _is_right(entries.get(path), file)}
    kept = 0
    for path, file in wrong.items():
        before = previous.get(path)
        if before is not None and checks.read(file.sha256, file.size):
            # With the time of the good one, so that the next backup compares again and reports it, too.
            entries[path] = replace(before, sha256=file.sha256, size=file.size)
            kept += 1
    if wrong:
        trouble = f"{len(wrong)} of its {len(files)} files are missing or not what was imported any more"
        report.troubles[folder.name] = (
            f"{trouble}; the backup keeps {kept} good ones that it has" if kept else trouble
        )


def _is_right(entry: Entry | None, file: StoredFile) -> bool:
    return entry is not None and entry.sha256 == file.sha256
