"""The smallest slides that can be imported, and damaged ones, for the tests of imports."""

import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.slides.aperio import Plan, write_slide

OLD = 1_700_000_000_000_000_000  # ns: long before any test, so that no import waits for the file to be old enough


@cache
def slide_bytes(image_id: str = "1004486", *, label: bool = False, side: int = 600) -> bytes:
    """Return a slide with two levels and a thumbnail; a label of noise takes the barcode reader long."""
    description = (
        f"Aperio Image Library v11.2.1 \r\n{side}x500 (240x240) JPEG/RGB Q=85|AppMag = 20|ScanScope ID = SS1302"
        f"|Date = 12/29/09|Time = 09:59:15|MPP = 0.4990|ImageID = {image_id}|Filename = CMU-1"
    )
    plan = Plan(side, 500, 240, description=description, associated="aperio" if label else "none")
    with TemporaryDirectory() as folder:
        return write_slide(Path(folder) / "small.svs", plan).read_bytes()


def other_scan(content: bytes, day: bytes = b"30") -> bytes:
    """Return another scan of the same size and ImageID, from another day."""
    return content.replace(b"Date = 12/29/09", b"Date = 12/" + day + b"/09")


def put(folder: Path, name: str, content: bytes | None = None, modified: int = OLD) -> Path:
    """Write a file as a scanner leaves it: complete, and last changed long ago."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(slide_bytes() if content is None else content)
    os.utime(path, ns=(modified, modified))
    return path


def half_written(content: bytes, written: int) -> bytes:
    """Return a file as a scanner leaves it that has allocated all of it, and written so many bytes."""
    return content[:written] + bytes(len(content) - written)
