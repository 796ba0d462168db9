"""Originals: stored in their slide's folder, or linked in place, where the scanner wrote them."""

import json
import os
from contextlib import suppress
from pathlib import Path

from vsv.errors import BadRequestError, ConflictError, FileMissingError
from vsv.storage import atomic_write
from vsv.storage.slide_files import FOLDERS, SlideFiles

# Describes an original in place as it was when it was linked.
IN_PLACE = "in_place.json"


def link_original(files: SlideFiles, filename: str, original: Path) -> None:
    """Create an incoming file that is a link to the scanner's file.

    Raise BadRequestError where the scanner's file is in the data folder itself.
    """
    link, target = files.incoming(filename), original.resolve(strict=True)
    own_folders = (files.root / name for name in FOLDERS)
    if any(target.is_relative_to(folder.resolve()) for folder in own_folders):
        raise BadRequestError("a file of the data folder itself cannot be imported in place")
    part = link.with_name(f"{os.urandom(8).hex()}{atomic_write.PART_SUFFIX}")
    part.symlink_to(target)
    part.replace(link)


def note_original(files: SlideFiles, image_id: str, size: int, modified: int) -> None:
    """Store size and modification time of an original that stays in place, for ``check_original``."""
    note = {"size": size, "modified": modified}
    atomic_write.write(files.folder(image_id) / IN_PLACE, json.dumps(note).encode())


def check_original(files: SlideFiles, image_id: str) -> None:
    """Raise ConflictError where an original in place was modified after its import: it may show another slide."""
    path = files.slide(image_id)
    if not path.is_symlink():
        return
    try:
        note, stat = json.loads((files.folder(image_id) / IN_PLACE).read_bytes()), path.stat()
    except (OSError, ValueError) as error:
        raise FileMissingError("the original is no longer where it was imported from") from error
    if (note.get("size"), note.get("modified")) != (stat.st_size, stat.st_mtime_ns):
        raise ConflictError("the original file has been changed since it was imported")


def store_original(source: Path, target: Path) -> None:
    """Move an original to its final place by rename and make it read-only; idempotent."""
    try:
        if not source.is_symlink():
            # On EFS the file may be another user's; to rename it, permission on the folder is enough.
            with suppress(PermissionError):
                source.chmod(0o444)
        source.rename(target)
    except FileNotFoundError as error:
        if target.exists():
            return
        raise FileMissingError("the transferred file is missing") from error
    if not target.is_symlink():
        atomic_write.flush(target)
    atomic_write.flush(target.parent)
    atomic_write.flush(source.parent)
