"""Staging of a published slide, hidden from readers: its copy, pyramid, thumbnail and description."""

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
from vsv.deidentification.shown_pages import strange_levels
from vsv.errors import CorruptTileError, LeakError, UnreadableSlideError
from vsv.formats.random_access import OpenFile
from vsv.ingest.validation import checksum
from vsv.pyramids.renderer import render_pyramid
from vsv.records.models import SlideRecord
from vsv.rendering.associated_images import encode, make_thumbnail
from vsv.rendering.regions import region
from vsv.services import Services
from vsv.slides.damage import NOTES, read_notes, write_notes
from vsv.slides.slide import Slide, open_slide
from vsv.storage import atomic_write
from vsv.storage.originals import check_original
from vsv.storage.slide_files import SLIDE

PYRAMID, THUMBNAIL, DESCRIPTION = "pyramid.tif", "thumbnail.jpeg", "published.json"
# In the order in which they are moved into place: a slide is visible once its own file exists, and its pyramid
# follows that file.
PARTS = (THUMBNAIL, DESCRIPTION, SLIDE, PYRAMID)
# So many tiles of each level are decoded and compared, of the original and of the copy.
_COMPARED = 32


def make(services: Services, record: SlideRecord, plan: Plan) -> Plan:
    """Write all files of a published slide to its stage folder; return the plan with the copy's checksum.

    Raises LeakError where the copy would hold PHI, UnsupportedError and UnreadableSlideError for slides that cannot
    be published, UnavailableError and OSError where the disk refuses.
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
    """Remove a stage folder that an earlier or killed run has left."""
    if stage.exists():
        shutil.rmtree(stage)


def described(plan: Plan, report: Report) -> bytes:
    """Return a published slide's description as JSON; no part of it points back to the original."""
    item = {"name": plan.name, "when": plan.when, "sha256": plan.sha256, "size": plan.size}
    return json.dumps({**item, "removed": report.to_item()}, indent=2).encode()


def compare(original: Path, copy: Path) -> None:
    """Check that the copy has the original's levels and, in sampled tiles, its pixels; raise UnreadableSlideError."""
    missing = copy.with_name("none")
    source, written = (open_slide(path, missing, missing) for path in (original, copy))
    shapes = [(slide.grid, slide.native, slide.decoded.keys()) for slide in (source, written)]
    if shapes[0] != shapes[1]:
        raise UnreadableSlideError("the copy has other levels than the slide: it cannot be published")
    for level_dz in {source.max_level, *source.native, *source.decoded}:
        for box in _sample_boxes(source, level_dz):
            if not np.array_equal(_read_pixels(source, level_dz, box), _read_pixels(written, level_dz, box)):
                raise UnreadableSlideError(
                    "the copy shows other pixels than the slide: it cannot be published"
                )


def _sample_boxes(slide: Slide, level_dz: int) -> Iterator[tuple[int, int, int, int]]:
    columns, rows = slide.grid.tile_counts(level_dz)
    for index in range(0, columns * rows, max(1, columns * rows // _COMPARED)):
        yield slide.grid.tile_box(level_dz, index % columns, index // columns)


def _read_pixels(slide: Slide, level_dz: int, box: tuple[int, int, int, int]) -> np.ndarray | str:
    try:
        return region(slide, level_dz, box)
    except CorruptTileError as error:
        return str(error)  # a tile that the scanner has left out is missing in both


def _make_pyramid(original: Path, stage: Path, policy: Policy) -> None:
    """Link or copy the original's pyramid where the audit finds only pixels in it, else render a pyramid.

    The numbers of damaged tiles go with it.

    Raises LeakError where the rendered pyramid holds more than pixels.
    """
    target = stage / PYRAMID
    if original.exists() and _may_be_published(original, stage / SLIDE, policy):
        try:
            os.link(original, target)
            # Its time is part of tiles' ETags, and would reveal about when the slide was scanned.
            os.utime(target)
        except OSError:
            shutil.copyfile(original, target)
            atomic_write.flush(target)
        damage = read_notes(original.with_name(NOTES))
        damage.version = 0
        write_notes(stage / NOTES, damage)
        return
    render_pyramid(open_slide(stage / SLIDE, target, stage / THUMBNAIL), target)
    if account(OpenFile(target), policy, pyramid=True).problems:
        raise LeakError("the rendered levels hold more than pixels: nothing was published")


def _may_be_published(pyramid: Path, copy: Path, policy: Policy) -> bool:
    """Return whether a pyramid holds pixels only, and only the slide's: earlier versions rendered a label."""
    return not account(OpenFile(pyramid), policy, pyramid=True).problems and not strange_levels(copy, pyramid)
