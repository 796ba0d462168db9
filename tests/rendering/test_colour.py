"""Colours: what a profile means is computed here by formulas, and every way to the pixels must agree with it."""

import base64
import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageCms
from serve_image.handler import lambda_handler
from vsv.errors import InvalidQueryError
from vsv.pyramids.renderer import render_pyramid
from vsv.rendering.colour_management import colour_state
from vsv.rendering.colour_request import AS_STORED, Colour, parse_colour
from vsv.rendering.colour_request import INTENTS as OUR_INTENTS
from vsv.rendering.draw import draw
from vsv.rendering.icc import MAX_BYTES, Profile, _open_profile, profile_of
from vsv.rendering.image_request import View
from vsv.rendering.tiles import Tiling, render_tile
from vsv.slides.openslide_reader import OpenSlideReader
from vsv.slides.slide import Slide
from vsv.storage.numeric_ids import assign_number

from tests.support.paths import ROOT
from tests.support.servers.running import Site
from tests.support.slides.aperio import JPEG2000_RGB, Pixels, Plan, texture, write_slide
from tests.support.slides.opened import decibels, decoded, grey_levels_apart, opened, tile, whole_level
from tests.support.slides.profiles import (
    ADOBE_PRIMARIES,
    D50,
    INTENTS,
    adobe_to_srgb,
    lut_profile,
    lut_to_srgb,
    matrix_profile,
    srgb_from_d50,
    srgb_profile,
)
from vsv_local.composition import standalone
from vsv_local.server.api_gateway_events import http_event

SRGB = Colour("srgb")
SIZE = (700, 533)
NOISE = np.random.default_rng(3).integers(0, 256, (64, 512, 3), dtype=np.uint8)


def profiled(tmp_path: Path, icc: bytes | None, **more: Any) -> Slide:
    return opened(write_slide(tmp_path / "s.svs", Plan(*SIZE, icc=icc, **more)))


def apart(one: Pixels, other: Pixels) -> int:
    return int(np.abs(one.astype(int) - other).max())


class TestProfileConversion:
    def test_matrix_profile_conversion_matches_the_formula(self) -> None:
        """Within one grey level, for every kind of pixel, those out of sRGB's gamut included."""
        assert apart(Profile(matrix_profile()).convert(NOISE, "relative"), adobe_to_srgb(NOISE)) <= 1

    def test_expected_conversion_changes_colours_noticeably(self) -> None:
        assert grey_levels_apart(adobe_to_srgb(texture(*SIZE)), texture(*SIZE)) > 3

    @pytest.mark.parametrize("intent", INTENTS[:3])
    def test_table_profile_conversion_matches_the_formula_for_each_intent(self, intent: str) -> None:
        profile, tissue = Profile(lut_profile()), texture(*SIZE)
        found, expected = profile.convert(tissue, intent), lut_to_srgb(tissue, intent)
        # At the edges of sRGB's gamut littlecms's own table is coarse; elsewhere it is not.
        assert np.mean(np.abs(found.astype(int) - expected) > 2) < 0.003
        assert grey_levels_apart(found, expected) < 0.03
        assert apart(found, expected) <= 16

    def test_expected_colours_differ_between_intents(self) -> None:
        made = [lut_to_srgb(NOISE, intent) for intent in INTENTS[:3]]
        assert min(grey_levels_apart(made[i], made[i - 1]) for i in range(3)) > 5

    def test_absolute_intent_keeps_the_medium_white(self) -> None:
        """A medium white of 0.8 is white by the relative intent, grey by the absolute one."""
        profile = Profile(matrix_profile(white=0.8 * D50))
        white = np.full((8, 8, 3), 255, np.uint8)
        assert apart(profile.convert(white, "relative"), white) <= 1
        expected = np.broadcast_to(srgb_from_d50(0.8 * D50[None, None]), white.shape)
        assert apart(profile.convert(white, "absolute"), expected) <= 1

    def test_intents_have_the_numbers_of_the_icc_specification(self) -> None:
        assert [ImageCms.Intent(i) for i in range(4)] == [
            ImageCms.Intent.PERCEPTUAL,
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Intent.SATURATION,
            ImageCms.Intent.ABSOLUTE_COLORIMETRIC,
        ]
        assert OUR_INTENTS == INTENTS

    @pytest.mark.parametrize("number", range(4))
    def test_default_intent_is_that_of_the_profile(self, number: int, tmp_path: Path) -> None:
        slide = profiled(tmp_path, lut_profile(intent=number))
        assert colour_state(slide, SRGB).intent == INTENTS[number]
        first = render_tile(slide, slide.max_level, 0, 0, "png", Tiling(colour=SRGB))
        same = render_tile(
            slide, slide.max_level, 0, 0, "png", Tiling(colour=Colour("srgb", INTENTS[number]))
        )
        assert first == same

    def test_concurrent_threads_convert_correctly_with_a_shared_transform(self) -> None:
        profile = Profile(lut_profile())
        pictures = [np.roll(NOISE, 40 * i, axis=1) for i in range(8)]
        expected = [profile.convert(picture, "relative") for picture in pictures]
        fresh = Profile(lut_profile())

        def convert(i: int) -> bool:
            return np.array_equal(fresh.convert(pictures[i % 8], "relative"), expected[i % 8])

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(convert, range(64)))


