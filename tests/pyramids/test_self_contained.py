"""A slide without its original: every answer about it is the same, to the byte."""

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image
from vsv.errors import ConflictError, UnavailableError
from vsv.formats.random_access import OpenFile
from vsv.pyramids import self_contained
from vsv.pyramids.renderer import render_pyramid
from vsv.pyramids.self_contained import check_complete, complete
from vsv.slides.levels import COMPLETE
from vsv.slides.slide import tiled_pages
from vsv.storage import atomic_write

from tests.support.servers.archive_site import answers, archived, brought, etags, restored
from tests.support.servers.running import Site, running_site
from tests.support.slides.aperio import (
    JPEG2000_RGB,
    JPEG2000_YCBCR,
    Plan,
    patch_item,
    texture,
    tile_bytes,
    write_slide,
)
from tests.support.slides.images import encoded
from tests.support.slides.opened import opened, whole_level
from tests.support.slides.profiles import lut_profile, matrix_profile
from tests.support.slides.small import slide_bytes

SECRETS = (b"CMU-1", b"SS1302", b"12/29/09", b"1004486", b"a.svs")
PLANS = {
    "aperio": Plan(1293, 1051),
    "one level of 240": Plan(1003, 751, tile=240, downsamples=(1,), chroma="420", icc=matrix_profile()),
    "4:2:2": Plan(645, 523, chroma="422", byteorder=">", bigtiff=True),
    "4:4:4": Plan(645, 523, chroma="444", icc=lut_profile()),
    "grey": Plan(645, 523, chroma="gray"),
    "one tile": Plan(200, 150, downsamples=(1,)),
    "three levels": Plan(2071, 1031, tile=128, downsamples=(1, 2, 8)),
    "jpeg 2000": Plan(645, 523, codec=JPEG2000_YCBCR),
    "jpeg 2000 rgb": Plan(645, 523, codec=JPEG2000_RGB, icc=matrix_profile()),
    "a damaged profile": Plan(645, 523, icc=b"no profile" * 20),
}


def check_the_same(site: Site, image_id: str) -> None:
    """Archive and restore a slide; nothing that is answered about it may change."""
    original = site.services.files.slide(image_id)
    content, before = original.read_bytes(), answers(site.services, image_id)
    assert {200, 400, 404} >= {status for status, _, _ in before.values()}
    assert archived(site.services, image_id).error is None
    assert not original.exists()
    site.services.slide_cache.forget(image_id)
    assert answers(site.services, image_id) == before
    tags = etags(site.services, image_id)
    assert restored(site.services, image_id).error is None
    assert original.read_bytes() == content
    site.services.slide_cache.forget(image_id)
    assert answers(site.services, image_id) == before
    assert etags(site.services, image_id) == tags


@pytest.mark.parametrize("name", PLANS)
def test_archived_slide_answers_every_request_unchanged(tmp_path: Path, site: Site, name: str) -> None:
    slide = write_slide(tmp_path / "slide.svs", PLANS[name])
    check_the_same(site, brought(site, slide.read_bytes()))


def test_archived_real_slide_answers_every_request_unchanged(site: Site, real_slide: Path) -> None:
    check_the_same(site, brought(site, real_slide.read_bytes()))


def test_archived_ordinary_image_answers_every_request_unchanged(site: Site) -> None:
    picture = Image.fromarray(texture(700, 500))
    check_the_same(site, brought(site, encoded(picture, "PNG"), "picture.png"))


def test_archived_slide_of_other_vendor_answers_every_request_unchanged(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "generic.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(
            texture(700, 500),
            tile=(256, 256),
            photometric="rgb",
            compression="deflate",
            iccprofile=matrix_profile(),
            resolution=(20_000, 20_000),
            resolutionunit="CENTIMETER",
        )
    check_the_same(site, brought(site, path.read_bytes(), "generic.tif"))


@pytest.mark.parametrize(
    "damage",
    [("TileByteCounts", 0), ("TileByteCounts", 3), ("TileByteCounts", 1 << 25), ("TileOffsets", 1 << 31)],
)
def test_complete_keeps_answers_for_damaged_tiles(
    site: Site, tmp_path: Path, damage: tuple[str, int]
) -> None:
    image_id = brought(site, write_slide(tmp_path / "slide.svs", Plan(1293, 1051)).read_bytes())
    original = site.services.files.slide(image_id)
    original.chmod(0o644)
    patch_item(original, 0, damage[0], 7, damage[1])
    site.services.slide_cache.forget(image_id)
    answers(site.services, image_id)  # so that the damage is known, which says how long answers may be cached
    before, pyramid = answers(site.services, image_id), site.services.files.pyramid(image_id)
    assert complete(site.services.slide_cache.slide(image_id), pyramid)
    site.services.slide_cache.forget(image_id)
    assert site.services.slide_cache.slide(image_id).path == pyramid
    assert answers(site.services, image_id) == before


@pytest.fixture
def slide_and_pyramid(tmp_path: Path) -> tuple[Path, Path]:
    """Write a slide and its complete pyramid; return their paths."""
    slide, pyramid = write_slide(tmp_path / "slide.svs", Plan(1293, 1051)), tmp_path / "pyramid.tif"
    render_pyramid(opened(slide), pyramid, jobs=1)
    assert complete(opened(slide, pyramid), pyramid)
    return slide, pyramid


