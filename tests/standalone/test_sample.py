from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
import zxingcpp
from PIL import Image

from vsv_local.sample import slide
from vsv_local.sample.slide import SLIDE_ID, write_sample_slide


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("sample") / "sample.svs"
    write_sample_slide(written)
    return written


def test_sample_slide_opens_in_openslide_as_an_aperio_slide(path: Path) -> None:
    with openslide.OpenSlide(path) as slide:
        assert slide.properties["openslide.vendor"] == "aperio"
        assert slide.level_dimensions == ((4000, 3000), (1000, 750))
        assert float(slide.properties["openslide.mpp-x"]) == 0.499
        assert slide.properties["openslide.objective-power"] == "20"
        assert slide.properties["aperio.ImageID"] == "2000001"
        assert {name: image.size for name, image in slide.associated_images.items()} == {
            "thumbnail": (1024, 768),
            "label": (600, 600),
            "macro": (1280, 432),
        }


def test_sample_pages_have_the_layout_of_aperio_scanners(path: Path) -> None:
    with tifffile.TiffFile(path) as tiff:
        assert [(page.is_tiled, page.tags["NewSubfileType"].value) for page in tiff.pages] == [
            (True, 0),
            (False, 0),
            (True, 0),
            (False, 1),
            (False, 9),
        ]
        for page in tiff.pages:
            assert page.compression == 7
            assert page.tags["YCbCrSubSampling"].value == (2, 1)
            assert "Software" not in page.tags
            start = page.dataoffsets[0]
            stream = path.read_bytes()[start : start + page.databytecounts[0]]
            assert b"\xff\xdb" not in stream[:20]  # its tables are in JPEGTables


def test_sample_label_barcode_contains_the_slide_id(path: Path) -> None:
    with openslide.OpenSlide(path) as slide:
        label = slide.associated_images["label"].convert("RGB")
    assert [barcode.text for barcode in zxingcpp.read_barcodes(np.asarray(label))] == [SLIDE_ID]


def test_sample_levels_and_thumbnail_show_the_same_image(path: Path) -> None:
    with openslide.OpenSlide(path) as slide:
        level = slide.read_region((0, 0), 1, (1000, 750)).convert("RGB")
        for other in (slide.get_thumbnail((1000, 750)), slide.associated_images["thumbnail"].convert("RGB")):
            difference = np.asarray(other.resize((250, 188)), int) - np.asarray(level.resize((250, 188)), int)
            assert np.abs(difference).mean() < 3


def test_sample_full_resolution_has_bright_glass_and_detailed_tissue(path: Path) -> None:
    with openslide.OpenSlide(path) as slide:
        glass = np.asarray(slide.read_region((0, 0), 0, (64, 64)).convert("RGB"))
        full = slide.read_region((1500, 1100), 0, (800, 800)).convert("L")
    assert glass.min() > 235
    enlarged = full.reduce(4).resize(full.size, Image.Resampling.BICUBIC)
    assert np.abs(np.asarray(full, int) - np.asarray(enlarged, int)).max() > 60


def test_write_sample_slide_writes_identical_bytes_each_time(path: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.svs"
    write_sample_slide(again)
    assert again.read_bytes() == path.read_bytes()


def test_failed_write_of_sample_slide_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(slide, "_write_page", fail)
    with pytest.raises(OSError, match="disk full"):
        write_sample_slide(tmp_path / "sample.svs")
    assert list(tmp_path.iterdir()) == []
