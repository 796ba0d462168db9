"""What every reader of slide files answers, whichever the kind; OpenSlide, Pillow and tifffile say what is right."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image
from vsv.errors import UnreadableSlideError
from vsv.slides.aperio_reader import AperioJpeg2000Reader, AperioJpegReader, AperioReader
from vsv.slides.channel_reader import ChannelReader
from vsv.slides.image_reader import ImageReader
from vsv.slides.levels import JpegLevel
from vsv.slides.openslide_reader import OpenSlideReader
from vsv.slides.readers import KINDS, reader_of

from tests.support.slides.aperio import JPEG2000_RGB, JPEG2000_YCBCR, Pixels, Plan, texture, write_slide
from tests.support.slides.channels import deep, mapped, write
from tests.support.slides.opened import box_mean, decoded, grey_levels_apart
from tests.support.slides.profiles import matrix_profile

SIZE = 1293, 1051
ICC = matrix_profile()
TAGS = "Aperio Image Library v11.2.1 \r\n|AppMag = 20|MPP = 0.4990|ImageID = 1004486"


@dataclass(frozen=True)
class Case:
    """A kind of file: how it is written, which reader it has, and who says what its pixels are."""

    reader: type
    write: Callable[[Path, bytes | None], Path]
    suffix: str
    truth: Callable[[Path], Pixels]
    associated: frozenset[str]
    has_levels: bool
    tile_size: int


def openslides(path: Path) -> Pixels:
    with openslide.OpenSlide(path) as slide:
        return np.asarray(slide.read_region((0, 0), 0, slide.dimensions).convert("RGB"))


def pillows(path: Path) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def aperio(codec: int, **more: object) -> Callable[[Path, bytes | None], Path]:
    return lambda path, icc: write_slide(path, Plan(*SIZE, codec=codec, icc=icc, **more))  # type: ignore[arg-type]


def deflated(path: Path, icc: bytes | None) -> Path:
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(
            texture(*SIZE),
            tile=(256, 256),
            photometric="rgb",
            compression="deflate",
            description=TAGS,
            metadata=None,
            iccprofile=icc,
        )
    return path


def tiled(path: Path, icc: bytes | None) -> Path:
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(texture(*SIZE), tile=(128, 128), photometric="rgb", metadata=None, iccprofile=icc)
    return path


DEEP = np.stack([deep(seed, size=SIZE) for seed in (0, 3, 5)], axis=-1)


def sixteen(path: Path, icc: bytes | None) -> Path:
    return write(path, DEEP, photometric="rgb", tile=(256, 256), iccprofile=icc)


def numpys(path: Path) -> Pixels:
    assert np.array_equal(tifffile.imread(path), DEEP)
    window = tuple(np.percentile(DEEP, [1, 99.9]))
    return np.floor(mapped(DEEP, window) + 0.5).astype(np.uint8)


def image(path: Path, icc: bytes | None) -> Path:
    Image.fromarray(texture(*SIZE)).save(
        path, icc_profile=icc, **({"quality": 95} if path.suffix == ".jpg" else {})
    )
    return path


ALL, NONE = frozenset({"label", "thumbnail", "macro"}), frozenset[str]()
CASES = {
    "Aperio JPEG": Case(AperioJpegReader, aperio(7), ".svs", openslides, ALL, True, 256),
    "Aperio JPEG, YCbCr": Case(AperioJpegReader, aperio(7, chroma="420"), ".svs", openslides, ALL, True, 256),
    "Aperio JPEG 2000, RGB": Case(
        AperioJpeg2000Reader, aperio(JPEG2000_RGB), ".svs", openslides, ALL, True, 256
    ),
    "Aperio JPEG 2000, YCbCr": Case(
        AperioJpeg2000Reader, aperio(JPEG2000_YCBCR), ".svs", openslides, ALL, True, 256
    ),
    "Aperio, deflated": Case(AperioReader, deflated, ".svs", openslides, NONE, False, 256),
    "tiled TIFF": Case(OpenSlideReader, tiled, ".tif", openslides, NONE, False, 128),
    "TIFF of 16 bits": Case(ChannelReader, sixteen, ".tif", numpys, NONE, False, 256),
    "PNG": Case(ImageReader, image, ".png", pillows, NONE, False, 256),
    "JPEG": Case(ImageReader, image, ".jpg", pillows, NONE, False, 256),
    "TIFF image": Case(ImageReader, image, ".tiff", pillows, NONE, False, 256),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def path(case: Case, tmp_path: Path) -> Path:
    return case.write(tmp_path / f"slide{case.suffix}", ICC)


def accept(_size: int) -> None:
    """Accept a profile of any size."""


def test_suite_covers_every_listed_reader() -> None:
    assert len(KINDS) == len({case.reader for case in CASES.values()})


def test_reader_of_returns_reader_of_the_file_kind(case: Case, path: Path) -> None:
    assert type(reader_of(path)) is case.reader


def test_grid_has_full_resolution_size_and_tile_size_of_the_file(case: Case, path: Path) -> None:
    grid = reader_of(path).grid()
    assert (grid.width_px, grid.height_px, grid.tile_size, grid.overlap) == (*SIZE, case.tile_size, 0)


def test_check_returns_size_of_full_resolution(path: Path) -> None:
    assert reader_of(path).check() == SIZE


def test_properties_return_size_and_values_of_the_file(case: Case, path: Path) -> None:
    scan = reader_of(path).properties()
    assert (scan.width_px, scan.height_px) == SIZE
    is_aperio = issubclass(case.reader, AperioReader)
    assert (scan.app_mag, scan.mpp, scan.image_id) == (
        ("20", 0.499, "1004486") if is_aperio else (None, None, None)
    )


@pytest.mark.parametrize("box", [(0, 0, *SIZE), (3, 5, 301, 266), (SIZE[0] - 1, SIZE[1] - 1, *SIZE)])
def test_region_at_full_resolution_is_exact(case: Case, path: Path, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    expected = case.truth(path)[top:bottom, left:right]
    assert np.array_equal(reader_of(path).region(0, box), expected)


@pytest.mark.parametrize("shift", [1, 2, 3])
def test_region_of_coarser_level_is_the_mean_of_full_resolution(case: Case, path: Path, shift: int) -> None:
    expected = box_mean(case.truth(path), shift)
    height_px, width_px = expected.shape[:2]
    found = reader_of(path).region(shift, (0, 0, width_px, height_px))
    assert found.shape == expected.shape
    # A level that the file holds was coded a second time, with chroma of half the width and height in one case.
    assert grey_levels_apart(found, expected) < 6


@pytest.mark.parametrize("shift", range(6))
def test_halvings_are_at_most_those_to_full_resolution(path: Path, shift: int) -> None:
    assert 0 <= reader_of(path).halvings(shift) <= shift


def test_levels_match_the_grid_and_their_tiles_equal_openslide_pixels(case: Case, path: Path) -> None:
    reader = reader_of(path)
    grid = reader.grid()
    levels = reader.levels(grid)
    assert set(levels) == ({grid.max_level, grid.max_level - 2} if case.has_levels else set())
    for level in [levels[grid.max_level]] if case.has_levels else []:
        pixels, left = level.decoded(1, 0, 0)
        assert left == 0
        assert np.array_equal(pixels, openslides(path)[:256, 256:512])


def test_verbatim_tiles_are_jpeg_files_of_the_same_pixels(case: Case, path: Path) -> None:
    reader = reader_of(path)
    for level in reader.levels(reader.grid()).values():
        assert isinstance(level, JpegLevel) is (case.reader is AperioJpegReader)
        if isinstance(level, JpegLevel):
            assert grey_levels_apart(decoded(level.jpeg(0, 0)), level.decoded(0, 0, 0)[0]) < 1


def test_decoded_tile_returns_remaining_halvings_with_matching_size(path: Path) -> None:
    reader = reader_of(path)
    grid = reader.grid()
    for level in reader.levels(grid).values():
        for shift in range(6):
            pixels, left = level.decoded(0, 0, shift)
            assert 0 <= left <= shift
            assert pixels.shape == (256 >> (shift - left), 256 >> (shift - left), 3)


def test_icc_profile_returns_bytes_of_the_file_after_size_is_accepted(path: Path) -> None:
    sizes: list[int] = []
    reader = reader_of(path)
    assert reader.may_have_profile
    assert reader.icc_profile(sizes.append) == ICC
    assert sizes == [len(ICC)]


def test_icc_profile_is_not_read_when_size_is_refused(path: Path) -> None:
    def refuse(_size: int) -> None:
        raise ValueError("too large")

    with pytest.raises(ValueError, match="too large"):
        reader_of(path).icc_profile(refuse)


def test_icc_profile_is_none_for_file_without_profile(case: Case, tmp_path: Path) -> None:
    path = case.write(tmp_path / f"plain{case.suffix}", None)
    assert reader_of(path).icc_profile(accept) is None


def test_associated_images_are_rgb_with_expected_names(case: Case, path: Path) -> None:
    images = reader_of(path).associated_images()
    assert set(images) == case.associated
    assert {image.mode for image in images.values()} <= {"RGB"}


def test_check_refuses_file_truncated_in_its_header(case: Case, path: Path) -> None:
    path.write_bytes(path.read_bytes()[:64])
    with pytest.raises(UnreadableSlideError):
        reader_of(path).check()


def test_readers_are_hashable_and_compare_by_identity(path: Path) -> None:
    one, other = reader_of(path), reader_of(path)
    assert len({one, other}) == 2
