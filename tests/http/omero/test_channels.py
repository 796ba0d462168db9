"""OMERO's channel settings: windows, colours, inversion, curves and models, each against the same sum in numpy."""

import json
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serve_image.omero.channels import rendering
from vsv.errors import InvalidQueryError, UnsupportedError
from vsv.rendering.channel_rendering import apply_rendering
from vsv.rendering.channels import NATURAL, PRIMARIES, Channel, Rendering
from vsv.services import Services

from tests.support.servers.webgateway_site import NUMBER, ask, picture, region, served
from tests.support.slides.aperio import Pixels
from tests.support.slides.opened import decibels, stored_level

ADDRESS = f"render_image_region/{NUMBER}/0/0/"
BOX = "region=200,100,300,200"
ALL = "1|0:255$FF0000,2|0:255$00FF00,3|0:255$0000FF"


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with served(tmp_path_factory.mktemp("data")) as services:
        yield services


@pytest.fixture(scope="module")
def box(services: Services) -> Pixels:
    """Return the region's pixels as OpenSlide reads them."""
    return stored_level(services.files.slide(NUMBER), 0)[100:300, 200:500]


def windowed(pixels: Pixels, start: float, end: float) -> npt.NDArray[np.float64]:
    """Spread a window over 0 to 255."""
    return np.floor(np.clip((pixels.astype(float) - start) / (end - start), 0, 1) * 255 + 0.5)


def drawn(**settings: str) -> Pixels:
    """Ask for the region with settings, without loss."""
    return picture(ADDRESS, {"region": "200,100,300,200", "format": "png", **settings})


