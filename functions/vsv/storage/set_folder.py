"""The folder of a stored set: the file by which it is opened, its size, its removal; ``stored_set`` has the rest.

Apart from that module because the package of the tile function has room for little.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SET, LISTING = "set", "files.json"
MAX_LISTING = 8 << 20


def read_item(folder: Path) -> Mapping[str, Any] | None:
    """Return the listing of the set in a folder as it is stored; None without a readable listing."""
    try:
        with (folder / LISTING).open("rb") as file:
            item = json.loads(file.read(MAX_LISTING))
        return item if item["index"] in item["files"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def opened(path: Path) -> Path:
    """Return the file by which OpenSlide opens a slide: of a set its index, else the file itself.

    ``path`` is a slide's original, or a set's folder before its import.
    """
    folder = path if path.is_dir() else path.with_name(SET)
    item = read_item(folder)
    return path if item is None else folder / str(item["index"])


def size_of(path: Path) -> int:
    """Return the size of a file or a link, or of all files of a set's folder."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())


def remove_files(folder: Path) -> None:
    """Remove the files of a stored set; its listing stays, as a claim does."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name != LISTING:
            remove(path)


def remove(path: Path) -> None:
    """Remove a file, a link or a set's folder; a missing one is no error."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path)
