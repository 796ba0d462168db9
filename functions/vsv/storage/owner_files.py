"""Small files that tell which slide something belongs to: each holds an ImageID, is made once and never changed."""

import os
from pathlib import Path

from vsv.identifiers import is_image_id
from vsv.storage import atomic_write

_END = "\n"  # what lacks it was being written when its writer was killed


def owner(path: Path) -> str | None:
    """Give whose it is; None where there is no such file, or no whole one."""
    try:
        text = path.read_text("ascii")
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    image_id = text.removesuffix(_END)
    return image_id if text.endswith(_END) and is_image_id(image_id) else None


def take(path: Path, image_id: str) -> str:
    """Make it this slide's unless it is another's, and give whose it is then."""
    path.parent.mkdir(exist_ok=True)
    content = f"{image_id}{_END}".encode("ascii")
    try:
        with path.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        found = owner(path)
        if found is None:
            atomic_write.write(path, content)
        return found or image_id
    atomic_write.flush(path.parent)
    return image_id
