"""OMERO's ``render_image_region`` and ``render_image``: which pixels, in which format, and what is refused."""

import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from vsv.pyramids.renderer import render_pyramid
from vsv.services import Services
from vsv.slides.deepzoom_grid import Grid

from tests.support.servers.webgateway_site import (
    HEIGHT,
    IMMUTABLE,
    LEVELS,
    NUMBER,
    SMALL,
    TILE,
    WIDTH,
    ask,
    body,
    picture,
    put_slide,
    region,
    served,
)
from tests.support.slides.aperio import JPEG2000_RGB, Pixels, Plan
from tests.support.slides.opened import decibels, decoded, stored_level

ADDRESS = f"render_image_region/{NUMBER}/0/0"
SETTINGS = "c=1|0:255$FF0000,2|0:255$00FF00,3|0:255$0000FF&m=c"


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with served(tmp_path_factory.mktemp("data")) as services:
        yield services


@pytest.fixture(scope="module")
def full(services: Services) -> Pixels:
    """Return the slide's pixels as OpenSlide reads them."""
    return stored_level(services.files.slide(NUMBER), 0)


def deep_zoom(level_dz: int, col: int, row: int, suffix: str = "jpeg") -> bytes:
    return body(ask(f"{NUMBER}_files/{level_dz}/{col}_{row}.{suffix}", prefix="/DeepZoom/"))


