"""ICC profiles of many megabytes, as a GT450 writes: converted, cached within a bound, and told where not usable."""

import base64
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import openslide
import pytest
from PIL import Image, ImageCms
from serve_image.handler import lambda_handler
from vsv.deidentification.copy_writer import write_copy
from vsv.deidentification.policy import Policy
from vsv.errors import UnreadableSlideError
from vsv.ingest.validation import inspect
from vsv.pyramids.renderer import render_pyramid
from vsv.pyramids.self_contained import complete
from vsv.rendering.colour_management import colour_state
from vsv.rendering.colour_request import Colour
from vsv.rendering.icc import MAX_BYTES, profile_of, profile_problem
from vsv.rendering.profile_cache import ProfileCache
from vsv.rendering.tiles import Tiling
from vsv.slides.readers import reader_of
from vsv.storage.numeric_ids import assign_number

from tests.support.servers.running import Site
from tests.support.slides.aperio import Pixels, Plan, texture, write_slide
from tests.support.slides.images import encoded
from tests.support.slides.opened import opened, tile, whole_level
from tests.support.slides.profiles import INTENTS, large_profile, matrix_profile
from vsv_local.server.api_gateway_events import http_event

GT450_BYTES = 13_113_264
GT450 = large_profile(GT450_BYTES)
SRGB = Colour("srgb")
SIZE = (700, 533)
PATHS = (
    "/DeepZoom/{id}.dzi",
    "/DeepZoom/{id}_files/{level}/0_0.jpeg",
    "/DeepZoom/{id}_files/{level}/0_0.png",
    "/DeepZoom/{id}_files/thumbnail.jpeg",
    "/iiif/{id}/0,0,256,256/max/0/default.jpg",
    "/iiif/2/{id}/0,0,256,256/100,/0/default.png",
    "/webgateway/render_image_region/{number}/0/0/?tile=0,0,0",
    "/webgateway/render_thumbnail/{number}/",
    "/webgateway/render_birds_eye_view/{number}/",
)


def by_littlecms(pixels: Pixels, profile: bytes, intent: int) -> Pixels:
    """Convert with Pillow's own functions, without the product's code."""
    source = ImageCms.getOpenProfile(io.BytesIO(profile))
    converted = ImageCms.profileToProfile(
        Image.fromarray(pixels),
        source,
        ImageCms.createProfile("sRGB"),
        ImageCms.Intent(intent),
        flags=ImageCms.Flags.NOOPTIMIZE,
    )
    assert converted is not None
    return np.asarray(converted)


def test_test_profile_has_the_size_that_a_gt450_writes() -> None:
    assert len(GT450) == GT450_BYTES == int.from_bytes(GT450[:4])


@pytest.mark.parametrize("number", range(3))
def test_tiles_by_a_13_mb_profile_equal_littlecms(number: int, tmp_path: Path) -> None:
    slide = opened(write_slide(tmp_path / "s.svs", Plan(*SIZE, icc=GT450)))
    colour = Colour("srgb", INTENTS[number])
    assert str(colour_state(slide, colour)) == f"srgb; intent={INTENTS[number]}"
    stored = tile(slide, slide.max_level, 1, 0, "png")
    found = tile(slide, slide.max_level, 1, 0, "png", Tiling(colour=colour)).astype(int)
    expected = by_littlecms(stored, GT450, number)
    assert np.abs(expected.astype(int) - stored).mean() > 3
    # Where sRGB's gamut ends, littlecms's table of a table is coarse.
    assert np.mean(np.abs(found - expected) > 2) < 0.003
    assert np.abs(found - expected).mean() < 0.5


def test_png_and_jpeg_images_with_13_mb_profiles_are_converted(tmp_path: Path) -> None:
    image = Image.fromarray(texture(300, 200))
    for name, fmt in (("a.png", "PNG"), ("a.jpg", "JPEG")):
        path = tmp_path / name
        path.write_bytes(encoded(image, fmt, icc_profile=GT450))
        slide = opened(path)
        stored = whole_level(slide, slide.max_level)
        found = whole_level(slide, slide.max_level, "png", Tiling(colour=SRGB)).astype(int)
        assert np.abs(found - by_littlecms(stored, GT450, 0)).mean() < 0.5
        assert profile_problem(slide) is None


