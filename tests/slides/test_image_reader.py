"""Ordinary images, PNG, JPEG and TIFF, brought as slides are: their pixels, their names, and what is refused."""

import base64
import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from serve_image.handler import lambda_handler
from vsv.errors import UnreadableSlideError
from vsv.identifiers import ORDINARY_SUFFIXES
from vsv.ingest.validation import inspect
from vsv.pyramids.renderer import render_pyramid
from vsv.records.models import ImportState
from vsv.rendering.colour_management import colour_state
from vsv.rendering.colour_request import Colour
from vsv.rendering.draw import draw
from vsv.rendering.image_request import View
from vsv.rendering.tiles import Tiling
from vsv.slides import image_reader
from vsv.slides.aperio_reader import AperioJpegReader
from vsv.slides.openslide_reader import OpenSlideReader

from tests.support.servers.running import Site, check_whole, running_site
from tests.support.slides.aperio import Plan, texture, write_slide
from tests.support.slides.images import PICTURE, RGB, encoded, exif, kinds, png_of_size, tiff
from tests.support.slides.opened import decibels, decoded, grey_levels_apart, opened, whole_level
from tests.support.slides.profiles import adobe_to_srgb, matrix_profile
from vsv_local.server.api_gateway_events import http_event

KINDS = kinds()
SUFFIXES = {"PNG": ".png", "JPE": ".jpg", "TIF": ".tif", "Big": ".tiff", "one": ".png", "a l": ".png"}


def written(folder: Path, kind: str) -> Path:
    path = folder / f"image{SUFFIXES[kind[:3]]}"
    path.write_bytes(KINDS[kind][0])
    return path


