"""Copy a standalone installation's data folder while it is in use: ``vsv backup``.

The records come first, by SQLite's own online backup, then the files: an import stores its record last, so the files
of every copied record are complete by then, and they are never written to again. They may be moved meanwhile (hidden,
archived, purged): so each record's original is checked at the end, and where one is missing the backup starts over,
which copies next to nothing. Slides that were hidden or brought back meanwhile are put where their records say.
"""

import errno
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from vsv.errors import BadRequestError, NotFoundError, UnreadableSlideError
from vsv.ingest.stored_slides import is_sha256
from vsv.records.models import SlideRecord, Status
from vsv.storage.slide_files import CLAIM, SLIDE
from vsv.timestamps import now_utc

from vsv_local.backup.backup_folder import BackupStore, Entry, Manifest
from vsv_local.backup.content_checks import ContentChecks
from vsv_local.backup.data_source import files_of, recorded, records_snapshot
from vsv_local.backup.disk_errors import domain_errors
from vsv_local.backup.remaking import remake
from vsv_local.backup.report import Report
from vsv_local.backup.rolling import Kept, OlderBackups, all_backups, with_older
from vsv_local.backup.set_check import check_set
from vsv_local.stores.sqlite_database import DATABASE_NAME

# Files in these folders are written once and replaced by rename: a hard link is as good as a copy.
LINKED = ("slides", "deleted", "archive", "published")
# Errors of the backup's disk; any other error concerns a single file.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
ATTEMPTS = 3

Progress = Callable[[int], None]


def back_up(
    data: Path, target: Path, *, with_originals: bool, progress: Progress, kept: Kept | None = None
) -> Report:
    """Bring the backup in ``target`` up to date; ``progress`` receives the bytes of each finished file.

    ``kept`` says how many older backups to keep; without it, none is added and none is removed.

    Raises NotFoundError, BadRequestError where one folder lies in the other, ConflictError while another backup is
    being made, UnavailableError where the backup cannot be written: the previous backup then stays unchanged.
    """
    if not (data / DATABASE_NAME).is_file():
        raise NotFoundError("there is no data folder with records to back up")
    source, store = data.resolve(), BackupStore(target.resolve())
    if store.root.is_relative_to(source) or source.is_relative_to(store.root):
        raise BadRequestError("a backup must lie outside the data folder, best on another disk")
    with domain_errors(), store.held():
        store.sweep()
        return _back_up(source, store, kept, with_originals=with_originals, progress=progress)


def _back_up(
    data: Path, store: BackupStore, kept: Kept | None, *, with_originals: bool, progress: Progress
) -> Report:
    checks, healed, remade = ContentChecks(store), [], []
    if (previous := _previous(store)) is not None:
        checks.read_part(with_older(previous, OlderBackups(store).manifests()))
    for _ in range(ATTEMPTS):
        backup = _Backup(data, store, checks, with_originals, progress)
        manifest = backup.make()
        healed += backup.report.healed
        remade += backup.report.remade
        if not backup.is_missing_any:
            break
    backup.report.verified, backup.report.healed, backup.report.remade = checks.read_contents, healed, remade
    _finish(store, manifest, kept, backup.report)
    _remove_unneeded(store, manifest, checks, backup.report)
    return backup.report


def _previous(store: BackupStore) -> Manifest | None:
    """Return the last backup's manifest; a damaged one is set aside, so that this backup writes everything again."""
    try:
        return store.manifest()
    except UnreadableSlideError:
        OlderBackups(store).set_aside_last()
        return None


def _finish(store: BackupStore, manifest: Manifest, kept: Kept | None, report: Report) -> None:
    """Make ``manifest`` the backup; keep the one before, and prune those before, if this one is whole."""
    older = OlderBackups(store)
    if kept is not None:
        older.add_last()
    store.finish(manifest)
    if kept is not None and not report.troubles:
        older.prune(manifest, kept)
    report.backups = sum(1 for _ in all_backups(store))