class TestSettings:
    def test_window_spreads_its_values_over_the_full_range(self, box: Pixels) -> None:
        found = drawn(c="1|50:200$FF0000,2|20:250$00FF00,3|100.5:101$0000FF")
        for part, (start, end) in enumerate([(50, 200), (20, 250)]):
            assert decibels(found[..., part], windowed(box[..., part], start, end)) > 40
        assert set(np.unique(found[..., 2])) <= {0, 255}

    def test_window_beyond_pixel_range_is_drawn(self, box: Pixels) -> None:
        found = drawn(c="1|0:65535$FF0000,2|-255:255$00FF00,3|0:510$0000FF")
        assert found[..., 0].max() <= 1
        assert decibels(found[..., 1], windowed(box[..., 1], -255, 255)) > 45
        assert decibels(found[..., 2], windowed(box[..., 2], 0, 510)) > 45

    @pytest.mark.parametrize(
        "c", ["2", "2|0:255", "2$00FF00", "-1,2,-3", "-1|0:255$FF0000,2|0:255$00FF00,-3"]
    )
    def test_inactive_channels_are_drawn_dark(self, box: Pixels, c: str) -> None:
        found = drawn(c=c)
        assert not found[..., (0, 2)].any()
        assert decibels(found[..., 1], box[..., 1]) > 40

    def test_picture_without_active_channels_is_black(self, services: Services) -> None:
        assert not drawn(c="-1,-2,-3").any()
        assert not drawn(c="-1,-2,-3", m="g").any()
        assert not drawn(c="7|0:255$FFFFFF").any()

    def test_channel_beyond_the_third_leaves_picture_unchanged(self, box: Pixels) -> None:
        assert decibels(drawn(c=f"{ALL},4|0:65535$FFFFFF"), box) > 40

    def test_channel_color_scales_each_component(self, box: Pixels) -> None:
        found = drawn(c="1|0:255$FF8000")
        assert decibels(found[..., 0], box[..., 0]) > 40
        assert decibels(found[..., 1], np.floor(box[..., 0] * (128 / 255))) > 40
        assert not found[..., 2].any()

    def test_channel_colors_add_up_to_at_most_white(self, box: Pixels) -> None:
        found = drawn(c="1|0:255$FFF,2|0:255$FFF,3|0:255$FFF")
        total = np.minimum(box.astype(int).sum(axis=2), 255)
        for part in range(3):
            assert decibels(found[..., part], total) > 35

    @pytest.mark.parametrize("color", ["00FF0080", "0F08"])
    def test_color_opacity_scales_the_channel(self, box: Pixels, color: str) -> None:
        opacity = 0x80 if len(color) == 8 else 0x88
        assert decibels(drawn(c=f"2${color}")[..., 1], box[..., 1] * (opacity / 255)) > 40

    @pytest.mark.parametrize(
        "settings",
        [
            {"c": "1,2|0:255r$00FF00,3"},
            {"c": "1,2|0:255r,3"},
            {"c": "1,2,3", "maps": '[{},{"inverted":{"enabled":true}},{}]'},
            {"c": "1,2,3", "maps": '[null,{"inverted":{"enabled":"true"}}]'},
            {"c": "1,2,3", "maps": '[{"inverted":null},{"reverse":{"enabled":true}}]'},
            {"c": "2,1,3", "maps": '[{"inverted":{"enabled":true}}]'},
            {"maps": '[null,{"inverted":{"enabled":true}}]'},
        ],
    )
    def test_inverted_channel_is_drawn_inverted_alone(self, box: Pixels, settings: dict[str, str]) -> None:
        found = drawn(**settings)
        assert decibels(found[..., 1], 255 - box[..., 1]) > 40
        assert decibels(found[..., (0, 2)], box[..., (0, 2)]) > 40

    @pytest.mark.parametrize(
        "settings",
        [
            {"c": "1,2|0:255-r$00FF00,3"},
            {"c": "1,2|0:255r$00FF00,3", "maps": '[null,{"inverted":{"enabled":false}}]'},
            {
                "c": "1,2,3",
                "maps": '[{"inverted":{"enabled":false}},{"reverse":{"enabled":"false"}},{"inverted":{}}]',
            },
        ],
    )
    def test_disabled_inversion_leaves_picture_unchanged(self, box: Pixels, settings: dict[str, str]) -> None:
        assert decibels(drawn(**settings), box) > 40

    def test_inversion_applies_after_the_window(self, box: Pixels) -> None:
        found = drawn(c="1|50:200r$FF0000,2,3")
        assert decibels(found[..., 0], 255 - windowed(box[..., 0], 50, 200)) > 40

    def test_greyscale_shows_the_first_active_channel(self, box: Pixels) -> None:
        for c, part in ((ALL, 0), ("-1,2|0:255$FF0000,3", 1), ("3|0:255$000000", 2)):
            found = drawn(c=c, m="g")
            assert (found[..., :1] == found).all()
            assert decibels(found[..., 0], box[..., part]) > 40
        assert decibels(drawn(m="g")[..., 0], box[..., 0]) > 40

    def test_greyscale_applies_window_and_inversion(self, box: Pixels) -> None:
        found = drawn(c="-1,2|50:200r$00FF00", m="g")
        assert decibels(found[..., 2], 255 - windowed(box[..., 1], 50, 200)) > 40

    def test_quantization_family_applies_its_curve(self, box: Pixels) -> None:
        maps = [
            {"quantization": {"family": "polynomial", "coefficient": 2}},
            {"quantization": {"family": "logarithmic", "coefficient": 0.5}},
            {"quantization": {"family": "exponential", "coefficient": 0.2}},
        ]
        found = drawn(c=ALL, maps=json.dumps(maps))
        values = box.astype(float)
        curve = np.exp(values[..., 2] ** 0.2) - 1
        expected = (
            255 * (values[..., 0] / 255) ** 2,
            255 * np.log(np.maximum(values[..., 1], 1)) / math.log(255),
            255 * curve / (math.exp(255**0.2) - 1),
        )
        for part in range(3):
            assert decibels(found[..., part], np.floor(expected[part] + 0.5)) > 38

    def test_tile_with_settings_and_flip_equals_the_same_region(self, box: Pixels) -> None:
        found = picture(ADDRESS, "tile=0,0,0,200,100&c=1,2|30:220,3&flip=h&q=0.95")
        straight = region("tile=0,0,0,200,100&c=1,2|30:220,3&flip=h")
        assert decibels(found, straight) > 35