def test_complete_copies_native_tiles_and_tables_verbatim(slide_and_pyramid: tuple[Path, Path]) -> None:
    slide, pyramid = slide_and_pyramid
    with tifffile.TiffFile(slide) as old, tifffile.TiffFile(pyramid) as new:
        pairs = {
            0: 0,
            2: 2,
        }  # full size, and the level that is a quarter; between them lies the thumbnail, and a half
        for theirs, ours in pairs.items():
            assert (old.pages[theirs].imagewidth, old.pages[theirs].imagelength) == (
                new.pages[ours].imagewidth,
                new.pages[ours].imagelength,
            )
            assert new.pages[ours].photometric == old.pages[theirs].photometric
            assert bytes(new.pages[ours].jpegtables) == bytes(old.pages[theirs].jpegtables)
            for index in range(len(old.pages[theirs].dataoffsets)):
                assert tile_bytes(pyramid, ours, index) == tile_bytes(slide, theirs, index)


def test_complete_keeps_rendered_tiles_unchanged(tmp_path: Path) -> None:
    slide, pyramid = write_slide(tmp_path / "slide.svs", Plan(1293, 1051)), tmp_path / "pyramid.tif"
    render_pyramid(opened(slide), pyramid, jobs=1)
    rendered = pyramid.read_bytes()
    sizes = [(page.width_px, page.height_px) for page in tiled_pages(OpenFile(pyramid))]
    complete(opened(slide, pyramid), pyramid)
    (tmp_path / "old.tif").write_bytes(rendered)
    for page in tiled_pages(OpenFile(pyramid)):
        if (page.width_px, page.height_px) in sizes:
            old = sizes.index((page.width_px, page.height_px))
            assert tile_bytes(pyramid, page.index, 0) == tile_bytes(tmp_path / "old.tif", old, 0)


def test_complete_pyramid_has_original_pixels_in_openslide(slide_and_pyramid: tuple[Path, Path]) -> None:
    slide, pyramid = slide_and_pyramid
    after = opened(slide, pyramid)
    assert after.path == pyramid
    with openslide.OpenSlide(pyramid) as reference:
        assert reference.level_dimensions[0] == (1293, 1051)
        assert reference.level_count == after.grid.level_count
        assert float(reference.properties["openslide.mpp-x"]) == pytest.approx(0.499, rel=1e-6)
        for level in range(reference.level_count):
            size = reference.level_dimensions[level]
            found = np.asarray(reference.read_region((0, 0), level, size).convert("RGB"))
            ours = whole_level(after, after.max_level - level)[: size[1], : size[0]]
            assert np.array_equal(found, ours)
    with openslide.OpenSlide(slide) as original, openslide.OpenSlide(pyramid) as copy:
        whole = [s.read_region((0, 0), 0, (1293, 1051)).tobytes() for s in (original, copy)]
    assert whole[0] == whole[1]


def test_complete_pyramid_keeps_scale_and_magnification_without_identifiers(
    slide_and_pyramid: tuple[Path, Path],
) -> None:
    _, pyramid = slide_and_pyramid
    page = tiled_pages(OpenFile(pyramid))[0]
    assert page.description == f"{COMPLETE}|AppMag = 20|MPP = 0.499"
    data = pyramid.read_bytes()
    assert [secret for secret in SECRETS if secret in data] == []


@pytest.mark.parametrize("mpp", [1e-8, 0.0001, 0.2525, 0.499, 12.5, 1e8])
def test_resolution_rational_keeps_scale_within_tiff_precision(mpp: float) -> None:
    top, bottom = struct.unpack("<II", self_contained._encode_rational(10_000 / mpp))
    if 0.000003 < mpp < 1e6:
        assert float(Fraction(top, bottom)) == pytest.approx(10_000 / mpp, rel=1e-4)


def test_complete_leaves_complete_pyramid_unchanged(slide_and_pyramid: tuple[Path, Path]) -> None:
    slide, pyramid = slide_and_pyramid
    before = pyramid.stat().st_mtime_ns, pyramid.read_bytes()
    assert not complete(opened(slide, pyramid), pyramid)
    assert (pyramid.stat().st_mtime_ns, pyramid.read_bytes()) == before


def test_complete_refuses_slide_without_rendered_pyramid(tmp_path: Path) -> None:
    slide = write_slide(tmp_path / "slide.svs", Plan(1293, 1051))
    with pytest.raises(ConflictError, match="render"):
        complete(opened(slide), tmp_path / "pyramid.tif")
    assert list(tmp_path.iterdir()) == [slide]


def test_check_complete_refuses_truncated_missing_and_partial_pyramids(
    slide_and_pyramid: tuple[Path, Path], tmp_path: Path
) -> None:
    slide, pyramid = slide_and_pyramid
    whole = pyramid.read_bytes()
    check_complete(pyramid)
    for length in (0, 100, len(whole) // 2, len(whole) - 1):
        pyramid.write_bytes(whole[:length])
        with pytest.raises(UnavailableError):
            check_complete(pyramid)
        assert opened(slide, pyramid).path in {slide, pyramid}
    pyramid.unlink()
    with pytest.raises(UnavailableError):
        check_complete(pyramid)
    render_pyramid(opened(slide), pyramid, jobs=1)
    with pytest.raises(UnavailableError):
        check_complete(pyramid)


@pytest.mark.parametrize("name", ["flush", "replacing"])
def test_complete_on_full_disk_keeps_the_pyramid_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    slide, pyramid = write_slide(tmp_path / "slide.svs", Plan(645, 523)), tmp_path / "pyramid.tif"
    render_pyramid(opened(slide), pyramid, jobs=1)
    before = pyramid.read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_write, name, refuse)
    with pytest.raises(UnavailableError, match="full"):
        complete(opened(slide, pyramid), pyramid)
    assert pyramid.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pyramid.tif", "slide.svs"]


def test_archived_slide_is_opened_without_its_original(tmp_path: Path) -> None:
    with running_site(tmp_path) as site:
        image_id = brought(site, slide_bytes())
        archived(site.services, image_id)
        assert site.services.slide_cache.slide(image_id).path == site.services.files.pyramid(image_id)
        assert not site.services.files.slide(image_id).exists()
