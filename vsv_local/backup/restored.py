"""The result of a restore."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from vsv.storage.archive_marker import NOTE
from vsv.storage.slide_files import SLIDE

from vsv_local.backup.backup_folder import Manifest
from vsv_local.stores.sqlite_database import DATABASE_NAME

# Files that are rendered, or measured, from the original.
_RENDERED = ("pyramid.tif", "channels.json")


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored: the files of ``manifest`` without those in ``missing``, which gives the reason by path.

    ``remade`` are the pictures among the missing files that were made again from their restored originals.
    """

    manifest: Manifest
    missing: Mapping[str, str]
    remade: frozenset[str] = frozenset()

    @property
    def files(self) -> int:
        """The number of files that are restored."""
        return len(self.manifest.entries) - len(self.missing)

    @property
    def to_render(self) -> list[str]:
        """The slides of which only files are missing that are rendered from the original."""
        return sorted({path.split("/")[1] for path in self.missing if self.is_rendered(path)})

    @property
    def lost(self) -> Mapping[str, str]:
        """The missing files that nothing can replace."""
        return {
            path: reason
            for path, reason in self.missing.items()
            if path not in self.remade and not self.is_rendered(path)
        }

    @property
    def has_records(self) -> bool:
        """Whether the records are restored."""
        return DATABASE_NAME not in self.missing

    def is_rendered(self, path: str) -> bool:
        """Return whether a missing file can be rendered again: its original is restored, or is in the archive."""
        name = PurePosixPath(path)
        if name.name not in _RENDERED or len(name.parts) != 3:
            return False
        originals = {f"{name.parent}/{SLIDE}", f"{name.parent}/{NOTE}"}
        there = {entry.path for entry in self.manifest.entries if entry.path in originals}
        return bool(there - set(self.missing))
