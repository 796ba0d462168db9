"""Published copies hold only pages that show the slide; the check program finds a label in a copy."""

from pathlib import Path

import pytest
import tifffile
from click.testing import CliRunner
from PIL import Image
from vsv.deidentification.copy_writer import write_copy
from vsv.deidentification.phi_scan import check
from vsv.deidentification.policy import Policy
from vsv.deidentification.shown_pages import STRANGE

from tests.support.servers.publishing_site import publish, publishing, store
from tests.support.slides.aperio import LIBRARY, floor_reduced
from tests.support.slides.identified import write_identified
from tests.support.slides.labelled import (
    FIRST,
    label_pixels,
    tissue,
    write_label_as_level,
    write_label_as_second_page,
    write_small,
    write_tiled,
)
from vsv_local.cli.main import main

NAME = "STUDY-7-0001"


def sides(path: Path) -> list[int]:
    with tifffile.TiffFile(path) as tiff:
        return [page.shape[0] for page in tiff.pages]


@pytest.mark.parametrize("description", [None, f"{LIBRARY}800x800 -> 400x400"])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_copy_leaves_out_a_label_that_looks_like_a_level(
    tmp_path: Path, description: str | None, factor: int
) -> None:
    original = write_label_as_level(tmp_path / "a.svs", description, factor)
    report = write_copy(original, tmp_path / "copy.svs", Policy(), None)
    assert report.pages == ("page that does not show the slide",)
    assert sides(tmp_path / "copy.svs") == [800, 200, 800 // factor]
    assert check(original, tmp_path / "copy.svs", Policy()).leaks == ()


def test_copy_leaves_out_a_label_that_looks_like_a_thumbnail(tmp_path: Path) -> None:
    original = write_label_as_second_page(tmp_path / "a.svs")
    write_copy(original, tmp_path / "copy.svs", Policy(), None)
    assert sides(tmp_path / "copy.svs") == [800]
    assert check(original, tmp_path / "copy.svs", Policy()).leaks == ()


def test_copy_of_a_slide_keeps_its_levels_and_its_thumbnail(tmp_path: Path) -> None:
    original = write_identified(tmp_path / "a.svs")
    write_copy(original, tmp_path / "copy.svs", Policy(), None)
    assert sides(tmp_path / "copy.svs") == [800, 186, 200]


def published_by_an_earlier_version(path: Path, label_is: str) -> Path:
    """Write a copy without texts, one of whose pages is a label."""
    pixels = tissue()
    thumbnail = label_pixels(200, 200) if label_is == "thumbnail" else floor_reduced(pixels, 4)
    level = label_pixels(400, 400) if label_is == "level" else floor_reduced(pixels, 2)
    with tifffile.TiffWriter(path) as tiff:
        write_tiled(tiff, pixels, FIRST.partition("|")[0])
        write_small(tiff, thumbnail, None)
        write_tiled(tiff, level, None)
    return path


@pytest.mark.parametrize(("label_is", "page"), [("level", 2), ("thumbnail", 1)])
def test_check_published_finds_a_label_in_a_copy(tmp_path: Path, label_is: str, page: int) -> None:
    original = write_label_as_level(tmp_path / "a.svs")
    copy = published_by_an_earlier_version(tmp_path / "copy.svs", label_is)
    result = CliRunner().invoke(
        main, ["check-published", str(original), str(copy), "--data", str(tmp_path / "data")]
    )
    assert result.exit_code == 1
    assert f"LEAK: page {page}, {STRANGE}" in result.output
    assert "Nothing was found" not in result.output


def test_published_slide_has_no_label_and_one_put_there_is_found(tmp_path: Path) -> None:
    with publishing(tmp_path / "data") as services:
        record = store(services, "340001", write_label_as_level(tmp_path / "a.svs").read_bytes())
        publish(services, "340001", NAME)
        original, folder = services.files.slide("340001"), services.files.folder(NAME)
        assert check(original, folder / "slide.svs", Policy(), record).leaks == ()
        Image.fromarray(label_pixels(200, 200)).save(folder / "thumbnail.jpeg")
        assert check(original, folder / "slide.svs", Policy(), record).leaks == (f"the thumbnail, {STRANGE}",)
