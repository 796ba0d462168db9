"""Making a published slide where nobody sees it: its copy, pyramid, thumbnail and description."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from vsv.deidentification.byte_audit import account
from vsv.deidentification.copy_writer import write_copy
from vsv.deidentification.date_shift import days_earlier
from vsv.deidentification.phi_scan import require_clean
from vsv.deidentification.plan import Plan, stage_folder
from vsv.deidentification.policy import Policy, read_policy
from vsv.deidentification.report import Report
from vsv.errors import CorruptTileError, LeakError, UnreadableSlideError
from vsv.formats.random_access import OpenFile
from vsv.ingest.validation import checksum
from vsv.pyramids.renderer import render_pyramid
from vsv.records.models import SlideRecord
from vsv.rendering.associated_images import encode, make_thumbnail
from vsv.rendering.regions import region
from vsv.services import Services
from vsv.slides.slide import Slide, open_slide
from vsv.storage import atomic_write
from vsv.storage.originals import check_original
from vsv.storage.slide_files import SLIDE

PYRAMID, THUMBNAIL, DESCRIPTION = "pyramid.tif", "thumbnail.jpeg", "published.json"
# In the order in which they are put in place: a slide is seen once its own file is there, a pyramid is beside one.
PARTS = (THUMBNAIL, DESCRIPTION, SLIDE, PYRAMID)
# Of each level so many tiles are decoded, of the original and of the copy, and compared.
_COMPARED = 32


def make(services: Services, record: SlideRecord, plan: Plan) -> Plan:
    """Make all that a published slide consists of, and give the plan with the copy's checksum.

    Raises LeakError where the copy would tell something, UnsupportedError and UnreadableSlideError for slides that
    cannot be published, UnavailableError and OSError where the disk refuses.
    """
    stage, policy = stage_folder(services.files, record.image_id), read_policy(plan.policy)
    clear(stage)
    stage.mkdir(parents=True)
    check_original(services.files, record.image_id)
    original, copy = services.files.slide(record.image_id), stage / SLIDE
    report = write_copy(
        original, copy, policy, days_earlier(policy, services.files.root, record.case_id or record.image_id)
    )
    require_clean(original, copy, policy, record)
    compare(original, copy)
    _make_pyramid(services.files.pyramid(record.image_id), stage, policy)
    slide = open_slide(copy, stage / PYRAMID, stage / THUMBNAIL)
    atomic_write.write(stage / THUMBNAIL, encode(make_thumbnail(slide)))
    plan = replace(plan, sha256=checksum(copy), size=copy.stat().st_size)
    copy.chmod(0o444)
    atomic_write.write(stage / DESCRIPTION, described(plan, report))
    return plan


def clear(stage: Path) -> None:
    """Remove what a killed run, or an earlier one, has left there."""
    if stage.exists():
        shutil.rmtree(stage)


def described(plan: Plan, report: Report) -> bytes:
    """Write what a published slide says of itself: nothing in it points back to the original."""
    item = {"name": plan.name, "when": plan.when, "sha256": plan.sha256, "size": plan.size}
    return json.dumps({**item, "removed": report.to_item()}, indent=2).encode()


def compare(original: Path, copy: Path) -> None:
    """See that the copy shows the original's very pixels; raises UnreadableSlideError."""
    nowhere = copy.with_name("none")
    one, other = (open_slide(path, nowhere, nowhere) for path in (original, copy))
    shapes = [(slide.grid, slide.native, slide.decoded.keys()) for slide in (one, other)]
    if shapes[0] != shapes[1]:
        raise UnreadableSlideError("the copy has other levels than the slide: it cannot be published")
    for level_dz in {one.max_level, *one.native, *one.decoded}:
        for box in _boxes(one, level_dz):
            if not np.array_equal(_pixels(one, level_dz, box), _pixels(other, level_dz, box)):
                raise UnreadableSlideError(
                    "the copy shows other pixels than the slide: it cannot be published"
                )


def _boxes(slide: Slide, level_dz: int) -> Iterator[tuple[int, int, int, int]]:
    columns, rows = slide.grid.tile_counts(level_dz)
    for index in range(0, columns * rows, max(1, columns * rows // _COMPARED)):
        yield slide.grid.tile_box(level_dz, index % columns, index // columns)


def _pixels(slide: Slide, level_dz: int, box: tuple[int, int, int, int]) -> np.ndarray | str:
    try:
        return region(slide, level_dz, box)
    except CorruptTileError as error:
        return str(error)  # a tile that the scanner has left out is missing in both


def _make_pyramid(original: Path, stage: Path, policy: Policy) -> None:
    """Share the original's pyramid where nothing is in it but pixels, else render one."""
    target = stage / PYRAMID
    if original.exists() and not account(OpenFile(original), policy, pyramid=True).problems:
        try:
            os.link(original, target)
            os.utime(
                target
            )  # its time is part of tiles' tags, and would tell about when the slide was scanned
        except OSError:
            shutil.copyfile(original, target)
            atomic_write.flush(target)
        return
    render_pyramid(open_slide(stage / SLIDE, target, stage / THUMBNAIL), target)
    if account(OpenFile(target), policy, pyramid=True).problems:
        raise LeakError("the rendered levels hold more than pixels: nothing was published")
