"""Unusual but legal TIFF files: read where OpenSlide reads them, else refused with what cannot be shown."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openslide
import pytest
import tifffile
from vsv.errors import UnreadableSlideError
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import read_pages
from vsv.ingest.validation import inspect
from vsv.records.models import ImportState
from vsv.slides.unsupported import unsupported_feature

from tests.support.servers.running import Site, running_site
from tests.support.slides.aperio import LIBRARY, TAGS, Plan, patch_item, texture, write_slide
from tests.support.slides.opened import opened, stored_level, whole_level
from tests.support.slides.small import put
from tests.support.slides.unusual import SIZE, in_focus_order, plane, write_pages


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path) as site:
        yield site


APERIO, OTHER = f"{LIBRARY}1003x717 (240x240){TAGS}", "a scanner without a name"
TILED = {"tile": (240, 240), "photometric": "rgb"}


def write(path: Path, description: str = APERIO, data: Any = None, **options: Any) -> Path:
    pixels = texture(*SIZE) if data is None else data
    with tifffile.TiffWriter(path, bigtiff=options.pop("bigtiff", False)) as tiff:
        tiff.write(pixels, description=description, metadata=None, **options)
    return path


READ: dict[str, dict[str, Any]] = {
    "LZW": {**TILED, "compression": "lzw", "predictor": 2},
    "Deflate in BigTIFF": {**TILED, "compression": "deflate", "bigtiff": True},
    "PackBits": {**TILED, "compression": "packbits"},
    "Zstandard": {**TILED, "compression": "zstd"},
    "planes of colours": {
        **TILED, "compression": "deflate", "planarconfig": "separate",
        "data": np.ascontiguousarray(np.moveaxis(texture(*SIZE), -1, 0)),
    },
    "oblong tiles": {**TILED, "compression": "jpeg", "tile": (272, 240)},
    "tiles of 4,800 pixels": {**TILED, "compression": "jpeg", "tile": (4800, 4800)},
    "a private tag of an odd type": {**TILED, "compression": "jpeg", "extratags": [(65001, 9, 1, -5, True)]},
}  # fmt: skip


@pytest.mark.parametrize("description", [APERIO, OTHER], ids=["Aperio", "other"])
@pytest.mark.parametrize("options", READ.values(), ids=READ)
def test_file_that_openslide_reads_is_valid_and_has_its_pixels(
    tmp_path: Path, description: str, options: dict[str, Any]
) -> None:
    path = write(tmp_path / "a.svs", description, **options)
    inspect(path, path.stat().st_size)
    slide = opened(path)
    found = whole_level(slide, slide.max_level)
    assert np.abs(found.astype(int) - stored_level(path, 0)).max() <= 1


def test_private_tag_past_the_end_does_not_change_the_pixels(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.svs", **TILED, compression="jpeg", extratags=[(65000, 1, 5000, bytes(5000), True)]
    )
    with tifffile.TiffFile(path) as file:
        at = file.pages[0].tags[65000].offset
    with path.open("r+b") as damaged:
        damaged.seek(at + 8)
        damaged.write((path.stat().st_size + 100_000).to_bytes(4, "little"))
    inspect(path, path.stat().st_size)
    slide = opened(path)
    assert np.array_equal(whole_level(slide, slide.max_level), stored_level(path, 0))


CODINGS = {
    "webp": "WebP", "jpegxl": "JPEG XL", "lerc": "LERC", "lzma": "LZMA", "png": "PNG", "jpegxr": "JPEG XR",
    "jpeg2000": "JPEG 2000",
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".svs", ".tif"])
@pytest.mark.parametrize(("coding", "name"), CODINGS.items(), ids=CODINGS)
def test_coding_that_cannot_be_shown_is_named(tmp_path: Path, coding: str, name: str, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}", APERIO if suffix == ".svs" else OTHER, **TILED, compression=coding)
    with pytest.raises(openslide.OpenSlideError):
        openslide.OpenSlide(path)
    check_refused(path, name)


def check_refused(path: Path, words: str) -> None:
    with pytest.raises(UnreadableSlideError, match=words) as caught:
        inspect(path, path.stat().st_size)
    assert not any(word in str(caught.value) for word in ("again", "truncated", "damaged", "circle"))


@pytest.mark.parametrize(
    ("number", "words"), [(33007, "Aperio's uncompressed YCbCr"), (61234, "compression 61234")]
)
def test_rare_coding_is_named_by_name_or_number(tmp_path: Path, number: int, words: str) -> None:
    path = write(tmp_path / "a.svs", **TILED, compression="deflate")
    patch_item(path, 0, "Compression", 0, number)
    check_refused(path, words)


def test_full_resolution_in_strips_is_named(tmp_path: Path) -> None:
    check_refused(write(tmp_path / "a.svs", photometric="rgb", rowsperstrip=37), "strips")


@pytest.mark.parametrize("suffix", [".svs", ".ndpi", ".scn"])
def test_ordinary_image_with_the_name_of_a_slide_is_named(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}", OTHER, photometric="rgb", rowsperstrip=37)
    check_refused(path, "ordinary image")
    inspect(path.rename(tmp_path / "a.tif"), (tmp_path / "a.tif").stat().st_size)


def test_focal_planes_in_a_coding_that_only_openslide_reads_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.svs"
    with tifffile.TiffWriter(path) as tiff:
        for page in in_focus_order((-1.0, 0.0, 1.0)):
            pixels = page.pixels[:: page.downsample, :: page.downsample]
            tiff.write(pixels, **TILED, compression="deflate", description=APERIO + page.text, metadata=None)
    check_refused(path, "focal planes")


def test_levels_in_another_order_are_named_where_openslide_must_read_them(tmp_path: Path) -> None:
    path = tmp_path / "a.svs"
    with tifffile.TiffWriter(path) as tiff:
        for step in (1, 8, 2):
            tiff.write(
                plane(0)[::step, ::step], **TILED, compression="deflate", description=APERIO, metadata=None
            )
    check_refused(path, "largest to the smallest")


def test_levels_in_another_order_are_shown_where_their_tiles_are_jpeg(tmp_path: Path) -> None:
    pages = in_focus_order((None,), (1, 4, 2))
    path = write_pages(tmp_path / "a.svs", pages)
    with pytest.raises(openslide.OpenSlideError):
        openslide.OpenSlide(path)
    inspect(path, path.stat().st_size)
    slide = opened(path)
    assert slide.native == {slide.max_level, slide.max_level - 1, slide.max_level - 2}


@pytest.mark.parametrize("side", [16384, 1 << 20])
def test_tiles_that_would_take_too_much_memory_are_refused_with_their_size(tmp_path: Path, side: int) -> None:
    path = write(tmp_path / "a.svs", **TILED, compression="jpeg")
    patch_item(path, 0, "TileWidth", 0, side)
    patch_item(path, 0, "TileLength", 0, 16384)
    check_refused(path, f"{side}×16384")


def test_nothing_is_named_of_an_ordinary_slide(tmp_path: Path) -> None:
    path = write(tmp_path / "a.svs", **TILED, compression="deflate")
    assert unsupported_feature(read_pages(OpenFile(path))) is None


@pytest.mark.parametrize("number", [5, 33007, 0, 61234])
def test_small_page_of_a_rare_coding_is_left_out_and_the_slide_imported(site: Site, number: int) -> None:
    """Pillow raises KeyError for some of these."""
    path = put(site.scanner, "a.svs", small_slide(site, number))
    assert site.settle("a.svs", path.stat().st_size) == 200
    assert site.state() is ImportState.READY
    (record,) = site.records()
    assert not site.services.files.associated(record.image_id, "label").exists()


def small_slide(site: Site, number: int) -> bytes:
    """Return a slide whose label only the subfile type names, and whose compression is another than it says."""
    path = write_slide(site.scanner.parent / "made.svs", Plan(600, 500, 240, associated="undescribed"))
    patch_item(path, 2 + 1, "Compression", 0, number)
    if number == 5:
        patch_item(path, 2 + 1, "BitsPerSample", 0, 77)
    return path.read_bytes()
