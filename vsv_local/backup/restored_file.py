"""Write one file of a backup, verified."""

import os
from collections.abc import Iterator
from pathlib import Path

from vsv.errors import TransferError
from vsv.storage import atomic_write

from vsv_local.backup.backup_folder import BackupStore, Entry, read_blocks, write_summed


def write_file(store: BackupStore, entry: Entry, path: Path) -> None:
    """Write a file or a link of the backup to ``path``, replacing what is there, once the content is verified.

    Raises TransferError where the content is missing or damaged in the backup, OSError where it cannot be written.
    """
    if entry.sha256 is None:
        assert entry.link is not None
        path.symlink_to(entry.link)
        return
    try:
        _write_verified(store.content(entry.sha256), entry, path)
    except TransferError:
        if not store.spare(entry.sha256).is_file():
            raise
        _write_verified(store.spare(entry.sha256), entry, path)


def _write_verified(content: Path, entry: Entry, path: Path) -> None:
    with atomic_write.replacing(path) as part:
        if write_summed(_blocks(content), part) != entry.sha256:
            raise TransferError("its content in the backup has changed")
        part.chmod(entry.mode)
        os.utime(part, ns=(entry.modified, entry.modified))


def _blocks(content: Path) -> Iterator[bytes]:
    """Yield the blocks of a content; raises TransferError where it cannot be read."""
    blocks = read_blocks(content)
    while True:
        try:
            block = next(blocks, None)
        except OSError as error:
            raise TransferError("its content in the backup is missing or cannot be read") from error
        if block is None:
            return
        yield block
