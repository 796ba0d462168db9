"""What vsv.formats.openjpeg relies on in Pillow's wheel: version, functions, structures. No test here is skipped.

A new Pillow fails here first. Then compare its openjpeg.h with ``openjpeg.SIGNATURES`` and the two structures, run
benchmarks/openjpeg_libraries.py, and change the numbers below.
"""

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL
import pytest
from vsv.formats import openjpeg
from vsv.formats.openjpeg import UnusableLibraryError

from tests.support import paths
from tests.support.paths import ROOT
from tests.support.slides.aperio import JPEG2000_RGB, Plan, write_slide
from tests.support.slides.opened import opened, whole_level

PILLOW, OPENJPEG = "13.0.0", "2.5.4"
FUNCTIONS = {
    "opj_version",
    "opj_create_decompress",
    "opj_destroy_codec",
    "opj_set_default_decoder_parameters",
    "opj_setup_decoder",
    "opj_stream_create",
    "opj_stream_destroy",
    "opj_stream_set_read_function",
    "opj_stream_set_user_data",
    "opj_stream_set_user_data_length",
    "opj_read_header",
    "opj_set_decoded_components",
    "opj_decode",
    "opj_image_destroy",
}
# openjpeg.h 2.5, 64 bits: the offset in bytes of each field that is read.
COMPONENT = {
    "dx": 0,
    "dy": 4,
    "width": 8,
    "height": 12,
    "precision": 24,
    "signed": 32,
    "factor": 40,
    "data": 48,
}
IMAGE = {"x0": 0, "y0": 4, "x1": 8, "y1": 12, "count": 16, "color_space": 20, "components": 24}
TILE_422 = paths.TILE_422.read_bytes()


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Look for a library again, and once more when the test has ended."""
    openjpeg._library.cache_clear()
    yield
    openjpeg._library.cache_clear()


def bundled_library() -> ctypes.CDLL:
    (path,) = openjpeg.bundled("PIL")
    return openjpeg.load(path)


def test_installed_pillow_is_the_version_whose_openjpeg_was_checked() -> None:
    assert PIL.__version__ == PILLOW


@pytest.mark.parametrize("name", ["requirements.txt", "layers/imaging/requirements.txt"])
def test_requirements_pin_the_checked_pillow_version(name: str) -> None:
    assert re.findall(r"(?im)^pillow==([\w.]+)", (ROOT / name).read_text()) == [PILLOW]


def test_pillow_wheel_bundles_the_checked_openjpeg_version() -> None:
    assert openjpeg.version(bundled_library()) == OPENJPEG


def test_signatures_list_exactly_the_checked_functions() -> None:
    assert set(openjpeg.SIGNATURES) == FUNCTIONS


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_pillow_openjpeg_exports_each_called_function(name: str) -> None:
    (path,) = openjpeg.bundled("PIL")
    assert getattr(ctypes.CDLL(str(path)), name)


def test_structures_match_field_offsets_of_openjpeg_header() -> None:
    assert {name: getattr(openjpeg.Component, name).offset for name in COMPONENT} == COMPONENT
    assert {name: getattr(openjpeg.DecodedImage, name).offset for name in IMAGE} == IMAGE
    assert ctypes.sizeof(openjpeg.Component) == 64


@pytest.mark.parametrize("reduce", [0, 1, 5])
def test_pillow_openjpeg_fills_image_structures_with_expected_sizes(reduce: int) -> None:
    with openjpeg.decoded_image(bundled_library(), TILE_422, reduce) as image:
        assert (image.x0, image.y0, image.x1, image.y1, image.count) == (0, 0, 256, 256, 3)
        found = [image.components[index] for index in range(3)]
        assert [(part.dx, part.dy) for part in found] == [(1, 1), (2, 1), (2, 1)]
        sizes = [(256 >> reduce, 256 >> reduce), *[(128 >> reduce, 256 >> reduce)] * 2]
        assert [(part.width, part.height) for part in found] == sizes
        assert [(part.precision, part.signed, part.factor) for part in found] == [(8, 0, reduce)] * 3


def test_library_is_loaded_so_that_decoding_releases_the_gil() -> None:
    library = bundled_library()
    assert isinstance(library, ctypes.CDLL)
    assert not isinstance(library, ctypes.PyDLL)


@pytest.mark.parametrize("reduce", range(6))
def test_bundled_libraries_decode_the_same_samples(reduce: int) -> None:
    libraries = [openjpeg.load(path) for package in openjpeg.PACKAGES for path in openjpeg.bundled(package)]
    first, *others = ([*openjpeg.decode_with(library, TILE_422, reduce)] for library in libraries)
    assert others
    for other in others:
        assert all(np.array_equal(*pair) for pair in zip(first, other, strict=True))


def test_load_refuses_library_that_lacks_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(openjpeg.SIGNATURES, "opj_absent", (None,))
    with pytest.raises(UnusableLibraryError, match="opj_absent"):
        bundled_library()


def test_load_refuses_library_of_unknown_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openjpeg, "_VERSIONS", {"3.0"})
    with pytest.raises(UnusableLibraryError, match=f"unknown version {OPENJPEG}"):
        bundled_library()


def test_load_refuses_library_that_decodes_wrong_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bundled_library()
    monkeypatch.setattr(openjpeg, "_KNOWN_PIXELS", ((0, 0),) * 3)
    with pytest.raises(UnusableLibraryError, match="wrong pixels"):
        bundled_library()


def test_load_refuses_file_that_is_not_a_library(tmp_path: Path) -> None:
    (tmp_path / "libopenjp2.so").write_bytes(b"no library")
    with pytest.raises(UnusableLibraryError, match=r"libopenjp2\.so"):
        openjpeg.load(tmp_path / "libopenjp2.so")


@pytest.mark.usefixtures("forgotten")
def test_slide_is_decoded_by_openslide_with_warning_when_a_function_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(645, 523, codec=JPEG2000_RGB))
    before = opened(path)
    expected = whole_level(before, before.max_level)
    assert before.decoded
    monkeypatch.setitem(openjpeg.SIGNATURES, "opj_absent", (None,))
    openjpeg._library.cache_clear()
    slide = opened(path)
    assert slide.decoded == {}
    assert np.array_equal(whole_level(slide, slide.max_level), expected)
    assert "OpenSlide decodes JPEG 2000 slides" in caplog.text
    assert "opj_absent" in caplog.text


@pytest.mark.usefixtures("forgotten")
def test_slide_is_decoded_by_openslide_with_warning_when_library_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(645, 523, codec=JPEG2000_RGB))
    monkeypatch.setattr(openjpeg, "PACKAGES", ("no_such_package",))
    slide = opened(path)
    assert slide.decoded == {}
    assert whole_level(slide, slide.max_level).shape == (523, 645, 3)
    assert "OpenSlide decodes JPEG 2000 slides" in caplog.text
