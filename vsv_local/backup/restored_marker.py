"""A data folder that was restored from a backup rests until somebody says that it is the one in use.

What is only looked at, in a drill say, must not send slides again, nor archive, publish or purge in vaults that it
shares with the installation of which it is a copy.
"""

import json
from pathlib import Path

from vsv.errors import ConflictError
from vsv.records.models import JobKind
from vsv.storage import atomic_write

NOTE = "restored.json"
# What is only read elsewhere: originals come back from the archive, and stay there.
HARMLESS = (JobKind.RESTORE,)
RESTS = "was restored from a backup: nothing is sent, published, archived or purged until vsv take-over activates it."


def write_note(data: Path, made_at: str) -> None:
    """Note that a data folder is the copy of a backup that was made at this time."""
    atomic_write.write(data / NOTE, json.dumps({"backupOf": made_at}).encode())


def rests(data: Path) -> bool:
    """Tell whether a data folder was restored, and nobody has said since that it is the one in use."""
    return (data / NOTE).exists()


def check_in_use(data: Path) -> None:
    """Raise ConflictError for a data folder that rests."""
    if rests(data):
        raise ConflictError(f"This data folder {RESTS}")


def take_over(data: Path) -> None:
    """Say that a data folder is the one in use."""
    (data / NOTE).unlink(missing_ok=True)
    atomic_write.flush(data)
