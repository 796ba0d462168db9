"""What lies beside a slide whose original is archived: ``archived.json``, which stands for the original."""

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
    """An original in the archive: its size in bytes, its SHA-256, its key there.

    ``modified`` is when its file here was written, in nanoseconds since the epoch: it gets that again.
    """

    size: int
    sha256: str
    key: str
    modified: int


def read_note(folder: Path) -> Archived | None:
    """Give what a slide's folder notes of its archived original; None where it has no such note."""
    try:
        with (folder / NOTE).open("rb") as file:
            found: Mapping[str, object] = json.loads(file.read(MAX_BYTES))
        texts = str(found["sha256"]), str(found["key"])
        return Archived(int(str(found["size"])), *texts, int(str(found["modified"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_note(folder: Path, archived: Archived) -> None:
    """Write the note, whole or not at all."""
    atomic_write.write(folder / NOTE, json.dumps(asdict(archived)).encode())


def original_size(folder: Path) -> int | None:
    """Give the size of the original of a slide's folder, here or in the archive; None where there is none."""
    size = nfs.size_of(folder / ORIGINAL)
    if size is None and (note := read_note(folder)) is not None:
        return note.size
    return size
