"""Zeiss CZI slides are imported as OpenSlide reads them; what would make it allocate too much is refused before."""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openslide import OpenSlide
from PIL import Image
from vsv.errors import UnreadableSlideError
from vsv.formats.czi import check_tiles, is_czi
from vsv.formats.random_access import OpenFile
from vsv.slides.openslide_reader import OpenSlideReader

from tests.support.servers.running import Site, running_site, settle
from tests.support.slides.squares import squares
from tests.support.slides.zeiss import czi_bytes, write_czi

TILE = np.zeros((16, 16, 3), np.uint8)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path) as running:
        yield running


def checked(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    file = OpenFile(path)
    assert is_czi(file)
    check_tiles(file)


def test_czi_is_imported_with_its_label_and_openslides_pixels(site: Site) -> None:
    path = write_czi(site.scanner / "a.czi", squares(), label=squares(2)[:100, :200])
    assert settle(site, path) == 200
    (record,) = site.records()
    assert (record.width, record.height, record.mpp) == (1024, 1024, 0.25)
    reader = site.services.slide_cache.slide(record.image_id).reader
    assert isinstance(reader, OpenSlideReader)
    with OpenSlide(path) as slide:
        expected = np.asarray(slide.read_region((256, 512), 0, (300, 200)).convert("RGB"))
    assert np.array_equal(reader.region(0, (256, 512, 556, 712)), expected)
    assert np.array_equal(expected, squares()[512:712, 256:556])
    with Image.open(site.services.files.associated(record.image_id, "label")) as label:
        assert label.size == (200, 100)


@pytest.mark.parametrize("sides", [(65536, 65536), (32769, 32768), (0, 16), (-1, 16), (16, 2**31 - 1)])
def test_czi_with_impossible_tiles_is_refused(site: Site, sides: tuple[int, int]) -> None:
    path = site.scanner / "a.czi"
    path.write_bytes(czi_bytes([(0, 0, 1, TILE)], claimed=sides))
    assert settle(site, path) == 422
    assert site.post("a.czi", path.stat().st_size)[1]["error"] == "impossible tile size in the CZI file"


@pytest.mark.parametrize("size", [-1, 0, 1, 15])
def test_tile_that_is_stored_larger_than_it_is_is_refused_because_openslide_never_ends(
    tmp_path: Path, size: int
) -> None:
    content = bytearray(czi_bytes([(0, 0, 1, TILE)]))
    width_at = content.index(b"ZISRAWDIRECTORY") + 160 + 32 + 8
    assert struct.unpack_from("<i", content, width_at) == (16,)
    struct.pack_into("<i", content, width_at, size)
    with pytest.raises(UnreadableSlideError, match="impossible tile size"):
        checked(tmp_path / "a.czi", bytes(content))


def test_impossible_tiles_of_an_attached_label_are_refused(tmp_path: Path) -> None:
    label = czi_bytes([(0, 0, 1, TILE)], claimed=(65536, 65536))
    with pytest.raises(UnreadableSlideError, match="impossible tile size"):
        checked(tmp_path / "a.czi", czi_bytes([(0, 0, 1, TILE)], label))


@given(at=st.integers(0, 1200), value=st.sampled_from([-1, 0, 2**31 - 1, -(2**31), 5]))
def test_damaged_czi_is_checked_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int
) -> None:
    content = bytearray(czi_bytes([(0, 0, 1, TILE)], czi_bytes([(0, 0, 1, TILE)])))
    struct.pack_into("<i", content, 32 + at, value)
    path = tmp_path_factory.getbasetemp() / "damaged.czi"
    try:
        checked(path, bytes(content))
    except UnreadableSlideError:
        return


@pytest.mark.parametrize("length", [10, 90, 111, 600, 1000])
def test_czi_that_is_cut_off_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(UnreadableSlideError):
        checked(tmp_path / "a.czi", czi_bytes([(0, 0, 1, TILE)])[:length])
