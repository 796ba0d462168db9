"""NFS cache coherence: file lookups that do not rely on this machine's cache of a shared file system.

An NFS client answers from its cache for up to a minute, also that a file does not exist. Opening a folder makes the
client revalidate the cache with the server. Source: "Data and metadata coherence", nfs(5).
"""

import os
from contextlib import suppress
from pathlib import Path


def revalidate(*folders: Path) -> None:
    """Make the NFS client revalidate its cache of these folders; a missing folder is no error."""
    for folder in folders:
        with suppress(OSError), os.scandir(folder):
            pass  # opening is enough


def exists_uncached(path: Path) -> bool:
    """Return whether a file or folder exists; False only after revalidating its two parent folders."""
    if path.exists():
        return True
    revalidate(path.parent.parent, path.parent)
    return path.exists()


def size_of(path: Path) -> int | None:
    """Return a file's size in bytes; None only after the cache of its two parent folders was revalidated."""
    for can_retry in (True, False):
        try:
            return path.stat().st_size
        except OSError:
            if can_retry:
                revalidate(path.parent.parent, path.parent)
    return None


def has_size(path: Path, size: int) -> bool:
    """Return whether a file has this size; False only after opening the file, which revalidates its attributes."""
    actual = size_of(path)
    if actual not in {None, size} and path.is_file():
        with suppress(OSError), path.open("rb") as file:
            actual = os.fstat(file.fileno()).st_size
    return actual == size
