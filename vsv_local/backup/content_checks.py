"""Check the contents of a backup by their checksums, in parts, and remember when each was read.

Disks lose bytes without an error. Each backup reads the share of its contents that is due, those not read for longest
first, so that each content is read within ``PERIOD``; a small backup is read as a whole. A content whose time or size
is not that of its last check is read before a backup relies on it again. A damaged content is left in place until a
verified one replaces it.
"""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from vsv.errors import ConflictError
from vsv.ingest.validation import checksum
from vsv.storage import atomic_write
from vsv.timestamps import now_utc

from vsv_local.backup.backup_folder import BackupStore, Entry, Manifest

CHECKS = "checks.json"
PERIOD = timedelta(days=28)
LEAST_BYTES = 1 << 30  # of each part: some ten seconds
_DAY = timedelta(days=1)
_SAVED_EVERY = 1 << 34  # bytes: a killed backup does not read everything again


@dataclass(frozen=True, slots=True)
class Check:
    """When a content was read and found intact (ISO 8601 UTC), and its modification time then, in ns."""

    at: str
    modified: int


# Stored for a damaged content: the next backup reads it first, and before it relies on it.
_DAMAGED = Check("", -1)


class ContentChecks:
    """The checks of one backup's contents; used by the process that holds the backup."""

    def __init__(self, store: BackupStore) -> None:
        self._store = store
        self._checks, self._last_part = _stored(store)
        self._damaged: set[str] = set()
        self.read_contents = 0

    def read_part(self, manifest: Manifest) -> None:
        """Read the contents that are due."""
        now = now_utc()
        sizes = {entry.sha256: entry.size for entry in manifest.entries if entry.sha256}
        share = int(sum(sizes.values()) * _share(self._last_part, now))
        left, unsaved = max(LEAST_BYTES, share), 0
        for sha256 in sorted(sizes, key=lambda sha256: (self._checked_at(sha256, now), sha256)):
            is_overdue = "" < self._checked_at(sha256, now) < _before(now, PERIOD)
            if left <= 0 and not is_overdue:
                continue
            self.read(sha256, sizes[sha256])
            left, unsaved = left - sizes[sha256], unsaved + sizes[sha256]
            if unsaved >= _SAVED_EVERY:
                self.save({*sizes})
                unsaved = 0
        self._last_part = now
        self.save({*sizes})

    def read(self, sha256: str, size: int) -> bool:
        """Read a content and return whether it is intact."""
        return self.damage(sha256, size) is None

    def damage(self, sha256: str, size: int) -> str | None:
        """Read a content; return how it is damaged, None for an intact one."""
        self.read_contents += 1
        damage = "its content is not what was backed up"
        try:
            path = self._store.content(sha256)
            state = path.stat()
            if state.st_size == size and checksum(path) == sha256:
                self._note(sha256, state.st_mtime_ns)
                return None
        except OSError:
            damage = "its content is missing or cannot be read"
        self._checks[sha256] = _DAMAGED
        self._damaged.add(sha256)
        return damage

    def is_intact(self, sha256: str | None, size: int) -> bool:
        """Return whether a content is stored and not known to be damaged; read one that changed since its check."""
        if sha256 is None or sha256 in self._damaged or not self._store.has(sha256, size):
            return False
        check = self._checks.get(sha256)
        if check is None or check.modified == self._store.content(sha256).stat().st_mtime_ns:
            return True
        return self.read(sha256, size)

    def note_kept(self, sha256: str) -> None:
        """Note a content that was written and verified just now."""
        with suppress(OSError):
            self._note(sha256, self._store.content(sha256).stat().st_mtime_ns)

    def damaged_of(self, entries: Iterable[Entry]) -> dict[str, str]:
        """Return, by path, the files of which the backup has only a damaged copy, and nothing to replace it."""
        trouble = "the backup's copy is damaged, and no intact one is in the data folder"
        return {entry.path: trouble for entry in entries if entry.sha256 in self._damaged}

    def save(self, needed: set[str]) -> None:
        """Store the checks of the contents that the backup needs."""
        checks = {
            sha256: [check.at, check.modified]
            for sha256, check in sorted(self._checks.items())
            if sha256 in needed
        }
        item = {"lastPart": self._last_part, "checks": checks}
        atomic_write.write(self._store.root / CHECKS, json.dumps(item).encode())

    def _note(self, sha256: str, modified: int) -> None:
        self._checks[sha256] = Check(now_utc(), modified)
        self._damaged.discard(sha256)

    def _checked_at(self, sha256: str, now: str) -> str:
        """Return when a content was read; empty where it never was, or where a clock was wrong then."""
        check = self._checks.get(sha256)
        return check.at if check is not None and check.at <= now else ""


def verify(store: BackupStore, manifest: Manifest, progress: Callable[[int], None]) -> dict[str, str]:
    """Read all contents; return how the damaged ones are damaged, by path, and note it for the next backup."""
    checks, damages = ContentChecks(store), {}
    for entry in manifest.entries:
        if entry.sha256 is None:
            continue
        if (damage := checks.damage(entry.sha256, entry.size)) is not None:
            damages[entry.path] = damage
        progress(entry.size)
    # Not while a backup is being made, and not on a disk that is read only: the result is the same.
    with suppress(ConflictError, OSError), store.held():
        checks.save(manifest.sha256s)
    return damages


def _share(last_part: str, now: str) -> float:
    """Return the share of all contents that is due: the time since the last part, by the period."""
    try:
        since = datetime.fromisoformat(now) - datetime.fromisoformat(last_part)
    except (ValueError, TypeError):
        return _DAY / PERIOD  # the first part
    return 1.0 if since < timedelta() else min(1.0, since / PERIOD)


def _before(now: str, by: timedelta) -> str:
    return (datetime.fromisoformat(now) - by).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _stored(store: BackupStore) -> tuple[dict[str, Check], str]:
    """Return the stored checks and when the last part was read: none where they cannot be read."""
    try:
        item: Any = json.loads((store.root / CHECKS).read_bytes())
        checks = {
            str(sha256): Check(str(at), int(modified)) for sha256, (at, modified) in item["checks"].items()
        }
        return checks, str(item["lastPart"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}, ""
