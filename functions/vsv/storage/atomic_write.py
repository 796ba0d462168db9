"""Atomic writes: a reader, also after a power failure, finds the complete file or none."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PART_SUFFIX = ".part"
# A temporary file of this age belongs to a killed writer: a running writer writes to its file continually.
STALE_SECONDS = 3600


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success the temporary file is flushed and renamed to ``path``.

    When the block raises, the temporary file is removed and ``path`` stays unchanged.
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
    """Write a small file atomically."""
    with replacing(path) as part:
        part.write_bytes(data)


def flush(path: Path) -> None:
    """Force a file's bytes, or a folder's entries, to the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open a folder to flush its entries
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
    """Return whether no process has written to a temporary file or folder for ``STALE_SECONDS``."""
    try:
        return part.lstat().st_mtime < time.time() - STALE_SECONDS
    except FileNotFoundError:
        return False  # the writer has just finished
