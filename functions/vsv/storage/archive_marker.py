"""The marker file ``archived.json`` in the folder of a slide whose original is archived."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from vsv.storage import atomic_write, nfs

NOTE = "archived.json"
ORIGINAL = "slide.svs"
MAX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Archived:
    """An original in the archive: its size in bytes, its SHA-256, its key in the archive.

    ``modified`` is the modification time of the original's file in the data folder, in nanoseconds since the epoch: a
    restored file gets the same time.
    """

    size: int
    sha256: str
    key: str
    modified: int


def read_note(folder: Path) -> Archived | None:
    """Return the archived original that a slide folder's marker describes; None without a readable marker."""
    try:
        with (folder / NOTE).open("rb") as file:
            note: Mapping[str, object] = json.loads(file.read(MAX_BYTES))
        texts = str(note["sha256"]), str(note["key"])
        return Archived(int(str(note["size"])), *texts, int(str(note["modified"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_note(folder: Path, archived: Archived) -> None:
    """Write the marker of an archived original, atomically."""
    atomic_write.write(folder / NOTE, json.dumps(asdict(archived)).encode())


def original_size(folder: Path) -> int | None:
    """Return the size of a slide folder's original, stored or archived; None where there is no original."""
    size = nfs.size_of(folder / ORIGINAL)
    if size is None and (note := read_note(folder)) is not None:
        return note.size
    return size
