"""The smallest slides that go through an import, and damaged ones, for the tests of the way in."""

import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.slides.aperio import Plan, write_slide

OLD = (
    1_700_000_000_000_000_000  # ns: long before any test, so that nothing waits for the file to come to rest
)


@cache
def slide_bytes(image_id: str = "1004486", *, label: bool = False, side: int = 600) -> bytes:
    """Give a slide with two levels and a thumbnail. A label of noise costs the barcode reader its whole time."""
    description = (
        f"Aperio Image Library v11.2.1 \r\n{side}x500 (240x240) JPEG/RGB Q=85|AppMag = 20|ScanScope ID = SS1302"
        f"|Date = 12/29/09|Time = 09:59:15|MPP = 0.4990|ImageID = {image_id}|Filename = CMU-1"
    )
    plan = Plan(side, 500, 240, description=description, associated="aperio" if label else "none")
    with TemporaryDirectory() as folder:
        return write_slide(Path(folder) / "small.svs", plan).read_bytes()


def other_scan(content: bytes, day: bytes = b"30") -> bytes:
    """Give another scan of the same size and ImageID: taken on another day."""
    return content.replace(b"Date = 12/29/09", b"Date = 12/" + day + b"/09")


def put(folder: Path, name: str, content: bytes | None = None, modified: int = OLD) -> Path:
    """Write a file as a scanner leaves it, whole and at rest."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(slide_bytes() if content is None else content)
    os.utime(path, ns=(modified, modified))
    return path
