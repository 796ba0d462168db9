"""Writing files so that a reader, and a power cut, finds all of them or nothing."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PART_SUFFIX = ".part"
# A temporary file this old belongs to a writer that was killed: a live one touches its file all the time.
STALE_SECONDS = 3600


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; when the block ends well it is flushed and takes the name.

    When the block fails, the temporary file goes and ``path`` stays as it was.
    """
    part = path.with_name(f"{path.name}.{os.urandom(4).hex()}{PART_SUFFIX}")
    try:
        yield part
        flush(part)
        part.replace(path)
        flush(path.parent)
    finally:
        part.unlink(missing_ok=True)


def write(path: Path, data: bytes) -> None:
    """Write a small file whole or not at all."""
    with replacing(path) as part:
        part.write_bytes(data)


def flush(path: Path) -> None:
    """Force a file's bytes, or a folder's entries, onto the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows has no handle on a folder's entries
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sweep(folder: Path) -> None:
    """Remove temporary files that killed writers left in ``folder``."""
    for part in folder.glob(f"*{PART_SUFFIX}"):
        if is_stale(part) and not part.is_dir():
            part.unlink(missing_ok=True)


def is_stale(part: Path) -> bool:
    """Tell whether nobody has written to a temporary file or folder for long."""
    try:
        return part.lstat().st_mtime < time.time() - STALE_SECONDS
    except FileNotFoundError:
        return False  # its writer has just finished
