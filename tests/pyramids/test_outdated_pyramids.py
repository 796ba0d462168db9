"""Pyramids that earlier versions rendered white from empty tiles: found, and rendered again under other addresses."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from vsv.deidentification.byte_audit import account
from vsv.deidentification.policy import Policy
from vsv.formats.random_access import OpenFile
from vsv.ingest.steps import render
from vsv.pyramids.renderer import render_pyramid

from tests.support.servers.archive_site import brought
from tests.support.servers.running import Site
from tests.support.slides.aperio import JPEG2000_RGB, Plan, patch_item, write_slide
from tests.support.slides.opened import opened, tile

CHROMA_POSITION = 531
PLANS = {"jpeg": Plan(1280, 1040), "jpeg 2000": Plan(1280, 1040, codec=JPEG2000_RGB)}
REDUCED = 2  # full resolution, the thumbnail, a quarter


def rendered(site: Site, image_id: str) -> bool:
    site.services.slide_cache.forget(image_id)
    result = render(site.services, image_id, lambda _done, _total: None, jobs=1)
    site.services.slide_cache.forget(image_id)
    return result


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_render_replaces_a_white_pyramid_of_an_earlier_version_once(
    site: Site, tmp_path: Path, plan: Plan
) -> None:
    path = write_slide(tmp_path / "a.svs", plan)
    patch_item(path, REDUCED, "TileByteCounts", 0, 0)
    image_id = brought(site, path.read_bytes())
    pyramid = site.services.files.pyramid(image_id)
    # An earlier version's pyramid: white, and without the mark.
    white = np.full((plan.height_px, plan.width_px, 3), 255, np.uint8)
    render_pyramid(opened(write_slide(tmp_path / "white.svs", plan, white)), pyramid, jobs=1)
    site.services.slide_cache.forget(image_id)
    before = site.services.slide_cache.slide(image_id)
    level_dz = before.max_level - 3
    assert tile(before, level_dz, 0, 0).min() == 255
    assert rendered(site, image_id)
    after = site.services.slide_cache.slide(image_id)
    assert tile(after, level_dz, 0, 0).mean() < 200
    assert after.stamp != before.stamp
    assert not rendered(site, image_id)


def test_render_leaves_pyramids_of_slides_without_empty_tiles(site: Site, tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs", PLANS["jpeg"])
    image_id = brought(site, path.read_bytes())
    assert not rendered(site, image_id)
    with tifffile.TiffFile(site.services.files.pyramid(image_id)) as tiff:
        assert all(CHROMA_POSITION not in page.tags for page in tiff.pages)


def test_mark_of_a_filled_pyramid_is_what_a_published_copy_may_hold(tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs", PLANS["jpeg"])
    patch_item(path, REDUCED, "TileByteCounts", 0, 0)
    pyramid = tmp_path / "pyramid.tif"
    render_pyramid(opened(path), pyramid, jobs=1)
    with tifffile.TiffFile(pyramid) as tiff:
        assert tiff.pages[0].tags[CHROMA_POSITION].value == (1,)
        assert CHROMA_POSITION not in tiff.pages[1].tags
    assert not account(OpenFile(pyramid), Policy(), pyramid=True).problems