def test_png_with_a_profile_beyond_the_limit_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(
        encoded(Image.fromarray(texture(30, 20)), "PNG", icc_profile=matrix_profile(padding=MAX_BYTES))
    )
    with pytest.raises(UnreadableSlideError, match="ICC profile, or its texts, are too large"):
        inspect(path, path.stat().st_size)


def test_published_copy_keeps_the_colours_of_a_13_mb_profile(tmp_path: Path) -> None:
    original = write_slide(tmp_path / "a.svs", Plan(*SIZE, icc=GT450))
    report = write_copy(original, tmp_path / "copy.svs", Policy(), None)
    assert "ICC profile (names, makers and dates removed)" in report.changed
    with openslide.OpenSlide(tmp_path / "copy.svs") as slide:
        assert slide.color_profile is not None
        copied = slide.color_profile.tobytes()
    assert b"Large tables" in GT450
    assert b"Large tables" not in copied
    noise = np.random.default_rng(7).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for number in range(3):
        assert np.array_equal(by_littlecms(noise, copied, number), by_littlecms(noise, GT450, number))


def test_complete_pyramid_keeps_a_13_mb_profile(tmp_path: Path) -> None:
    path, pyramid = write_slide(tmp_path / "s.svs", Plan(*SIZE, icc=GT450)), tmp_path / "pyramid.tif"
    render_pyramid(opened(path), pyramid, jobs=2)
    whole = tmp_path / "whole.tif"
    assert complete(opened(path, pyramid), whole)
    path.unlink()
    assert reader_of(whole).icc_profile(lambda _size: None) == GT450


@pytest.fixture
def coloured_site(site: Site) -> Iterator[Site]:
    """Yield an installation with a slide for each: a large profile, one beyond the limit, a damaged one, none."""
    profiles = {
        "L": GT450,
        "X": matrix_profile(padding=MAX_BYTES),
        "D": b"damaged" * 100,
        "N": None,
    }
    for name, icc in profiles.items():
        description = Plan().description.replace("ImageID = 1004486", f"ImageID = {name}")
        path = write_slide(
            site.scanner / f"{name}.svs", Plan(*SIZE, icc=icc, description=description, associated="none")
        )
        assert site.bring(path.name, path.read_bytes()) == 200
        site.services.slide_cache.forget(name)
    yield site


def answer(site: Site, path: str, name: str, query: str) -> dict[str, Any]:
    slide = site.services.slide_cache.slide(name)
    filled = path.format(id=name, level=slide.max_level, number=assign_number(site.services.files, name))
    bare, _, own = filled.partition("?")
    event = http_event("GET", bare, "&".join(filter(None, (own, query))), [(b"host", b"x")])
    return lambda_handler(event, None)


def text(result: dict[str, Any]) -> str:
    body: str = result["body"]
    return base64.b64decode(body).decode() if result["isBase64Encoded"] else body