class TestGrammar:
    @pytest.mark.parametrize(
        "c",
        [
            "", ",", "1,", "0", "x", "1|5", "1|5:", "1|:5", "1|5:5", "1|9:5", "1|a:b", "1|0:nan", "1|0:inf", "1||0:5",
            "1|0:255$GG0000", "1|0:255$FF", "1|0:255$FF000", "1|0:255$", "1|0:255$F00$0F0", "1,1", "1,-1", "1.5",
            "--1", "1|0:255rr", "1|0:1e999", "\u0661", "1|0:255#FF0000", "1" + ",2" * 64,
        ],
    )  # fmt: skip
    def test_malformed_channels_are_bad_requests(self, services: Services, c: str) -> None:
        assert ask(ADDRESS, {"region": "0,0,9,9", "c": c})["statusCode"] == 400

    @pytest.mark.parametrize("m", ["", "x", "G", "rgb", "c,g"])
    def test_unknown_models_are_bad_requests(self, services: Services, m: str) -> None:
        assert ask(ADDRESS, {"region": "0,0,9,9", "m": m})["statusCode"] == 400

    @pytest.mark.parametrize(
        "maps",
        [
            "", "x", "{}", "5", "[5]", '["x"]', "[[]]", '[{"inverted":5}]', '[{"inverted":{"enabled":"yes"}}]',
            '[{"inverted":{"enabled":[]}}]', '[{"quantization":5}]', '[{"quantization":{"family":"cubic"}}]',
            '[{"quantization":{"family":5}}]', '[{"quantization":{"coefficient":"2"}}]',
            '[{"quantization":{"coefficient":true}}]', '[{"quantization":{"coefficient":0}}]',
            '[{"quantization":{"coefficient":1e9}}]', '[{"quantization":{"coefficient":NaN}}]',
            "[" * 5000, "[" + "{}," * 64 + "{}]", "[" + "1" * 5000 + "]",
        ],
    )  # fmt: skip
    def test_malformed_maps_are_bad_requests(self, services: Services, maps: str) -> None:
        assert ask(ADDRESS, {"region": "0,0,9,9", "c": ALL, "maps": maps})["statusCode"] == 400

    def test_lookup_tables_answer_not_implemented(self, services: Services) -> None:
        assert ask(ADDRESS, {"region": "0,0,9,9", "c": "1|0:255$cool.lut"})["statusCode"] == 501
        with pytest.raises(UnsupportedError):
            rendering("1|0:255$glasbey.lut", None, None, strict=False)

    @given(st.text("0123456789|:$rR-,.eEabcdefFG ", max_size=60), st.booleans())
    def test_arbitrary_text_is_read_as_channels_or_refused(self, c: str, strict: bool) -> None:
        try:
            found = rendering(c, "c", None, strict)
        except (InvalidQueryError, UnsupportedError):
            return
        assert len(found.channels) == 3


WINDOWS = st.tuples(st.floats(-1000, 1000), st.floats(0.001, 70000)).map(lambda w: (w[0], w[0] + w[1]))
COLORS = st.tuples(*[st.integers(0, 255)] * 4)
CHANNELS = st.builds(
    lambda window, color, inverted, active: Channel(color, *window, inverted=inverted, active=active),
    WINDOWS,
    COLORS,
    st.booleans(),
    st.booleans(),
)


class TestArithmetic:
    """The tables and their sum, against the plain formula, without any JPEG between."""

    @given(st.tuples(CHANNELS, CHANNELS, CHANNELS), st.integers(0, 2**32 - 1))
    def test_recolored_pixels_equal_the_sum_of_channel_colors(
        self, channels: tuple[Channel, Channel, Channel], seed: int
    ) -> None:
        pixels = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), np.uint8)
        expected = np.zeros(pixels.shape)
        for index, channel in enumerate(channels):
            if channel.active:
                values = windowed(pixels[..., index], channel.start, channel.end)
                values = 255 - values if channel.inverted else values
                for part in range(3):
                    expected[..., part] += np.floor(
                        np.floor(values * channel.color[part] / 255) * channel.color[3] / 255
                    )
        found = apply_rendering(pixels, Rendering(channels))
        assert np.array_equal(found, np.minimum(expected, 255))

    def test_natural_settings_leave_pixels_unchanged(self) -> None:
        pixels = np.arange(256 * 3, dtype=np.uint8).reshape(16, 16, 3)
        assert NATURAL.is_identity
        assert np.array_equal(apply_rendering(pixels, NATURAL), pixels)
        same = Rendering((Channel((255, 0, 0, 255), family="polynomial"), *PRIMARIES[1:]))
        assert same.normal().is_identity
        assert rendering(ALL, "c", "[{},{},{}]", strict=True).is_identity

    def test_inverted_table_applied_twice_is_the_identity(self) -> None:
        table = Channel((255, 0, 0, 255), inverted=True).table()
        assert bytes(table[value] for value in table) == bytes(range(256))

    @pytest.mark.parametrize("family", ["linear", "polynomial", "exponential", "logarithmic"])
    @pytest.mark.parametrize("coefficient", [0.1, 1, 10.0])
    def test_curve_table_rises_from_0_to_255(self, family: str, coefficient: float) -> None:
        table = Channel((255, 0, 0, 255), family=family, coefficient=coefficient).table()
        assert (table[0], table[255]) == (0, 255)
        assert list(table) == sorted(table)