@pytest.fixture(
    params=[{}, {"codec": JPEG2000_RGB}, {"chroma": "420"}, {"bigtiff": True, "byteorder": ">"}],
    ids=["rgb", "jpeg 2000", "4:2:0", "bigtiff"],
)
def adobe(request: pytest.FixtureRequest, tmp_path: Path) -> Slide:
    return profiled(tmp_path, matrix_profile(), **request.param)


class TestColourConversionOfImages:
    def test_every_level_equals_the_converted_stored_level(self, adobe: Slide) -> None:
        for level_dz in (adobe.max_level, adobe.max_level - 1, adobe.max_level - 3):
            stored = whole_level(adobe, level_dz)
            expected = adobe_to_srgb(stored)
            assert apart(whole_level(adobe, level_dz, "png", Tiling(colour=SRGB)), expected) <= 1
            coded = whole_level(adobe, level_dz, "jpeg", Tiling(colour=SRGB))
            assert decibels(coded, expected) > 45

    def test_rendered_levels_equal_converted_levels(self, adobe: Slide, tmp_path: Path) -> None:
        render_pyramid(adobe, tmp_path / "pyramid.tif", jobs=2)
        slide = opened(adobe.path, tmp_path / "pyramid.tif")
        for level_dz in (slide.max_level, slide.max_level - 1, 5):
            expected = adobe_to_srgb(whole_level(slide, level_dz))
            assert apart(whole_level(slide, level_dz, "png", Tiling(colour=SRGB)), expected) <= 1

    def test_tiles_of_other_tilings_equal_converted_tiles(self, adobe: Slide) -> None:
        expected = adobe_to_srgb(tile(adobe, adobe.max_level, 1, 1, "png", Tiling(100, 3)))
        found = tile(adobe, adobe.max_level, 1, 1, "png", Tiling(100, 3, colour=SRGB))
        assert apart(found, expected) <= 1

    @pytest.mark.parametrize("scale", [1, 2, 3.3])
    def test_scaled_regions_equal_converted_regions(self, adobe: Slide, scale: float) -> None:
        view = View(11, 7, 500, 400, round(500 / scale), round(400 / scale), mirrored=True)
        expected = adobe_to_srgb(decoded(draw(adobe, view, "png")))
        assert apart(decoded(draw(adobe, view, "png", colour=SRGB)), expected) <= 1

    def test_region_that_is_a_tile_equals_that_converted_tile(self, adobe: Slide) -> None:
        view = View(256, 0, 256, 256, 256, 256)
        tiling = Tiling(colour=SRGB)
        assert draw(adobe, view, "jpg", colour=SRGB) == render_tile(
            adobe, adobe.max_level, 1, 0, "jpeg", tiling
        )
        assert draw(adobe, view, "jpg", colour=SRGB) != draw(adobe, view, "jpg")

    def test_rotated_image_keeps_white_corners(self, adobe: Slide) -> None:
        view = View(0, 0, 300, 300, 300, 300, rotation=45)
        assert tuple(decoded(draw(adobe, view, "jpg", colour=SRGB))[2, 2]) == (255, 255, 255)

    def test_image_of_several_strips_equals_converted_image(self, adobe: Slide) -> None:
        view = View(0, 0, 20, SIZE[1], 60, SIZE[1] * 3)
        expected = adobe_to_srgb(decoded(draw(adobe, view, "png")))
        assert apart(decoded(draw(adobe, view, "png", colour=SRGB)), expected) <= 1