class TestAnswers:
    def test_every_protocol_says_that_a_profile_is_not_used_and_why(self, coloured_site: Site) -> None:
        problems = {
            "X": f"the ICC profile has {_padded():,} bytes: more than 16,777,216 are not read",
            "D": "the ICC profile is damaged, or not one of RGB",
        }
        for path, (name, problem) in product(PATHS, problems.items()):
            result = answer(coloured_site, path, name, "icc=srgb")
            headers = result["headers"]
            assert (result["statusCode"], headers["x-vsv-icc"]) == (200, "none"), path
            assert headers["x-vsv-icc-problem"] == problem, path
            assert headers["access-control-expose-headers"] == "x-vsv-icc, x-vsv-icc-problem", path

    def test_pictures_whose_colours_are_as_requested_have_no_colour_header(self, coloured_site: Site) -> None:
        for path, (name, query) in product(PATHS[1:], [("L", "icc=srgb"), ("N", "icc=srgb"), ("X", "")]):
            headers = answer(coloured_site, path, name, query)["headers"]
            assert not [header for header in headers if header.startswith("x-vsv")], path

    def test_descriptors_say_why_a_profile_is_not_used(self, coloured_site: Site) -> None:
        dzi = text(answer(coloured_site, "/DeepZoom/{id}.dzi", "X", ""))
        assert 'vsv:Colour="none" vsv:Problem="the ICC profile has' in dzi
        info = text(answer(coloured_site, "/iiif/{id}/info.json", "X", ""))
        assert '"problem":"the ICC profile has' in info
        assert "roblem" not in text(answer(coloured_site, "/DeepZoom/{id}.dzi", "L", ""))

    def test_profile_icc_returns_a_13_mb_profile_and_says_why_another_is_not_there(
        self, coloured_site: Site
    ) -> None:
        result = answer(coloured_site, "/DeepZoom/{id}_files/profile.icc", "L", "")
        assert base64.b64decode(result["body"]) == GT450
        refused = answer(coloured_site, "/DeepZoom/{id}_files/profile.icc", "X", "")
        assert refused["statusCode"] == 404
        assert "more than 16,777,216 are not read" in text(refused)

    def test_unchanged_tile_says_with_304_that_a_profile_is_not_used(self, coloured_site: Site) -> None:
        first = answer(coloured_site, PATHS[1], "X", "icc=srgb")
        slide = coloured_site.services.slide_cache.slide("X")
        path = PATHS[1].format(id="X", level=slide.max_level)
        tags = [(b"if-none-match", first["headers"]["etag"].encode())]
        again = lambda_handler(http_event("GET", path, "icc=srgb", tags), None)
        assert (again["statusCode"], again["headers"]["x-vsv-icc"]) == (304, "none")


def _padded() -> int:
    return len(matrix_profile(padding=MAX_BYTES))


class _Profile:
    def __init__(self, cost: int) -> None:
        self.cost = cost


class TestCache:
    def test_profile_is_read_once_for_many_concurrent_tiles(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slide = opened(write_slide(tmp_path / "s.svs", Plan(*SIZE, icc=GT450)))
        reads, read = [], type(slide.reader).icc_profile
        monkeypatch.setattr(
            type(slide.reader), "icc_profile", lambda *args: reads.append(args) or read(*args)
        )
        start = Barrier(8)

        def convert(index: int) -> Pixels:
            if index < 8:
                start.wait()
            return tile(slide, slide.max_level, index % 2, 0, "png", Tiling(colour=SRGB))

        with ThreadPoolExecutor(8) as pool:
            tiles = list(pool.map(convert, range(24)))
        assert len(reads) == 1
        assert all(np.array_equal(found, tiles[index % 2]) for index, found in enumerate(tiles))

    def test_cache_drops_the_least_recently_used_beyond_its_bytes(self, tmp_path: Path) -> None:
        reads: list[int] = []
        readers = [reader_of(write_slide(tmp_path / f"{i}.svs", Plan())) for i in range(4)]

        def read(reader: Any) -> tuple[bytes, _Profile]:
            reads.append(readers.index(reader))
            return bytes([readers.index(reader)]), _Profile(40)

        cache = ProfileCache(read, most_bytes=100)
        for index in (0, 1, 0, 2, 0, 1):
            cache.get(readers[index])
        assert reads == [0, 1, 2, 1]
        assert [cache.by_digest(bytes([index])) is not None for index in range(3)] == [True, True, False]

    def test_cache_keeps_a_single_profile_beyond_its_bytes(self, tmp_path: Path) -> None:
        reader, reads = reader_of(write_slide(tmp_path / "a.svs", Plan())), []

        def read(_reader: Any) -> tuple[bytes, _Profile]:
            reads.append(1)
            return b"a", _Profile(1000)

        cache = ProfileCache(read, most_bytes=100)
        assert cache.get(reader) is cache.get(reader)
        assert len(reads) == 1

    def test_unusable_profile_is_read_once(self, tmp_path: Path) -> None:
        slide = opened(write_slide(tmp_path / "s.svs", Plan(icc=b"damaged" * 100)))
        assert profile_of(slide) is None
        Path(slide.path).write_bytes(b"")  # nothing is read again
        assert profile_problem(slide) == "the ICC profile is damaged, or not one of RGB"