def _remove_unneeded(store: BackupStore, manifest: Manifest, checks: ContentChecks, report: Report) -> None:
    """Remove the contents that no backup needs, unless it is unknown what one needs."""
    older = OlderBackups(store)
    needed = with_older(manifest, older.manifests())
    report.troubles |= checks.damaged_of(needed.entries[len(manifest.entries) :])
    if unreadable := older.unreadable():
        report.troubles |= unreadable
    else:
        store.remove_all_but(needed.sha256s)
    checks.save(needed.sha256s)


class _Backup:
    """One attempt to bring the backup up to date."""

    def __init__(
        self,
        data: Path,
        store: BackupStore,
        checks: ContentChecks,
        with_originals: bool,
        progress: Progress,
    ) -> None:
        self._data, self._store, self._with_originals = data, store, with_originals
        self._checks, self._progress = checks, progress
        previous = store.manifest()
        self._previous = {entry.path: entry for entry in previous.entries} if previous else {}
        self._entries: dict[str, Entry] = {}
        self.report = Report()
        self.is_missing_any = False

    def make(self) -> Manifest:
        made_at = now_utc()
        with records_snapshot(self._data, self._store.root) as snapshot:
            records = self._store_file(snapshot, DATABASE_NAME, may_link=False)
            self._entries[DATABASE_NAME] = records
            self._store.keep_spare(str(records.sha256))
            for path in files_of(self._data):
                self._add(path)
            for record in recorded(snapshot):
                self._check(record)
        self.report.troubles |= self._checks.damaged_of(self._entries.values())
        self.report.files = len(self._entries)
        self.report.same_disk = self._data.stat().st_dev == self._store.root.stat().st_dev
        return Manifest(made_at, tuple(self._entries[path] for path in sorted(self._entries)))

    def _add(self, path: Path) -> None:
        name = path.relative_to(self._data).as_posix()
        try:
            state = path.lstat()
            if stat.S_ISLNK(state.st_mode):
                self._add_link(path, name)
            elif stat.S_ISREG(state.st_mode):
                self._entries[name] = self._store_file(path, name, may_link=name.split("/")[0] in LINKED)
        except FileNotFoundError:
            return  # moved or removed meanwhile: the check at the end looks for it
        except OSError as error:
            if error.errno in _FULL:
                raise
            self.report.troubles[name] = "it cannot be read"
            if (previous := self._previous.get(name)) is not None:
                self._entries[name] = previous

    def _add_link(self, path: Path, name: str) -> None:
        if path.is_dir():
            self.report.elsewhere.append(name)
        elif self._with_originals:
            self._entries[name] = self._store_file(path, name, may_link=False)
            return
        else:
            self.report.in_place += 1
        state = path.lstat()
        link = str(path.readlink())
        self._entries[name] = Entry(name, 0, state.st_mtime_ns, stat.S_IMODE(state.st_mode), link=link)

    def _store_file(self, path: Path, name: str, *, may_link: bool) -> Entry:
        """Store a file's content and return its entry; a file unchanged since the last backup is not read."""
        state, previous = path.stat(), self._entries.get(name) or self._previous.get(name)
        entry = Entry(name, state.st_size, state.st_mtime_ns, stat.S_IMODE(state.st_mode))
        is_known = previous is not None and (previous.size, previous.modified) == (entry.size, entry.modified)
        if previous is not None and is_known and self._checks.is_intact(previous.sha256, entry.size):
            digest = previous.sha256
        else:
            digest = self._keep(path, may_link=may_link)
            self.report.copied += 1
            self.report.bytes_copied += entry.size
            if previous is not None and is_known:
                if digest != previous.sha256 and remake(self._data, name):
                    self.report.remade.append(name)
                    return self._store_file(path, name, may_link=may_link)
                self._report_kept_again(name, is_same=digest == previous.sha256)
        self._progress(entry.size)
        return replace(entry, sha256=digest)

    def _keep(self, path: Path, *, may_link: bool) -> str:
        digest = self._store.keep(path, may_link=may_link)
        self._checks.note_kept(digest)
        return digest

    def _report_kept_again(self, name: str, *, is_same: bool) -> None:
        """Report an unchanged file that was stored again because its stored content was damaged."""
        if is_same:
            self.report.healed.append(name)
        else:
            self.report.troubles[name] = (
                "it is not what was backed up any more, and the backup's copy was damaged"
            )

    def _check(self, record: SlideRecord) -> None:
        """Check that this backup has a record's claim and original, and that the original is the imported one."""
        hidden, shown = f"deleted/{record.image_id}", f"slides/{record.image_id}"
        folder, other = (hidden, shown) if record.status is Status.DELETED else (shown, hidden)
        if f"{folder}/{SLIDE}" not in self._entries:
            self._scan_again(folder, other)
        if f"{other}/{CLAIM}" in self._entries:
            self._rename(other, folder)
        original = self._entries.get(f"{folder}/{SLIDE}")
        if f"{folder}/{CLAIM}" not in self._entries or (
            original is None and not self._is_away(folder, record)
        ):
            self.is_missing_any = True
            self.report.troubles[record.image_id] = "its original is not in the data folder"
            self._keep_previous(record.image_id, folder, other)
        elif original is not None and original.sha256 and is_sha256(record.checksum or ""):
            self._compare(record, original)
        elif original is not None:
            check_set(self._data / folder, self._entries, self._previous, self._checks, self.report)
        elif original is None and record.original != "PURGED":
            self._check_archived(record.image_id)

    def _scan_again(self, *folders: str) -> None:
        for folder in folders:
            with suppress(FileNotFoundError):
                for path in files_of(self._data, folder):
                    self._add(path)

    def _rename(self, old: str, new: str) -> None:
        """Move the entries of a slide that was hidden or brought back meanwhile to where its record says."""
        for name in [name for name in self._entries if name.startswith(f"{old}/")]:
            renamed = new + name.removeprefix(old)
            self._entries.setdefault(renamed, replace(self._entries.pop(name), path=renamed))

    def _is_away(self, folder: str, record: SlideRecord) -> bool:
        """Return whether an original is away on purpose: archived, or purged."""
        return record.original == "PURGED" or f"{folder}/archived.json" in self._entries

    def _check_archived(self, image_id: str) -> None:
        """Keep the backup's copy of an archive in the data folder where the data folder has lost that original."""
        place = f"archive/{image_id}"
        if f"{place}/{SLIDE}" in self._previous and f"{place}/{SLIDE}" not in self._entries:
            self.report.troubles[image_id] = "its archived original is not in the data folder any more"
            self._keep_previous(image_id, place, place)

    def _keep_previous(self, image_id: str, folder: str, other: str) -> None:
        """Keep the backup's files of a slide that the data folder has lost: they may be the only copy."""
        for place in (folder, other):
            for entry in self._previous_by_folder.get(place, ()):
                name = folder + entry.path.removeprefix(place)
                if entry.sha256 is None or self._store.content(entry.sha256).exists():
                    self._entries.setdefault(name, replace(entry, path=name))
        if (original := self._entries.get(f"{folder}/{SLIDE}")) is not None:
            self.report.troubles[image_id] += self._kept(original)

    def _kept(self, original: Entry) -> str:
        if original.sha256 is None or self._checks.is_intact(original.sha256, original.size):
            return "; the backup keeps the one that it has"
        return "; the backup's copy is damaged"

    @cached_property
    def _previous_by_folder(self) -> Mapping[str, list[Entry]]:
        """The previous backup's entries, by slide folder."""
        by_folder: dict[str, list[Entry]] = {}
        for path, entry in self._previous.items():
            by_folder.setdefault("/".join(path.split("/")[:2]), []).append(entry)
        return by_folder

    def _compare(self, record: SlideRecord, original: Entry) -> None:
        """Keep the backup's copy of an original that is not the imported one any more."""
        checksum, size = record.checksum, record.file_size
        if original.sha256 == checksum or checksum is None:
            return
        self.report.troubles[record.image_id] = "its original is not what was imported any more"
        if not self._store.content(checksum).exists():
            return
        is_intact = self._checks.read(checksum, size)  # an earlier backup has it
        self.report.troubles[record.image_id] += (
            "; the backup keeps the good one that it has" if is_intact else "; the backup's copy is damaged"
        )
        # With the time of the good one, so that the next backup compares again and reports it, too.
        previous = self._previous.get(original.path)
        good = previous if previous is not None and previous.sha256 == checksum else original
        self._entries[original.path] = replace(good, sha256=checksum, size=size)
