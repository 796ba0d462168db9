"""Tombstones of purged slides: their content is known by its checksum, so that it does not come back by itself.

A tombstone is a small file in the data folder, the same on AWS and on one machine, and holds no patient data. It is
written before the slide's files are removed. It is lifted, not removed, where a person imports the content again.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from vsv.storage import atomic_write, nfs, stored_set

FOLDER = "purged"
_MAX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Tombstone:
    """When and by whom a slide was purged; ``at`` is ISO 8601 UTC. ``lifted``: its content was imported again."""

    at: str
    by: str
    lifted: bool = False


def write_tombstone(root: Path, checksum: str, tombstone: Tombstone) -> None:
    """Write the tombstone of a content in place of an earlier one; a text that is no checksum has none."""
    if (path := _path(root, checksum)) is not None:
        path.parent.mkdir(exist_ok=True)
        atomic_write.write(path, json.dumps(asdict(tombstone)).encode())


def read_tombstone(root: Path, checksum: str) -> Tombstone | None:
    """Return the tombstone of a content, lifted or not; None where no slide with that content was purged."""
    path = _path(root, checksum)
    if path is None:
        return None
    nfs.revalidate(root, path.parent)  # another machine may have purged the slide a moment ago
    try:
        with path.open("rb") as file:
            note = json.loads(file.read(_MAX_BYTES))
        return Tombstone(str(note["at"]), str(note["by"]), note["lifted"] is True)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return Tombstone("", "")  # damaged, but there: the content was purged


def _path(root: Path, checksum: str) -> Path | None:
    """Return a tombstone's path; None for a text that is no checksum of an import."""
    is_checksum = re.fullmatch(rf"(?:edges-|{stored_set.PREFIX})?[0-9a-f]{{64}}", checksum) is not None
    return root / FOLDER / f"{checksum}.json" if is_checksum else None
