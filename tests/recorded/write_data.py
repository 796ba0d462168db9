"""Write the data folder and the DynamoDB items with the code on the path.

``python -m tests.recorded.write_data DIR`` is run once, with the code before the change and as ``record`` says: what
that code wrote is what today's must read. ``DIR`` is an empty folder that plays the scanner's; records name it.
"""

import asyncio
import json
import os
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image, ImageCms, ImageFilter

from tests.recorded.asking import TABLES, empty_tables, environment, reviewed, scanned, settled
from tests.recorded.doors import door
from tests.recorded.fixed_data import FOLDER, ITEMS
from tests.support.slides.aperio import (
    JPEG2000_RGB,
    JPEG2000_YCBCR,
    LIBRARY,
    Pixels,
    Plan,
    tile_bytes,
    write_slide,
)
from tests.support.slides.aperio import texture as clouds

Json = dict[str, Any]
WRITTEN = 1_700_000_000  # modification time of every packed file, in seconds since 1970
TAGS = "AppMag = 20|ScanScope ID = SS1302|Date = 12/29/09|Time = 09:59:15|MPP = 0.4990|Filename = CMU-1"


def _picture(width_px: int, height_px: int, seed: int = 7) -> Pixels:
    """Return clouds without grain, which cost few bytes."""
    image = Image.fromarray(clouds(width_px, height_px, seed))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(25)))


def _plan(image_id: str, width_px: int, height_px: int, coding: str = "JPEG/RGB Q=60", **more: Any) -> Plan:
    size = f"{width_px}x{height_px} (240x240)"
    description = f"{LIBRARY}{size} {coding}|{TAGS}|ImageID = {image_id}"
    given: Json = {
        "tile": 240,
        "quality": 60,
        "associated": "none",
        "thumbnail": False,
        "description": description,
    }
    return Plan(width_px, height_px, **(given | more))


