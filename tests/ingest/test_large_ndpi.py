"""NDPI slides above 4 GiB, with a hole in place of most pixels: OpenSlide and tifffile say what is right."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from serve_image.handler import lambda_handler as serve_image
from vsv.errors import UnreadableSlideError
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import read_pages, spans
from vsv.ingest.validation import inspect
from vsv.records.models import ImportState

from tests.support.servers.running import running_site
from tests.support.slides.aperio import patch
from tests.support.slides.ndpi import FOUR_GIB, LAYOUTS, SIZE, TAGS, Layout, write_ndpi
from tests.support.slides.opened import opened, stored_level, tile
from tests.support.slides.small import OLD
from vsv_local.server.api_gateway_events import http_event


@pytest.fixture(params=LAYOUTS)
def slide(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_ndpi(tmp_path / "a.ndpi", LAYOUTS[request.param])


def checksum_of_data(path: Path) -> str:
    """Return a checksum of what is not a hole: reading gigabytes of zeros would take most of the test's time."""
    digest = hashlib.sha256(str(path.stat().st_size).encode())
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        at = 0
        while at < end:
            at = file.seek(at, os.SEEK_DATA)
            hole = file.seek(at, os.SEEK_HOLE)
            file.seek(at)
            digest.update(file.read(hole - at))
            at = hole
    return digest.hexdigest()


def test_pages_of_ndpi_above_4_gib_are_those_of_tifffile(slide: Path) -> None:
    file = OpenFile(slide)
    with tifffile.TiffFile(slide) as other:
        assert other.tiff.is_ndpi
        for page, expected in zip(read_pages(file), other.pages, strict=True):
            assert (page.width_px, page.height_px) == (expected.imagewidth, expected.imagelength)
            assert [*spans(file, page)] == [(expected.dataoffsets[0], expected.databytecounts[0])]


def test_ndpi_above_4_gib_is_valid_and_shown_as_openslide_shows_it(slide: Path) -> None:
    inspect(slide, slide.stat().st_size)
    shown = opened(slide)
    assert (shown.grid.width_px, shown.grid.height_px) == SIZE
    expected = stored_level(slide, 0)[256:512, 512:768]
    assert np.array_equal(tile(shown, shown.max_level, 2, 1, "png"), expected)


def test_ndpi_above_4_gib_is_imported_with_its_properties_and_macro(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vsv.ingest.steps.checksum", checksum_of_data)
    with running_site(tmp_path, in_place=True) as site:
        site.scanner.mkdir(exist_ok=True)
        path = write_ndpi(site.scanner / "a.ndpi", LAYOUTS["all beyond 4 GiB"])
        os.utime(path, ns=(OLD, OLD))
        assert site.settle("a.ndpi", path.stat().st_size) == 202
        assert site.state("a.ndpi") is ImportState.READY
        (record,) = site.records()
        assert (record.width, record.height, record.app_mag) == (*SIZE, "20")
        assert record.file_size == path.stat().st_size > FOUR_GIB
        assert site.services.files.associated(record.image_id, "macro").exists()
        answer = serve_image(http_event("GET", f"/DeepZoom/{record.image_id}_files/11/2_1.png", "", ()), None)
        assert answer["statusCode"] == 200


@pytest.mark.parametrize("layout", [LAYOUTS["all beyond 4 GiB"], LAYOUTS["directories beyond 4 GiB"]])
def test_truncated_ndpi_above_4_gib_is_refused(tmp_path: Path, layout: Layout) -> None:
    path = write_ndpi(tmp_path / "a.ndpi", layout)
    for missing in (1, 3000, 200_000):
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - missing)
        with pytest.raises(UnreadableSlideError):
            inspect(path, path.stat().st_size)


def test_ndpi_above_4_gib_whose_directories_run_in_a_circle_is_refused(tmp_path: Path) -> None:
    path = write_ndpi(tmp_path / "a.ndpi", LAYOUTS["all beyond 4 GiB"])
    with tifffile.TiffFile(path) as file:
        first, last = file.pages[0].offset, file.pages[-1].offset
    patch(path, last + 2 + 12 * TAGS, first.to_bytes(8, "little"))
    with pytest.raises(UnreadableSlideError, match="circle"):
        inspect(path, path.stat().st_size)
