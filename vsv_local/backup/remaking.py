"""Make a slide's label, thumbnail or macro again from its original, by the code that made it at the import."""

import json
import logging
from pathlib import Path, PurePosixPath
from typing import Any

from vsv.errors import VsvError
from vsv.ingest.stored_slides import is_sha256
from vsv.ingest.validation import checksum
from vsv.storage import atomic_write
from vsv.storage.slide_files import ASSOCIATED, CLAIM, SLIDE

log = logging.getLogger(__name__)

# The description in the folder of a published copy.
_PUBLISHED = "published.json"


def remake(data: Path, name: str) -> bool:
    """Make the picture at ``name``, its path in the data folder, again; return whether that could be done.

    The original must be there, and be the imported one. The pictures of a published copy are left: they are made with
    the copy, from what it holds.
    """
    path = PurePosixPath(name)
    folder = data / path.parent
    if not is_picture(name) or (folder / _PUBLISHED).exists() or not _is_imported(folder):
        return False
    try:
        return _make(folder / SLIDE, data / name)
    except (VsvError, OSError) as error:
        log.warning("%s is not made again: %s", name, error if isinstance(error, VsvError) else "disk error")
        return False


def _make(original: Path, target: Path) -> bool:
    # The command line starts without what reads slides.
    from vsv.ingest.page_confirmation import confirmed_pictures  # noqa: PLC0415
    from vsv.rendering.associated_images import encode  # noqa: PLC0415
    from vsv.slides.confirmed_pages import open_confirmed  # noqa: PLC0415

    picture = confirmed_pictures(open_confirmed(original)).get(target.stem)
    if picture is not None:
        atomic_write.write(target, encode(picture))
    return picture is not None


def is_picture(name: str) -> bool:
    """Return whether a path in a data folder is that of a slide's label, thumbnail or macro."""
    path = PurePosixPath(name)
    is_of_slide = len(path.parts) == 3 and path.parts[0] in {"slides", "deleted"}
    return is_of_slide and path.suffix == ".jpeg" and path.stem in ASSOCIATED


def _is_imported(folder: Path) -> bool:
    """Return whether a slide's original is there and has the checksum of its claim."""
    try:
        claim: Any = json.loads((folder / CLAIM).read_bytes())
        expected = claim["checksum"]
        return is_sha256(expected) and checksum(folder / SLIDE) == expected
    except (OSError, ValueError, KeyError, TypeError):
        return False
