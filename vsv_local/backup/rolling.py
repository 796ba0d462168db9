"""Keep older backups beside the last one, and prune them: so many days, weeks and months back.

``manifests/{time}.json`` are the manifests of older backups; all share the contents. An older manifest is stored
before ``manifest.json`` is replaced, and removed before the contents that nothing else needs: a killed backup leaves
no manifest without its contents.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Self

from vsv.errors import NotFoundError, UnreadableSlideError
from vsv.storage import atomic_write
from vsv.timestamps import now_utc

from vsv_local.backup.backup_folder import MANIFEST, BackupStore, Entry, Manifest, read_manifest

_FOLDER = "manifests"
_PERIODS: dict[str, Callable[[date], object]] = {
    "d": lambda day: day,
    "w": lambda day: day.isocalendar()[:2],
    "m": lambda day: (day.year, day.month),
}


@dataclass(frozen=True, slots=True)
class Kept:
    """How many backups are kept: by period (``d`` days, ``w`` ISO weeks, ``m`` months), the last of each."""

    counts: tuple[tuple[str, int], ...]

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return what the setting VSV_BACKUPS_KEPT, such as ``7d,4w,12m``, keeps; None for an empty text."""
        parts = text.split(",") if text else ()
        return cls(tuple((part[-1], int(part[:-1])) for part in parts)) if parts else None

    def chosen(self, times: Iterable[str]) -> set[str]:
        """Return the times (ISO 8601 UTC) of the backups to keep; the newest is always kept."""
        newest_first = sorted(set(times), reverse=True)
        chosen = set(newest_first[:1])
        for period, count in self.counts:
            last_of: dict[object, str] = {}
            for time in newest_first:
                last_of.setdefault(_PERIODS[period](date.fromisoformat(time[:10])), time)
            chosen |= set(list(last_of.values())[:count])
        return chosen


class OlderBackups:
    """The older backups in a backup folder."""

    def __init__(self, store: BackupStore) -> None:
        self._store, self._folder = store, store.root / _FOLDER

    def manifests(self, *, is_newest_first: bool = False) -> Iterator[Manifest]:
        """Yield the manifests that can be read, one at a time: they may be large."""
        for path in sorted(self._paths(), reverse=is_newest_first):
            with suppress(UnreadableSlideError, OSError):
                if (manifest := read_manifest(path)) is not None:
                    yield manifest

    def unreadable(self) -> dict[str, str]:
        """Return, by path, the trouble with each manifest that cannot be read."""
        trouble = "this older backup's manifest is damaged: no content is removed while it is there"
        readable = {self._path(manifest) for manifest in self.manifests()}
        return {f"{_FOLDER}/{path.name}": trouble for path in self._paths() if path not in readable}

    def add_last(self) -> None:
        """Keep the last backup, which the next one is about to replace."""
        if (manifest := self._store.manifest()) is not None:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            atomic_write.write(self._path(manifest), (self._store.root / MANIFEST).read_bytes())

    def prune(self, last: Manifest, kept: Kept) -> None:
        """Remove the manifests of the backups that are not to be kept."""
        paths = {manifest.made_at: self._path(manifest) for manifest in self.manifests()}
        for time in paths.keys() - kept.chosen([last.made_at, *paths]):
            paths[time].unlink(missing_ok=True)
        if self._folder.is_dir():
            atomic_write.flush(self._folder)

    def set_aside_last(self) -> None:
        """Move a damaged manifest of the last backup here: until a person removes it, its contents stay."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        name = re.sub(r"[^0-9TZ.-]", "", now_utc())
        (self._store.root / MANIFEST).replace(self._folder / f"damaged-{name}.json")
        atomic_write.flush(self._folder)
        atomic_write.flush(self._store.root)

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("*.json"))

    def _path(self, manifest: Manifest) -> Path:
        return self._folder / f"{re.sub(r'[^0-9TZ.-]', '', manifest.made_at)}.json"


def all_backups(store: BackupStore) -> Iterator[Manifest]:
    """Yield the manifests of all backups in a folder that can be read, newest first.

    Raises NotFoundError where there is none, UnreadableSlideError where there is none that can be read.
    """
    older = OlderBackups(store)
    last = None
    try:
        last = store.required()
        yield last
    except (NotFoundError, UnreadableSlideError):
        if next(older.manifests(), None) is None:
            raise
    for manifest in older.manifests(is_newest_first=True):
        if last is None or manifest.made_at != last.made_at:
            yield manifest


def backup_at(store: BackupStore, time: str | None) -> Manifest:
    """Return the newest backup whose time begins with a text such as ``2026-11-30``; the last one without a text."""
    if time is None:
        return store.required()
    matching = (manifest for manifest in all_backups(store) if manifest.made_at.startswith(time))
    if (manifest := next(matching, None)) is None:
        raise NotFoundError(f"there is no backup of {time}: vsv backup --list shows which there are")
    return manifest


def with_older(last: Manifest, older: Iterable[Manifest]) -> Manifest:
    """Return a manifest of all contents: after those of the last backup, those that only older ones have."""
    entries = list(last.entries)
    seen = {entry.sha256 for entry in entries}
    for manifest in older:
        for entry in manifest.entries:
            if entry.sha256 is not None and entry.sha256 not in seen:
                seen.add(entry.sha256)
                entries.append(_of_older(entry, manifest))
    return replace(last, entries=tuple(entries))


def _of_older(entry: Entry, manifest: Manifest) -> Entry:
    return replace(entry, path=f"{entry.path} (backup of {manifest.made_at[:16]})")