class TestPixels:
    @pytest.mark.parametrize("kind", KINDS)
    def test_pixels_without_pyramid_equal_those_of_pillow(self, kind: str, tmp_path: Path) -> None:
        path, expected = written(tmp_path, kind), KINDS[kind][1]
        inspect(path, path.stat().st_size)
        slide = opened(path)
        assert (type(slide.reader), slide.levels) == (image_reader.ImageReader, {})
        assert (slide.grid.height_px, slide.grid.width_px) == expected.shape[:2]
        found = whole_level(slide, slide.max_level)
        tolerance = 4 if "turned" in kind or kind == "JPEG in grey" else 1
        assert np.abs(found.astype(int) - expected).mean() < tolerance
        if not kind.startswith("JPEG"):
            assert np.abs(found.astype(int) - expected).max() <= 1

    @pytest.mark.parametrize("kind", ["PNG", "PNG with alpha", "JPEG", "TIFF", "one pixel", "a line"])
    def test_pixels_with_pyramid_are_close_to_the_image(self, kind: str, tmp_path: Path) -> None:
        path, expected = written(tmp_path, kind), KINDS[kind][1]
        render_pyramid(opened(path), tmp_path / "pyramid.tif", jobs=2)
        slide = opened(path, tmp_path / "pyramid.tif")
        assert set(slide.levels) == set(range(slide.grid.level_count))
        path.write_bytes(b"the pyramid has them all")
        assert decibels(whole_level(slide, slide.max_level), expected) > 36
        half = np.asarray(Image.fromarray(expected).reduce(2))
        if slide.max_level > 8:
            assert decibels(whole_level(slide, slide.max_level - 1), half) > 28

    def test_image_is_decoded_once_for_all_levels(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decodings = []
        decode = image_reader._decode
        monkeypatch.setattr(image_reader, "_decode", lambda path: decodings.append(path) or decode(path))
        path = tmp_path / "once.png"
        path.write_bytes(encoded(Image.fromarray(texture(801, 600, seed=9)), "PNG"))
        inspect(path, path.stat().st_size)
        moved = path.rename(tmp_path / "slide.svs")
        render_pyramid(opened(moved), tmp_path / "pyramid.tif", jobs=2)
        assert len(decodings) == 1

    def test_cache_of_decoded_images_is_bounded(self, tmp_path: Path) -> None:
        for i in range(4):
            path = tmp_path / f"{i}.png"
            path.write_bytes(encoded(Image.fromarray(texture(50 + i, 40)), "PNG"))
            image_reader.pixels(path)
        assert len(image_reader._decoded) == image_reader.MAX_OPEN

    def test_region_equals_the_same_part_of_the_image(self, tmp_path: Path) -> None:
        slide = opened(written(tmp_path, "PNG"))
        found = decoded(draw(slide, View(10, 20, 300, 200, 300, 200), "png"))
        assert np.array_equal(found, PICTURE[20:220, 10:310])

    def test_image_with_icc_profile_is_converted_to_srgb(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(encoded(RGB, "PNG", icc_profile=matrix_profile(name="Camera")))
        slide, tiling = opened(path), Tiling(colour=Colour("srgb"))
        assert colour_state(slide, Colour("srgb")).profile == "Camera"
        assert np.array_equal(whole_level(slide, slide.max_level), PICTURE)
        found = whole_level(slide, slide.max_level, "png", tiling).astype(int)
        assert np.abs(found - adobe_to_srgb(PICTURE)).max() <= 1

    def test_damaged_icc_profile_leaves_colours_as_stored(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jpg"
        path.write_bytes(encoded(RGB.convert("CMYK"), "JPEG", icc_profile=b"damaged" * 40))
        slide = opened(path)
        assert grey_levels_apart(whole_level(slide, slide.max_level), PICTURE) < 12
        assert str(colour_state(slide, Colour("srgb"))) == "none"

    def test_grey_image_with_profile_is_converted_on_decoding(self, tmp_path: Path) -> None:
        """A grey power law of 1.0 (linear light) is brighter as sRGB: 55 of 255 becomes 127."""
        data = _grey_linear()
        path = tmp_path / "a.png"
        path.write_bytes(encoded(Image.new("L", (64, 64), 55), "PNG", icc_profile=data))
        slide = opened(path)
        assert abs(int(whole_level(slide, slide.max_level)[5, 5, 0]) - 128) <= 2
        assert str(colour_state(slide, Colour("srgb"))) == "none"


def _grey_linear() -> bytes:
    from tests.support.slides.profiles import D50, _colour, _profile, _text  # noqa: PLC0415

    tags = {b"desc": _text("linear"), b"cprt": b"text\0\0\0\0nobody's\0", b"wtpt": _colour(D50)}
    return _profile(b"XYZ ", {**tags, b"kTRC": b"curv\0\0\0\0\0\0\0\0"}, space=b"GRAY")


def cut(data: bytes, part: float = 0.6) -> bytes:
    return data[: int(len(data) * part)]


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>'
REFUSED: dict[str, tuple[str, bytes, str]] = {
    "SVG": ("a.png", SVG, "Not a supported image file"),
    "GIF": ("a.png", encoded(RGB.quantize(16), "GIF"), "Not a supported image file"),
    "GIF as JPEG": ("a.jpg", encoded(RGB.quantize(16), "GIF"), "Not a supported image file"),
    "WebP": ("a.jpeg", encoded(RGB, "WEBP"), "Not a supported image file"),
    "GIF as TIFF": ("a.tif", encoded(RGB.quantize(16), "GIF"), "no TIFF header"),
    "PNG as a slide": ("a.svs", KINDS["PNG"][0], "Not a supported slide file"),
    "a TIFF in strips as a slide": ("a.svs", KINDS["TIFF"][0], "not a slide"),
    "nothing": ("a.png", b"", "empty"),
    "PNG's first bytes": ("a.png", KINDS["PNG"][0][:8], "not all of one"),
    "PNG's header": ("a.png", KINDS["PNG"][0][:40], "not all of one"),
    "a truncated PNG": ("a.png", cut(KINDS["PNG"][0]), "not all of one"),
    "a truncated JPEG": ("a.jpg", cut(KINDS["JPEG"][0]), "not all of one"),
    "JPEG's first bytes": ("a.jpg", b"\xff\xd8\xff\xe0", "not all of one"),
    "a truncated TIFF": ("a.tif", cut(KINDS["TIFF"][0]), "truncated"),
    "a PNG bomb": ("a.png", png_of_size(60_000, 60_000), "60000×60000"),
    "a PNG just too large": ("a.png", png_of_size(10_001, 10_000), "10001×10000"),
    "a PNG with less than it claims": ("a.png", png_of_size(9_000, 9_000), "not all of one"),
    "a TIFF of floating point": ("a.tif", tiff(PICTURE[..., 0].astype(np.float32)), "save it as RGB"),
}


class TestRefusedImages:
    @pytest.mark.parametrize("kind", REFUSED)
    def test_inspect_refuses_unsupported_files_with_a_reason(self, kind: str, tmp_path: Path) -> None:
        name, data, reason = REFUSED[kind]
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(UnreadableSlideError, match=reason) as refusal:
            inspect(path, len(data))
        assert str(tmp_path) not in str(refusal.value)

    def test_inspect_refuses_oversized_image_without_allocating_memory(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(png_of_size(60_000, 60_000))
        tracemalloc.start()
        with pytest.raises(UnreadableSlideError):
            inspect(path, path.stat().st_size)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20_000_000

    @pytest.mark.parametrize("fmt", ["PNG", "JPEG", "TIFF"])
    def test_changed_bytes_are_refused_or_readable(self, fmt: str, tmp_path: Path) -> None:
        small = Image.fromarray(texture(60, 50))
        whole = (
            encoded(small, fmt, exif=exif(6))
            if fmt != "TIFF"
            else encoded(small, fmt, compression="tiff_lzw")
        )
        path, rng = tmp_path / f"a.{fmt.lower()}", np.random.default_rng(5)
        for _ in range(300):
            data = bytearray(whole)
            for at in rng.integers(0, len(data) if rng.random() < 0.5 else 200, 3):
                data[at] = rng.integers(0, 256)
            path.write_bytes(data)
            try:
                inspect(path, len(data))
            except UnreadableSlideError:
                continue
            slide = opened(path)
            assert whole_level(slide, slide.max_level).ndim == 3


def ask(path: str, query: str = "") -> dict[str, Any]:
    return lambda_handler(http_event("GET", path, query, ()), None)


def pixels_of(answer: dict[str, Any]) -> Any:
    assert answer["statusCode"] == 200
    return decoded(base64.b64decode(answer["body"]))


class TestImportedImages:
    @pytest.mark.parametrize("kind", ["PNG", "PNG with alpha", "JPEG turned 6", "TIFF"])
    def test_imported_image_is_stored_recorded_and_served(self, site: Site, kind: str) -> None:
        data, expected = KINDS[kind]
        name = f"67352ccc-d1b0-11e1{SUFFIXES[kind[:3]]}"
        assert site.bring(name, data) == 200
        (record,) = site.records()
        assert (record.image_id, record.filename) == ("67352ccc-d1b0-11e1", name)
        assert (record.height, record.width) == expected.shape[:2]
        assert (record.barcode, record.slide_id) == (None, "67352ccc-d1b0-11e1")
        assert site.services.files.slide(record.image_id).read_bytes() == data
        check_whole(site)
        level = (max(expected.shape) - 1).bit_length()
        found = pixels_of(ask(f"/DeepZoom/{record.image_id}_files/{level}/1_0.png"))
        assert decibels(found, expected[:256, 256:512]) > 36
        small = pixels_of(ask(f"/DeepZoom/{record.image_id}_files/thumbnail.jpeg"))
        assert small.shape == expected.shape
        assert not site.services.files.associated(record.image_id, "label").exists()
        assert not site.services.files.associated(record.image_id, "macro").exists()

    def test_filename_that_is_not_an_image_id_gets_id_from_content(self, site: Site) -> None:
        assert site.bring("holiday in the hills.png", KINDS["PNG"][0]) == 200
        (record,) = site.records()
        assert record.image_id.startswith("S")

    def test_id_in_use_gets_a_suffix_for_second_image(self, site: Site) -> None:
        assert site.bring("chart.png", KINDS["PNG"][0]) == 200
        assert site.bring("chart.jpg", KINDS["JPEG"][0]) == 200
        ids = {record.filename: record.image_id for record in site.records()}
        assert ids["chart.png"] == "chart"
        assert ids["chart.jpg"].startswith("chart-")

    def test_refused_image_answers_422_with_a_reason(self, site: Site) -> None:
        assert site.bring("a.png", SVG) == 422
        assert site.state("a.png") is ImportState.FAILED
        assert "Not a supported image file" in site.post("a.png", len(SVG))[1]["error"]

    def test_image_in_place_is_registered_and_served(self, tmp_path: Path) -> None:
        with running_site(tmp_path, in_place=True) as running:
            assert running.bring("chart.png", KINDS["PNG"][0]) == 202
            assert running.services.imports.get("chart.png").image_id == "chart"  # type: ignore[union-attr]
            assert ask("/DeepZoom/chart_files/10/0_0.jpeg")["statusCode"] == 200


def test_reader_of_slide_in_tiff_is_a_slide_reader(tmp_path: Path) -> None:
    """Aperio's by its description, others because OpenSlide knows them."""
    aperio = write_slide(tmp_path / "a.tif", Plan())
    other = write_slide(tmp_path / "b.tif", Plan(description="another", associated="none"))
    assert [type(opened(path).reader) for path in (aperio, other)] == [AperioJpegReader, OpenSlideReader]


def test_ordinary_suffixes_are_png_jpeg_and_tiff() -> None:
    assert set(ORDINARY_SUFFIXES) == {".png", ".jpg", ".jpeg", ".tif", ".tiff"}


def test_image_reader_does_not_try_other_pillow_formats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "open", lambda *_args, **_more: pytest.fail("every format would be tried"))
    path = tmp_path / "a.png"
    path.write_bytes(KINDS["PNG"][0])
    assert image_reader.pixels(path).shape == PICTURE.shape


def test_expected_pictures_differ_from_each_other() -> None:
    assert len({io.BytesIO(expected.tobytes()).getvalue() for _, expected in KINDS.values()}) > 12