def _profile() -> bytes:
    """Return a profile that is not sRGB: littlecms's own of sRGB with red and green exchanged."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return data.replace(b"rXYZ", b"\0tmp", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"\0tmp", b"gXYZ", 1)


PLANS = {
    "aperio.svs": _plan("1004486", 600, 490, associated="aperio", thumbnail=True, downsamples=(1, 4)),
    "j2k.svs": _plan("2004", 400, 270, "J2K/KDU Q=70", codec=JPEG2000_RGB, lossy=True, downsamples=(1,)),
    "ycbcr.svs": _plan(
        "2005", 300, 250, "J2K/YUV16 Q=70", codec=JPEG2000_YCBCR, lossy=True, downsamples=(1,)
    ),
    "profiled.svs": _plan("3004", 500, 300, icc=_profile(), chroma="420", downsamples=(1,)),
    "no pyramid.svs": _plan("4004", 900, 500, downsamples=(1,)),
    "damaged.svs": _plan("5004", 500, 300, downsamples=(1,)),
    "Größe ;1.svs": _plan("6004", 250, 200, downsamples=(1,)),
}
IMAGES = {"plain-image.png": (260, 210), "3.png": (60, 40)}
# What is in the scanner's folder at a replay: a new slide, files that are no slides, one still being written.
NEW = {"new.svs": _plan("7004", 250, 200, downsamples=(1,))}
NO_SLIDES = {"text.svs": b"this is no slide", "other text.svs": b"nor is this", "growing.svs": b"II*\0"}


def write_folder(scanner: Path) -> None:
    """Write and pack the data folder."""
    label, macro = (
        (lambda: Image.fromarray(_picture(120, 150, 1))),
        (lambda: Image.fromarray(_picture(300, 100, 2))),
    )
    smooth = patch.multiple("tests.slides", label_image=label, macro_image=macro)
    with TemporaryDirectory() as temporary, environment({}), smooth:
        data = Path(temporary) / "data"
        asyncio.run(_fill(data, scanner))
        _damage(data)
        for path in scanner.iterdir():
            path.unlink()
        for name, plan in NEW.items():
            write_slide(scanner / name, plan, _picture(plan.width_px, plan.height_px))
        for name, content in NO_SLIDES.items():
            (scanner / name).write_bytes(content)
        _pack(data, scanner)


async def _fill(data: Path, scanner: Path) -> None:
    app = door("App")()
    with door("standalone")(data, [scanner]) as (here, _intake):
        for name, plan in PLANS.items():
            write_slide(scanner / name, plan, _picture(plan.width_px, plan.height_px))
            await _bring(app, scanner / name)
        for name, size in IMAGES.items():
            Image.fromarray(_picture(*size, seed=3)).save(scanner / name)
            await _bring(app, scanner / name)
        (scanner / "text.svs").write_bytes(NO_SLIDES["text.svs"])
        await _bring(app, scanner / "text.svs")
        bits = np.add.outer(np.arange(30), np.arange(40)) % 3 == 0
        door("store_mask")(here.files, "1004486", 77, bits, (0, 128, 255, 200))
        for record in _records():
            here.slides.put_new(record)
        for run in _runs():
            here.imports.start(run, replaces=None)
        for query in _EARLIER:
            await settled(app, {"method": "POST", "path": "/graphql", "json": {"query": query}})


async def _bring(app: Any, path: Path) -> None:
    os.utime(path, (WRITTEN, WRITTEN))
    body = {"filename": path.name, "size": path.stat().st_size}
    answer = await settled(app, {"method": "POST", "path": "/ImportSlide", "json": body, "while": 202})
    print(path.name, answer["status"], answer["text"])  # noqa: T201


def _records() -> list[Any]:
    """Return records without files, of slides in every state that review knows."""
    slide = door("SlideRecord")
    fixed = {
        "width": 46000,
        "height": 32914,
        "file_size": 2**40 + 1,
        "last_modified": "2026-11-21T06:10:58.000042Z",
    }
    states = ["NEW", "GOOD", "BAD", "SENT", "PUBLISHED", "ARCHIVED", "DELETED"]
    plain = [
        slide(
            image_id=f"r{number}",
            filename=f"record {number}.svs",
            slide_id=f"S26-{number};A1",
            case_id=f"S26-{number // 2}",
            status=state,
            scan_date=f"2026-11-{10 + number}T08:00:00",
            time_zone="local",
            **fixed,
        )
        for number, state in enumerate(states)
    ]
    whole = slide(
        image_id="0f8fad5b-d9cb-469f-a165-70867728950e",
        filename="Größe 病理 'quoted\" 100%.svs",
        slide_id="S26-1234;A1;äöü 病理 🔬",
        case_id="S26-1234",
        scan_date="2026-11-20T23:59:59",
        time_zone="+01:00",
        app_mag="40",
        mpp=0.2498,
        checksum="sha256:00ff",
        barcode="S26-1234\x1dA1",
        barcode_format="DataMatrix",
        tile_size=240,
        compression="JPEG",
        scanner_id="SS1234",
        reviewer="Dr. Größe",
        note="Falte im Gewebe\n2. Zeile",
        original="ARCHIVED",
        status="ARCHIVED",
        status_before="SENT",
        published_as="STUDY-7",
        predecessor="4711",
        delivery="DELIVERED",
        tags={"aperio.Title": "Übersicht 🔬", "openslide.mpp-x": "0.2498", "empty": ""},
        modified_by="extract_metadata",
        version=7,
        **fixed,
    )
    return [*plain, whole]


def _runs() -> list[Any]:
    """Return imports that failed, and one that is done."""
    run = door("ImportRecord")
    times = {"started_at": "2026-11-21T06:10:58.000042Z", "updated_at": "2026-11-21T06:11:58.000042Z"}
    return [
        run(
            filename="lost.svs",
            size=999,
            state="FAILED",
            run_id="1" * 32,
            error="The file is «kaputt».",
            **times,
        ),
        run(
            filename="done.svs", size=2**40, state="READY", run_id="2" * 32, image_id="r0", deaths=1, **times
        ),
        run(filename="expected.svs", size=5, state="FAILED", run_id="3" * 32, expected="00ff" * 16, **times),
    ]


_EARLIER = (
    'mutation { updateSlide(input: {ImageID: "1004486", Status: "GOOD", Note: "Riss", SlideID: "S9"}) { Version } }',
    'mutation { updateSlide(input: {ImageID: "1004486", CaseID: "S26-9", Status: "BAD"}) { Version } }',
    'mutation { assignSlide(ImageID: "2004", reviewer: "Dr. Größe") { Version } }',
    'mutation { updateSlide(input: {ImageID: "6004", Status: "DELETED"}) { Version } }',
    'mutation { archiveSlide(ImageID: "2005") { State } }',
)


def _damage(data: Path) -> None:
    """Take away a pyramid, break a tile, and put a folder where a thumbnail is looked for."""
    (data / "slides/4004/pyramid.tif").unlink()
    (data / "slides/4004/thumbnail.jpeg").unlink()
    (data / "slides/4004/thumbnail.jpeg").mkdir()
    slide = data / "slides/5004/slide.svs"
    (data / "slides/5004/pyramid.tif").unlink()
    content, tile = slide.read_bytes(), tile_bytes(slide, 0, 2)
    broken = tile[: len(tile) // 2] + b"\xff\xd8" * (len(tile) // 4)
    slide.write_bytes(content.replace(tile, (broken + b"\xff" * len(tile))[: len(tile)]))


def _pack(data: Path, scanner: Path) -> None:
    """Pack both folders without owners and with one modification time, the way a backup does."""
    assert not (data / "records.sqlite-wal").exists(), "the database is still open"

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        member.mtime, member.uid, member.gid, member.uname, member.gname = WRITTEN, 0, 0, "", ""
        return None if "/locks/" in member.name else member

    with tarfile.open(FOLDER, "w:xz") as packed:
        packed.add(data, "data", filter=plain)
        packed.add(scanner, "scanner", filter=plain)


def write_items(scanner: Path) -> None:
    """Write the items of each table with the stores and the review function."""
    with environment({}), empty_tables(scanner) as client:
        store, imports = (door(name) for name in ("DynamoSlideStore", "DynamoImportStore"))
        slides = store(TABLES["VSV_SLIDES_TABLE"], review_table=TABLES["VSV_REVIEW_TABLE"])
        for record in _records():
            slides.put_new(record)
        for run in _runs():
            imports(TABLES["VSV_IMPORTS_TABLE"]).start(run, replaces=None)
        for request in _REVIEWED:
            print(reviewed({"type": "Mutation", "groups": ["Admins"], **request}))  # noqa: T201
        tables = {name: scanned(client, name) for name in TABLES.values()}
    lines = json.dumps(tables, ensure_ascii=False, indent=0, sort_keys=True)
    ITEMS.write_text(f"{lines}\n", encoding="utf-8")


_REVIEWED: tuple[Json, ...] = (
    {"field": "updateSlide", "arguments": {"input": {"ImageID": "r0", "Note": "Falte", "Status": "GOOD"}}},
    {"field": "updateSlide", "arguments": {"input": {"ImageID": "r1", "CaseID": "S26-77", "SlideID": None}}},
    {"field": "assignSlide", "arguments": {"ImageID": "r2", "reviewer": "Dr. Größe"}},
    {"field": "archiveSlide", "arguments": {"ImageID": "r1"}},
    {"field": "updateSlide", "arguments": {"input": {"ImageID": "r2", "Status": "DELETED"}}},
)


def main(arguments: list[str]) -> None:
    """Write both."""
    scanner = Path(arguments[0])
    scanner.mkdir(parents=True, exist_ok=True)
    write_items(scanner)
    write_folder(scanner)
    print(f"{FOLDER.stat().st_size} bytes packed")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
