"""Pause a data folder that was restored from a backup until a person confirms that it is the one in use.

A restored copy, in a drill say, must not send slides again, nor archive, publish or purge in object stores that it
shares with the installation that was backed up.
"""

import json
from pathlib import Path

from vsv.errors import ConflictError
from vsv.records.models import JobKind
from vsv.storage import atomic_write

MARKER = "restored.json"
# Jobs that only read outside the data folder: restoring copies originals from the archive and leaves them there.
ALLOWED_JOBS = (JobKind.RESTORE,)
PAUSED = (
    "was restored from a backup: nothing is sent, published, archived or purged"
    " until vsv take-over activates it."
)


def write_marker(data: Path, made_at: str) -> None:
    """Mark a data folder as the copy of a backup that was made at this time."""
    atomic_write.write(data / MARKER, json.dumps({"backupOf": made_at}).encode())


def is_paused(data: Path) -> bool:
    """Return whether a data folder was restored, and not confirmed as the one in use since."""
    return (data / MARKER).exists()


def check_in_use(data: Path) -> None:
    """Raise ConflictError for a paused data folder."""
    if is_paused(data):
        raise ConflictError(f"This data folder {PAUSED}")


def take_over(data: Path) -> None:
    """Record that a data folder is the one in use."""
    (data / MARKER).unlink(missing_ok=True)
    atomic_write.flush(data)
