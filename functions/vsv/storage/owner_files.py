"""Owner files: each holds the ImageID of the slide that owns something, is created once and never changed."""

import os
from pathlib import Path

from vsv.identifiers import is_image_id
from vsv.storage import atomic_write

_END = "\n"  # missing where the writer was killed while writing


def read_owner(path: Path) -> str | None:
    """Return the ImageID in an owner file; None where there is no complete owner file."""
    try:
        text = path.read_text("ascii")
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    image_id = text.removesuffix(_END)
    return image_id if text.endswith(_END) and is_image_id(image_id) else None


def claim(path: Path, image_id: str) -> str:
    """Create an owner file for this slide unless another slide is the owner; return the owner."""
    path.parent.mkdir(exist_ok=True)
    content = f"{image_id}{_END}".encode("ascii")
    try:
        with path.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        present_owner = read_owner(path)
        if present_owner is None:
            atomic_write.write(path, content)
        return present_owner or image_id
    atomic_write.flush(path.parent)
    return image_id
