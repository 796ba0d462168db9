"""Slides of scanners whose files OpenSlide alone reads are imported and show OpenSlide's pixels."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from openslide import OpenSlide
from vsv.slides.openslide_reader import OpenSlideReader

from tests.support.servers.running import Site, running_site, settle
from tests.support.slides.leica import write_scn
from tests.support.slides.squares import squares
from tests.support.slides.vendors import WRITERS

ASSOCIATED = {"trestle.tif": set(), "philips.tiff": {"label"}, "ventana.bif": {"macro"}, "leica.scn": set()}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path) as running:
        yield running


@pytest.mark.parametrize("name", ASSOCIATED)
def test_slide_of_another_scanner_is_imported_with_openslides_pixels(site: Site, name: str) -> None:
    path = {**WRITERS, "leica.scn": write_scn}[name](site.scanner / name, squares())
    assert settle(site, path) == 200
    (record,) = site.records()
    with OpenSlide(path) as slide:
        assert slide.properties["openslide.vendor"] == name.split(".", maxsplit=1)[0]
        assert (record.width, record.height) == slide.dimensions
        expected = np.asarray(slide.read_region((256, 512), 0, (300, 200)).convert("RGB"))
    assert np.array_equal(expected, squares()[512:712, 256:556])
    reader = site.services.slide_cache.slide(record.image_id).reader
    assert isinstance(reader, OpenSlideReader)
    assert np.array_equal(reader.region(0, (256, 512, 556, 712)), expected)
    files = site.services.files
    found = {kind for kind in ("label", "macro") if files.associated(record.image_id, kind).exists()}
    assert found == ASSOCIATED[name]