@pytest.mark.usefixtures("services")
class TestTiles:
    @pytest.mark.parametrize("resolution", range(LEVELS))
    def test_each_tile_equals_the_deep_zoom_tile(self, resolution: int) -> None:
        size = -(-WIDTH // 2**resolution), -(-HEIGHT // 2**resolution)
        for row in range(-(-size[1] // TILE)):
            for col in range(-(-size[0] // TILE)):
                answer = ask(ADDRESS, f"tile={resolution},{col},{row}")
                assert answer["headers"]["content-type"] == "image/jpeg"
                assert answer["headers"]["cache-control"] == IMMUTABLE
                assert body(answer) == deep_zoom(11 - resolution, col, row)

    @pytest.mark.parametrize(
        "more",
        [SETTINGS, "c=1,2,3", "m=c", f"{SETTINGS}&q=0.9", "q=1.0", "q=0.900000", "p=intmax|0:0", "ia=0"],
    )
    def test_settings_without_effect_answer_the_stored_tile(self, more: str) -> None:
        assert body(ask(ADDRESS, f"tile=0,1,2&{more}")) == deep_zoom(11, 1, 2)

    @given(st.integers(0, LEVELS - 1), st.integers(-10, 1100), st.integers(-10, 1100), st.data())
    def test_tile_of_any_size_is_cut_from_the_same_level(
        self, resolution: int, width: int, height: int, data: st.DataObject
    ) -> None:
        size = -(-WIDTH // 2**resolution), -(-HEIGHT // 2**resolution)
        # Nothing above 0 is the slide's own size, more than 1,024 is 1,024: as OMERO has it.
        step = tuple(min(side, 1024) if side > 0 else TILE for side in (width, height))
        col, row = (data.draw(st.integers(0, (size[i] - 1) // step[i])) for i in (0, 1))
        found = region(f"tile={resolution},{col},{row},{width},{height}")
        level = whole_level(11 - resolution)
        assert np.array_equal(found, level[row * step[1] :, col * step[0] :][: step[1], : step[0]])

    @pytest.mark.parametrize(
        "tile", ["0,6,0", "0,0,5", "3,1,0", "0,-1,0", "0,0,-1", "0,999999999,0", "0,2,0,1024,1024"]
    )
    def test_tiles_outside_the_slide_are_not_found(self, tile: str) -> None:
        assert ask(ADDRESS, f"tile={tile}")["statusCode"] == 404

    @pytest.mark.parametrize("tile", ["-1,0,0", f"{LEVELS},0,0", "99,0,0"])
    def test_resolutions_outside_the_range_are_bad_requests(self, tile: str) -> None:
        assert ask(ADDRESS, f"tile={tile}")["statusCode"] == 400

    @pytest.mark.parametrize(
        "tile",
        [
            "",
            "0",
            "0,0",
            "0,0,0,256",
            "0,0,0,256,256,1",
            "a,0,0",
            "0,0,0x1",
            "0, 0,0",
            "0,0,\u0661",
            "1e1,0,0",
            ",,",
        ],
    )
    def test_malformed_tiles_are_bad_requests(self, tile: str) -> None:
        assert ask(ADDRESS, {"tile": tile})["statusCode"] == 400

    def test_slide_of_single_tile_has_a_single_resolution(self) -> None:
        assert picture(f"render_image_region/{SMALL}/0/0/", "tile=0,0,0").shape == (150, 200, 3)
        assert ask(f"render_image_region/{SMALL}/0/0/", "tile=1,0,0")["statusCode"] == 400


@cache
def whole_level(level_dz: int) -> Pixels:
    """Return a level's pixels, assembled from Deep Zoom tiles."""
    columns, rows = Grid(WIDTH, HEIGHT, TILE).tile_counts(level_dz)
    return np.vstack(
        [
            np.hstack([decoded(deep_zoom(level_dz, col, row, "png")) for col in range(columns)])
            for row in range(rows)
        ]
    )


class TestRegions:
    @given(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(1, 600), st.integers(1, 600))
    def test_region_matches_openslide_pixels_at_full_resolution(
        self, full: Pixels, left: int, top: int, width: int, height: int
    ) -> None:
        found = region(f"region={left},{top},{width},{height}")
        assert decibels(found, full[top : top + height, left : left + width]) > 40

    def test_region_on_the_tile_grid_answers_the_stored_tile(self, services: Services) -> None:
        assert body(ask(ADDRESS, "region=256,512,256,256")) == deep_zoom(11, 1, 2)

    @pytest.mark.parametrize("asked", [f"{WIDTH},0,1,1", f"0,{HEIGHT},1,1", "-1,0,5,5"])
    def test_regions_outside_the_slide_are_not_found(self, services: Services, asked: str) -> None:
        assert ask(ADDRESS, f"region={asked}")["statusCode"] == 404

    @pytest.mark.parametrize(
        "asked", ["", "1,2,3", "1,2,3,4,5", "0,0,0,5", "0,0,5,-1", "a,b,c,d", "0.5,0,5,5", "0,0,5,5 "]
    )
    def test_malformed_regions_are_bad_requests(self, services: Services, asked: str) -> None:
        assert ask(ADDRESS, {"region": asked})["statusCode"] == 400

    def test_tile_takes_precedence_over_region(self, services: Services) -> None:
        assert body(ask(ADDRESS, "tile=0,0,0&region=5,5,5,5")) == deep_zoom(11, 0, 0)

    def test_missing_tile_and_region_is_a_bad_request(self, services: Services) -> None:
        answer = ask(ADDRESS, SETTINGS)
        assert (answer["statusCode"], "tile or region" in answer["body"]) == (400, True)

    def test_region_and_image_over_side_limit_are_bad_requests(self, services: Services) -> None:
        put_slide(services.files, "90", Plan(17000, 40, associated="none", thumbnail=False))
        answer = ask("render_image_region/90/0/0/", "region=0,0,17000,40")
        assert answer["statusCode"] == 400
        assert "16384" in answer["body"]
        assert ask("render_image/90/")["statusCode"] == 400


class TestFlips:
    """Of a flipped slide, tiles and regions count from its own left and top, as in the microservice."""

    @pytest.mark.parametrize("flip", ["h", "v", "hv", "vh", "H", "HV", ""])
    def test_region_counts_from_the_corner_of_the_flipped_slide(self, full: Pixels, flip: str) -> None:
        flipped = full[:: -1 if "v" in flip.lower() else 1, :: -1 if "h" in flip.lower() else 1]
        found = region(f"region=100,50,300,200&flip={flip}")
        assert decibels(found, flipped[50:250, 100:400]) > 40

    @pytest.mark.parametrize("flip", ["h", "v", "hv"])
    def test_tiles_count_from_the_corner_of_the_flipped_slide(self, full: Pixels, flip: str) -> None:
        flipped = full[:: -1 if "v" in flip else 1, :: -1 if "h" in flip else 1]
        for col, row in ((0, 0), (5, 4), (2, 1)):
            found = region(f"tile=0,{col},{row}&flip={flip}")
            there = flipped[row * TILE : (row + 1) * TILE, col * TILE : (col + 1) * TILE]
            assert decibels(found, there) > 40

    def test_flipped_tile_is_encoded_as_jpeg(self, full: Pixels) -> None:
        found = picture(ADDRESS, "tile=0,0,0&flip=h")
        assert decibels(found, full[:TILE, ::-1][:, :TILE]) > 35

    @pytest.mark.parametrize("flip", ["x", "hvh", "horizontal", "h,v"])
    def test_unknown_flips_are_bad_requests(self, services: Services, flip: str) -> None:
        assert ask(ADDRESS, {"tile": "0,0,0", "flip": flip})["statusCode"] == 400


@pytest.mark.usefixtures("services")
class TestFormats:
    @pytest.mark.parametrize(
        ("fmt", "mime", "kind"),
        [("jpeg", "image/jpeg", "JPEG"), ("png", "image/png", "PNG"), ("tif", "image/tiff", "TIFF")],
    )
    def test_tile_is_encoded_in_the_requested_format(self, fmt: str, mime: str, kind: str) -> None:
        answer = ask(ADDRESS, f"tile=0,1,1&format={fmt}")
        assert answer["headers"]["content-type"] == mime
        with Image.open(io.BytesIO(body(answer))) as image:
            assert (image.format, image.size) == (kind, (TILE, TILE))
        assert np.array_equal(decoded(body(answer)), decoded(deep_zoom(11, 1, 1)))

    @pytest.mark.parametrize("fmt", ["gif", "", "JPEG", "webp", "jpeg,png"])
    def test_unknown_formats_are_bad_requests(self, fmt: str) -> None:
        assert ask(ADDRESS, {"tile": "0,0,0", "format": fmt})["statusCode"] == 400

    def test_lower_quality_makes_smaller_and_less_exact_tiles(self) -> None:
        sizes = [len(body(ask(ADDRESS, f"tile=0,1,1&q={q}"))) for q in ("0", "0.1", "0.5", "0.8")]
        assert sizes == sorted(set(sizes))
        assert sizes[1] < len(deep_zoom(11, 1, 1)) / 2
        low, kept = picture(ADDRESS, "tile=0,1,1&q=0.1"), picture(ADDRESS, "tile=0,1,1&q=0.8")
        there = decoded(deep_zoom(11, 1, 1))
        assert decibels(low, there) < decibels(kept, there)

    @pytest.mark.parametrize("quality", ["", "-0.1", "1.1", "90", "x", "nan", "inf", "1e-1", "0,5"])
    def test_invalid_qualities_are_bad_requests(self, quality: str) -> None:
        assert ask(ADDRESS, {"tile": "0,0,0", "q": quality})["statusCode"] == 400

    @pytest.mark.parametrize("more", ["p=intmax", "p=intmean|0:5", "p=intsum|", "p=normal", "ia=1", "zm=100"])
    def test_valid_projections_answer_the_stored_tile(self, more: str) -> None:
        assert body(ask(ADDRESS, f"tile=0,0,0&{more}")) == deep_zoom(11, 0, 0)

    @pytest.mark.parametrize("more", ["p=max", "p=intmax|a:b", "p=intmax|1", "ia=2"])
    def test_malformed_projections_are_bad_requests(self, more: str) -> None:
        assert ask(ADDRESS, f"tile=0,0,0&{more}")["statusCode"] == 400


@pytest.mark.usefixtures("services")
class TestAddresses:
    @pytest.mark.parametrize("prefix", ["/webgateway/", "/webclient/"])
    @pytest.mark.parametrize("slash", ["", "/"])
    def test_webgateway_and_webclient_answer_with_and_without_final_slash(
        self, prefix: str, slash: str
    ) -> None:
        assert body(ask(ADDRESS + slash, "tile=0,0,0", prefix=prefix)) == deep_zoom(11, 0, 0)

    @pytest.mark.parametrize("number", ["12", "1", "999999999999999", "9007199254740991", "1000000000000000"])
    def test_unknown_images_are_not_found(self, number: str) -> None:
        assert ask(f"render_image_region/{number}/0/0/", "tile=0,0,0")["statusCode"] == 404

    @pytest.mark.parametrize(
        "number", ["01004486", "x", "", "-1", "9007199254740992", "1" * 40, "..", "\u0661"]
    )
    def test_malformed_numbers_are_bad_requests(self, number: str) -> None:
        assert ask(f"render_image_region/{number}/0/0/", "tile=0,0,0")["statusCode"] == 400

    @pytest.mark.parametrize("plane", ["1/0", "0/1", "7/7"])
    def test_planes_other_than_0_are_not_found(self, plane: str) -> None:
        assert ask(f"render_image_region/{NUMBER}/{plane}/", "tile=0,0,0")["statusCode"] == 404

    @pytest.mark.parametrize(
        "rest", [NUMBER, f"{NUMBER}/0", f"{NUMBER}/0/x", f"{NUMBER}/0/0/0", f"{NUMBER}//0"]
    )
    def test_incomplete_addresses_are_bad_requests(self, rest: str) -> None:
        assert ask(f"render_image_region/{rest}", "tile=0,0,0")["statusCode"] == 400

    @pytest.mark.parametrize("address", ["", "elsewhere/1/", "render_image_region", "img_detail/1/"])
    def test_unknown_addresses_are_refused(self, address: str) -> None:
        assert ask(address, "tile=0,0,0")["statusCode"] in {400, 404}

    def test_render_image_draws_the_whole_slide(self, full: Pixels) -> None:
        for rest in ("", "0/", "0/0/"):
            assert decibels(picture(f"render_image/{NUMBER}/{rest}", "format=png"), full) > 40
        assert decibels(picture(f"render_image/{NUMBER}/", "format=png&flip=hv"), full[::-1, ::-1]) > 40
        assert ask(f"render_image/{NUMBER}/1/0/")["statusCode"] == 404

    @pytest.mark.parametrize("name", ["render_image_region_rdef", "render_image_rdef"])
    def test_rdef_address_without_all_settings_is_a_bad_request(self, name: str) -> None:
        address = f"{name}/{NUMBER}/0/0/"
        assert body(ask(address, f"tile=0,0,0&{SETTINGS}")) == deep_zoom(11, 0, 0)
        refused = [
            "",
            "m=c",
            "c=1|0:255$FF0000",
            "c=1|0:255$FF0000&m=x",
            "c=1&m=c",
            "c=1|0:255&m=c",
            "c=1$FF0000&m=c",
            "c=1|0:255$FF0000,2&m=c",
            f"{SETTINGS}&maps=[{{}}]",
            f"{SETTINGS}&maps=x",
        ]
        for query in refused:
            assert ask(address, f"tile=0,0,0&{query}")["statusCode"] == 400
        maps = '&maps=[null,{},{"inverted":{"enabled":false}}]'
        assert body(ask(address, f"tile=0,0,0&{SETTINGS}{maps}")) == deep_zoom(11, 0, 0)

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    def test_writing_methods_are_not_allowed(self, method: str) -> None:
        assert ask(ADDRESS, "tile=0,0,0", method=method)["statusCode"] == 405


@pytest.mark.usefixtures("services")
class TestCaching:
    @pytest.mark.parametrize(
        ("address", "query"),
        [
            (ADDRESS, "tile=0,0,0"),
            (ADDRESS, "region=3,3,9,9&m=g"),
            (f"render_image/{NUMBER}", ""),
            (f"render_thumbnail/{NUMBER}", ""),
            (f"imgData/{NUMBER}", ""),
            (f"histogram_json/{NUMBER}/channel/0", ""),
            ("get_thumbnails", f"id={NUMBER}"),
        ],
    )
    def test_head_answers_headers_and_matching_etag_answers_304(self, address: str, query: str) -> None:
        get, head = ask(address, query), ask(address, query, method="HEAD")
        assert head["headers"].pop("content-length") == str(len(body(get)))
        assert (head["body"], head["headers"]) == ("", get["headers"])
        assert get["headers"]["access-control-allow-origin"] == "*"
        assert get["headers"]["x-content-type-options"] == "nosniff"
        etag = get["headers"]["etag"]
        for sent in (etag, f'W/{etag}, "other"', "*"):
            answer = ask(address, query, headers={"if-none-match": sent})
            assert (answer["statusCode"], answer["body"]) == (304, "")
        assert ask(address, query, headers={"if-none-match": '"other"'})["statusCode"] == 200

    def test_missing_tile_or_region_is_not_found_whatever_the_etag(self) -> None:
        for query in ("tile=0,6,0", "region=5000,0,1,1"):
            assert ask(ADDRESS, query, headers={"if-none-match": "*"})["statusCode"] == 404

    def test_etags_differ_for_different_pictures(self) -> None:
        asked = [
            "tile=0,0,0", "tile=0,1,0", "tile=1,0,0", "tile=0,0,0,128,128", "tile=0,0,0&flip=h", "tile=0,0,0&flip=v",
            "tile=0,0,0&format=png", "tile=0,0,0&format=tif", "tile=0,0,0&q=0.5", "tile=0,0,0&m=g", "tile=0,0,0&c=1",
            "tile=0,0,0&c=1,2,3|5:255", "tile=0,0,0&c=1,2,3|5:255r", "tile=0,0,0&c=1,2,3$0F0",
        ]  # fmt: skip
        tags = {ask(ADDRESS, query)["headers"]["etag"] for query in asked}
        assert len(tags) == len(asked)

    def test_etags_are_equal_for_equal_pictures(self) -> None:
        asked = ["tile=0,0,0", "tile=0,0,0,256,256", "region=0,0,256,256", f"tile=0,0,0&{SETTINGS}&q=1"]
        assert len({ask(ADDRESS, query)["headers"]["etag"] for query in asked}) == 1

    def test_tile_is_cached_for_a_minute_until_the_pyramid_exists(self, services: Services) -> None:
        put_slide(services.files, "91", Plan(300, 200, codec=JPEG2000_RGB, associated="none"))
        asked: Any = ("render_image_region/91/0/0", "tile=0,0,0")
        before = ask(*asked)
        assert before["headers"]["cache-control"] == "private, max-age=60"
        render_pyramid(services.slide_cache.slide("91"), services.files.pyramid("91"), jobs=1)
        services.slide_cache.forget("91")
        after = ask(*asked)
        assert after["headers"]["cache-control"] == IMMUTABLE
        assert after["headers"]["etag"] != before["headers"]["etag"]

    def test_picture_has_no_cors_header_when_no_origin_is_allowed(
        self, services: Services, tmp_path: Path
    ) -> None:
        object.__setattr__(services.settings, "allow_origin", "")
        try:
            assert "access-control-allow-origin" not in ask(ADDRESS, "tile=0,0,0")["headers"]
        finally:
            object.__setattr__(services.settings, "allow_origin", "*")


NAMES = st.sampled_from(
    ["render_image_region", "render_image_region_rdef", "render_image", "render_thumbnail", "imgData",
     "histogram_json", "render_shape_mask", "get_thumbnails", "get_thumbnail", "render_birds_eye_view",
     "render_thumbnail_ngff", "get_thumbnails_ngff", "render_birds_eye_view_ngff"]
)  # fmt: skip
PART = st.sampled_from([NUMBER, SMALL, "0", "1", "96", "channel", "size", "rdefs", "x", "-1", "", "9" * 20])
VALUE = st.text(max_size=20) | st.text('0123456789,.|:$rR-{}[]"nulltruefasenbdivhcgm', max_size=40)
KEY = st.sampled_from(
    ["tile", "region", "c", "m", "q", "maps", "p", "format", "flip", "ia", "z", "t", "bins", "theZ", "id", "callback",
     "color", "rdefId", "maxPlaneWidth"]
)  # fmt: skip


@pytest.mark.usefixtures("services")
class TestHostileRequests:
    @given(NAMES, st.lists(PART, max_size=4), st.dictionaries(KEY, VALUE, max_size=5))
    def test_arbitrary_query_never_answers_an_internal_error(
        self, name: str, parts: list[str], query: dict[str, str]
    ) -> None:
        answer = ask("/".join([name, *parts]), query)
        assert answer["statusCode"] in {200, 400, 404, 501}
        assert "Traceback" not in answer["body"]

    @given(st.text(max_size=60) | st.text("0123456789/render_imagoDt", max_size=40))
    def test_arbitrary_address_never_answers_an_internal_error(self, rest: str) -> None:
        assert ask(rest)["statusCode"] in {200, 400, 404}

    @pytest.mark.parametrize(
        "name", ["tile", "region", "c", "m", "maps", "q", "p", "format", "flip", "id", "callback"]
    )
    def test_long_values_are_bad_requests(self, name: str) -> None:
        for value in ("1," * 5000, "[" * 100_000):
            query = {"tile": "0,0,0", name: value}
            address = f"get_thumbnails/{NUMBER}" if name in {"id", "callback"} else ADDRESS
            assert ask(address, query)["statusCode"] == 400

    def test_long_addresses_are_bad_requests(self) -> None:
        assert ask("imgData/" + "1" * 10_000)["statusCode"] == 400

    def test_errors_contain_no_path_of_the_data_folder(self, services: Services) -> None:
        for address in ("imgData/12/", f"{ADDRESS}/", "render_shape_mask/5/"):
            assert str(services.files.root) not in ask(address)["body"]
