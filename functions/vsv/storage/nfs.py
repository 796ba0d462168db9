"""What is on a file system that other machines change too: asked of it, not of what this machine remembers.

An NFS client answers from its memory for up to a minute, "not there" too. Opening a folder makes it ask the server.
Source: "Data and metadata coherence", nfs(5).
"""

import os
from contextlib import suppress
from pathlib import Path


def look(*folders: Path) -> None:
    """Have what is remembered of these folders compared with what they hold now; a missing one is no error."""
    for folder in folders:
        with suppress(OSError), os.scandir(folder):
            pass  # opened, and that is all


def is_there(path: Path) -> bool:
    """Tell whether there is such a file or folder; "no" only after its two folders were looked at afresh."""
    if path.exists():
        return True
    look(path.parent.parent, path.parent)
    return path.exists()


def size_of(path: Path) -> int | None:
    """Give a file's size in bytes; None only after its two folders were looked at afresh."""
    for again in (True, False):
        try:
            return path.stat().st_size
        except OSError:
            if again:
                look(path.parent.parent, path.parent)
    return None


def has_size(path: Path, size: int) -> bool:
    """Tell whether a file has this size; "no" only after it was opened, which brings its attributes up to date."""
    found = size_of(path)
    if found not in {None, size} and path.is_file():
        with suppress(OSError), path.open("rb") as file:
            found = os.fstat(file.fileno()).st_size
    return found == size