def not_a_profile(size: int) -> bytes:
    return bytes(range(256)) * (size // 256)


UNUSABLE: dict[str, Callable[[], bytes]] = {
    "no profile at all": lambda: not_a_profile(4096),
    "one byte": lambda: b"x",
    "cut short": lambda: matrix_profile()[:300],
    "grey": lambda: matrix_profile().replace(b"RGB XYZ ", b"GRAYXYZ "),
    "a link of two devices": lambda: matrix_profile().replace(b"scnr", b"link"),
    "tags that lead out of it": lambda: re.sub(
        rb"(?<=rXYZ)....", b"\x7f\0\0\0", matrix_profile(), flags=re.DOTALL
    ),
    "no tags": lambda: srgb_profile()[:128] + bytes(4) + srgb_profile()[132:],
    "too large": lambda: matrix_profile(padding=MAX_BYTES),
}


class TestColoursKeptAsStored:
    def same_bytes(self, slide: Slide) -> None:
        for level_dz in (slide.max_level, slide.max_level - 1):
            plain = render_tile(slide, level_dz, 0, 0, "jpeg")
            for intent in (None, *INTENTS):
                tiling = Tiling(colour=Colour("srgb", intent))
                assert render_tile(slide, level_dz, 0, 0, "jpeg", tiling) == plain

    @pytest.mark.parametrize(
        "data",
        [srgb_profile(), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()],
        ids=["by its numbers", "littlecms's"],
    )
    def test_srgb_profile_is_recognised_regardless_of_its_name(self, data: bytes, tmp_path: Path) -> None:
        slide = profiled(tmp_path, data)
        self.same_bytes(slide)
        state = colour_state(slide, SRGB)
        assert (state.is_srgb, state.intent, str(state)) == (True, None, "srgb")

    def test_profile_named_srgb_with_other_colours_is_not_treated_as_srgb(self, tmp_path: Path) -> None:
        slide = profiled(tmp_path, matrix_profile(name="sRGB IEC61966-2.1"))
        assert not colour_state(slide, SRGB).is_srgb

    def test_profile_close_to_srgb_is_not_treated_as_srgb(self) -> None:
        assert not Profile(matrix_profile(((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), gamma=2.2)).is_srgb

    def test_slide_without_profile_is_served_as_stored(self, tmp_path: Path) -> None:
        slide = profiled(tmp_path, None)
        self.same_bytes(slide)
        assert str(colour_state(slide, SRGB)) == "none"

    @pytest.mark.parametrize("kind", UNUSABLE)
    def test_unusable_profile_is_logged_once_and_colours_stay(
        self, kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        slide = profiled(tmp_path, UNUSABLE[kind]())
        with caplog.at_level(logging.WARNING):
            self.same_bytes(slide)
        assert str(colour_state(slide, SRGB)) == "none"
        assert len([line for line in caplog.messages if "colours are served as stored" in line]) == 1

    def test_plain_tile_request_imports_no_colour_modules(self, tmp_path: Path) -> None:
        """Nor is anything imported that only colours and pixels need."""
        slide = profiled(tmp_path, matrix_profile())
        program = (
            "import sys; from pathlib import Path; from vsv.slides.slide import open_slide;"
            "from vsv.rendering.tiles import *;"
            "n = Path('none'); s = open_slide(Path(sys.argv[1]), n, n); render_tile(s, s.max_level, 0, 0, 'jpeg');"
            "sys.exit(bool({'numpy', 'PIL', 'vsv.rendering.icc'} & set(sys.modules)))"
        )
        subprocess.run(
            [sys.executable, "-c", program, str(slide.path)], check=True, cwd=ROOT / "functions", timeout=60
        )

    @given(st.data())
    @settings(max_examples=40)
    def test_damaged_profile_raises_no_error(self, data: st.DataObject) -> None:
        """Bytes changed at random, most of all in header and table of tags."""
        whole = bytearray(
            {"matrix": matrix_profile(), "tables": LUT}[data.draw(st.sampled_from(["matrix", "tables"]))]
        )
        places = st.integers(0, 260) | st.integers(0, len(whole) - 1)
        for at, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=12)):
            whole[at] = value
        found = _open_profile(bytes(whole))
        if found is not None:
            for intent in filter(found.allows, {found.intent, "relative"}):
                assert found.convert(NOISE[:4, :4], intent).shape == (4, 4, 3)
            assert found.name.isprintable()
            assert len(found.name) <= 100


LUT = lut_profile()


class TestOpenSlideProfiles:
    def test_profile_found_by_openslide_converts_colours(self, tmp_path: Path) -> None:
        path = tmp_path / "s.tif"
        with tifffile.TiffWriter(path) as tiff:
            tiff.write(texture(*SIZE), tile=(256, 256), photometric="rgb", iccprofile=matrix_profile())
        slide = opened(path)
        assert type(slide.reader) is OpenSlideReader
        expected = adobe_to_srgb(whole_level(slide, slide.max_level))
        assert apart(whole_level(slide, slide.max_level, "png", Tiling(colour=SRGB)), expected) <= 1

    @pytest.mark.parametrize("icc", [None, b"damaged" * 100, matrix_profile(padding=MAX_BYTES)])
    def test_unusable_profile_is_ignored(self, icc: bytes | None, tmp_path: Path) -> None:
        path = tmp_path / "s.tif"
        with tifffile.TiffWriter(path) as tiff:
            tiff.write(texture(*SIZE), tile=(256, 256), photometric="rgb", iccprofile=icc)
        assert profile_of(opened(path)) is None


def test_profile_of_returns_shared_object_for_equal_profiles(tmp_path: Path) -> None:
    made = [opened(write_slide(tmp_path / name, Plan(icc=LUT))) for name in ("a.svs", "b.svs")]
    one, other = map(profile_of, made)
    assert one is other is not None


def test_profile_of_reads_changed_file_again(tmp_path: Path) -> None:
    first, second = (profile_of(profiled(tmp_path, matrix_profile(name=name))) for name in ("One", "Other"))
    assert first is not None
    assert second is not None
    assert (first.name, second.name) == ("One", "Other")


class TestColourQueries:
    def test_query_overrides_the_default(self) -> None:
        assert parse_colour({}, "passthrough") == AS_STORED
        assert parse_colour({}, "srgb") == SRGB
        assert parse_colour({"icc": "passthrough"}, "srgb") == AS_STORED
        assert parse_colour({"icc": "srgb", "intent": "absolute"}, "passthrough") == Colour(
            "srgb", "absolute"
        )
        assert parse_colour({"icc": "", "intent": ""}, "srgb") == SRGB

    @pytest.mark.parametrize("query", [{"icc": "SRGB"}, {"icc": "../x"}, {"intent": "1"}, {"intent": "x\n"}])
    def test_impossible_queries_are_refused(self, query: dict[str, str]) -> None:
        with pytest.raises(InvalidQueryError):
            parse_colour(query, "passthrough")


def ask(path: str, query: str = "", **headers: str) -> dict[str, Any]:
    sent = [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
    return lambda_handler(http_event("GET", f"/DeepZoom/{path}", query, sent), None)


def body(answer: dict[str, Any]) -> bytes:
    return base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()


DESCRIPTION = Plan().description


def bring(site: Site, icc: bytes | None, image_id: str) -> None:
    """Import a slide whose own thumbnail is in other colours than the slide."""
    path = site.scanner / f"{image_id}.svs"
    description = DESCRIPTION.replace("ImageID = 1004486", f"ImageID = {image_id}")
    write_slide(path, Plan(*SIZE, icc=icc, description=description, associated="none"))
    assert site.bring(path.name, path.read_bytes()) == 200
    site.services.slide_cache.forget(image_id)  # it was opened before its pyramid was there


class TestColourOverDeepZoom:
    @pytest.fixture
    def coloured_site(self, site: Site) -> Iterator[Site]:
        bring(site, matrix_profile(name='Test "scanner" <1>'), "A")
        bring(site, None, "B")
        yield site

    @pytest.mark.parametrize("query", ["", "icc=srgb", "icc=srgb&intent=absolute"])
    def test_all_protocols_return_the_same_tile(self, coloured_site: Site, query: str) -> None:
        slide = coloured_site.services.slide_cache.slide("A")
        size, number = slide.grid.tile_size, assign_number(coloured_site.services.files, "A")
        tile = ask(f"A_files/{slide.max_level}/1_0.jpeg", query)["body"]
        region = f"/iiif/A/{size},0,{size},{size}/max/0/default.jpg"
        mine = lambda_handler(http_event("GET", region, query, [(b"host", b"x")]), None)
        omero = f"/webgateway/render_image_region/{number}/0/0/"
        theirs = lambda_handler(http_event("GET", omero, f"tile=0,1,0&{query}", []), None)
        assert mine["body"] == theirs["body"] == tile
        tags = {
            lambda_handler(http_event("GET", region, other, [(b"host", b"x")]), None)["headers"]["etag"]
            for other in ("", "icc=srgb", "icc=srgb&intent=absolute")
        }
        assert len(tags) == 3

    def test_descriptors_declare_the_served_colour(self, coloured_site: Site) -> None:
        said = {
            (name, query): ask(f"{name}.dzi", query)["headers"]["x-vsv-icc"]
            for name in "AB"
            for query in ("", "icc=srgb", "icc=srgb&intent=absolute")
        }
        assert said == {
            ("A", ""): "passthrough",
            ("A", "icc=srgb"): "srgb; intent=perceptual",
            ("A", "icc=srgb&intent=absolute"): "srgb; intent=absolute",
            ("B", ""): "none",
            ("B", "icc=srgb"): "none",
            ("B", "icc=srgb&intent=absolute"): "none",
        }
        document = ElementTree.fromstring(body(ask("A.dzi", "icc=srgb")))
        assert document.tag == "{http://schemas.microsoft.com/deepzoom/2008}Image"
        assert document.attrib == {
            "Format": "jpeg",
            "Overlap": "0",
            "TileSize": "256",
            "{urn:x-vsv:colour}Colour": "srgb; intent=perceptual",
            "{urn:x-vsv:colour}Profile": 'Test "scanner" <1>',
        }
        for (name, query), expected in said.items():
            info = lambda_handler(
                http_event("GET", f"/iiif/{name}/info.json", query, [(b"host", b"x")]), None
            )
            assert [service["colour"] for service in json.loads(body(info))["service"]] == [expected]
        assert "vsv" not in body(ask("B.dzi", "icc=srgb")).decode()
        assert ask("A.dzi")["headers"]["access-control-expose-headers"] == "x-vsv-icc"

    def test_tiles_and_thumbnail_have_the_same_colours(self, coloured_site: Site) -> None:
        stored, found = (ask("A_files/thumbnail.jpeg", query) for query in ("", "icc=srgb"))
        assert apart(adobe_to_srgb(decoded(body(stored))), decoded(body(found))) < 30
        assert grey_levels_apart(adobe_to_srgb(decoded(body(stored))), decoded(body(found))) < 1
        first = decoded(body(ask("A_files/10/0_0.jpeg", "icc=srgb")))
        assert grey_levels_apart(first, decoded(body(found))[:256, :256]) < 2.5

    def test_thumbnail_of_slide_with_profile_is_made_from_its_pixels(self, coloured_site: Site) -> None:
        assert decoded(body(ask("A_files/thumbnail.jpeg"))).shape == (SIZE[1], SIZE[0], 3)
        assert decoded(body(ask("B_files/thumbnail.jpeg"))).shape[1] == 256

    def test_etags_differ_exactly_where_bytes_differ(self, coloured_site: Site) -> None:
        queries = [
            "",
            "icc=srgb",
            "icc=srgb&intent=absolute",
            "icc=srgb&intent=perceptual",
            "icc=passthrough",
        ]
        for path in (
            "A_files/10/0_0.jpeg",
            "A_files/9/0_0.jpeg",
            "A_files/thumbnail.jpeg",
            "B_files/10/0_0.jpeg",
        ):
            answers = [ask(path, query) for query in queries]
            tags = [answer["headers"]["etag"] for answer in answers]
            bodies = [body(answer) for answer in answers]
            for i in range(len(queries)):
                for j in range(i):
                    # Absolute is another request, though a matrix profile with a white of D50 says the same by it.
                    if bodies[i] != bodies[j]:
                        assert tags[i] != tags[j]
            assert tags[0] == tags[4]
            assert bodies[0] == bodies[4]
            assert tags[1] == tags[3]
            assert bodies[1] == bodies[3]
            assert (bodies[0] == bodies[1]) == path.startswith("B")
            assert ask(path, "icc=srgb", if_none_match=tags[1])["statusCode"] == 304
            assert ask(path, "icc=srgb", if_none_match=tags[0])["statusCode"] == (
                304 if tags[0] == tags[1] else 200
            )

    def test_profile_icc_returns_profile_of_the_file_or_404(self, coloured_site: Site) -> None:
        answer = ask("A_files/profile.icc")
        assert body(answer) == matrix_profile(name='Test "scanner" <1>')
        assert answer["headers"]["content-type"] == "application/vnd.iccprofile"
        assert ask("A_files/profile.icc", if_none_match=answer["headers"]["etag"])["statusCode"] == 304
        assert ask("B_files/profile.icc")["statusCode"] == 404
        assert ask("C_files/profile.icc")["statusCode"] == 404

    @pytest.mark.parametrize("query", ["icc=x", "icc=srgb&intent=x", "intent=%00"])
    @pytest.mark.parametrize("path", ["A.dzi", "A_files/10/0_0.jpeg", "A_files/thumbnail.jpeg"])
    def test_impossible_queries_answer_400(self, coloured_site: Site, path: str, query: str) -> None:
        assert ask(path, query)["statusCode"] == 400

    def test_default_colour_follows_the_vsv_icc_setting(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, coloured_site: Site
    ) -> None:
        asked = {query: body(ask("A_files/10/0_0.jpeg", query)) for query in ("", "icc=srgb")}
        data = coloured_site.services.files.root
        monkeypatch.setenv("VSV_ICC", "srgb")
        with standalone(data):
            assert body(ask("A_files/10/0_0.jpeg")) == asked["icc=srgb"]
            assert body(ask("A_files/10/0_0.jpeg", "icc=passthrough")) == asked[""]
            assert ask("A.dzi")["headers"]["x-vsv-icc"] == "srgb; intent=perceptual"

    def test_damaged_profile_does_not_stop_the_import(self, site: Site) -> None:
        bring(site, b"damaged" * 100, "D")
        assert ask("D_files/10/0_0.jpeg", "icc=srgb")["statusCode"] == 200
        assert ask("D.dzi", "icc=srgb")["headers"]["x-vsv-icc"] == "none"


def test_generated_profiles_are_readable_by_littlecms() -> None:
    """The tests' own writer is held to littlecms's word, so that golden values are of real profiles."""
    for data in (matrix_profile(ADOBE_PRIMARIES), lut_profile(), srgb_profile()):
        handle = ImageCms.getOpenProfile(io.BytesIO(data))
        assert handle.profile.device_class == "scnr"
        assert handle.profile.version == pytest.approx(2.4)
