"""IIIF picture addresses, against the examples of the Image API specifications."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serve_image.iiif.parameters import Dialect, read, read_region, read_rotation, read_size
from vsv.errors import BadRequestError, InvalidQueryError, TooLargeError, UnsupportedError
from vsv.rendering.image_request import MAX_AREA_PX

V3, V2 = Dialect(3), Dialect(2)
# The specification's own example image, 300×200 (Image API 3.0, section 4.1).
WHOLE = (300, 200)


@pytest.mark.parametrize(
    ("region", "box"),
    [
        ("full", (0, 0, 300, 200)),
        ("square", (50, 0, 200, 200)),
        ("125,15,120,140", (125, 15, 120, 140)),
        ("pct:41.6,7.5,40,70", (125, 15, 120, 140)),
        ("125,15,200,200", (125, 15, 175, 185)),
        ("pct:41.6,7.5,66.6,100", (125, 15, 175, 185)),
    ],
)
def test_read_region_returns_boxes_of_specification_examples(
    region: str, box: tuple[int, int, int, int]
) -> None:
    assert read_region(region, WHOLE) == box


@pytest.mark.parametrize(
    "region",
    ["", "all", "1,2,3", "1,2,3,4,5", "-1,0,5,5", "0,0,0,5", "300,0,5,5", "0,200,5,5", "1.5,0,5,5", "pct:100,0,10,10",
     "pct:0,0,0,10", "pct:a,0,1,1", "pct:-1,0,10,10", " full", "full\n", "9999999999,0,1,1", "٣,0,5,5"],
)  # fmt: skip
def test_read_region_refuses_malformed_empty_and_outside_regions(region: str) -> None:
    with pytest.raises(InvalidQueryError):
        read_region(region, WHOLE)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("max", (300, 200)),
        ("150,", (150, 100)),
        (",150", (225, 150)),
        ("pct:50", (150, 100)),
        ("225,100", (225, 100)),
        ("!225,100", (150, 100)),
        ("!900,900", (300, 200)),
        ("^360,", (360, 240)),
        ("^,240", (360, 240)),
        ("^pct:120", (360, 240)),
        ("^360,360", (360, 360)),
        ("^!360,360", (360, 240)),
    ],
)
def test_read_size_returns_sizes_of_specification_examples(size: str, expected: tuple[int, int]) -> None:
    assert read_size(V3, size, WHOLE) == expected


@pytest.mark.parametrize(
    "size",
    ["", ",", "^", "full", "301,", ",201", "pct:101", "pct:0", "pct:", "0,10", "10,0", "!10,", "!,10", "^!0,5", "-5,",
     "1e3,", "10, 10", "^^10,", "max,"],
)  # fmt: skip
def test_read_size_refuses_malformed_empty_and_enlarging_sizes(size: str) -> None:
    with pytest.raises(InvalidQueryError):
        read_size(V3, size, WHOLE)


def test_read_size_of_version_2_accepts_full_and_enlarges_without_caret() -> None:
    assert read_size(V2, "full", WHOLE) == WHOLE
    assert read_size(V2, "360,", WHOLE) == (360, 240)
    with pytest.raises(InvalidQueryError):
        read_size(V2, "^360,", WHOLE)


def test_read_size_keeps_max_within_area_limit_and_refuses_larger_sizes() -> None:
    for size in ("max", "^max", "!999999,999999"):
        width, height = read_size(V3, size, (46000, 32914))
        assert 0.99 * MAX_AREA_PX < width * height <= MAX_AREA_PX
        assert width / height == pytest.approx(46000 / 32914, rel=1e-3)
    width, height = read_size(V3, "^max", WHOLE)
    assert width * height <= MAX_AREA_PX
    assert width > 4000
    with pytest.raises(TooLargeError, match=str(MAX_AREA_PX)):
        read(V3, (46000, 32914), "full", "5000,5000", "0", "default.jpg")
    with pytest.raises(TooLargeError, match=str(MAX_AREA_PX)):
        read_size(V2, "full", (46000, 32914))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", (False, 0)), ("90", (False, 90)), ("360", (False, 0)), ("!0", (True, 0)), ("!180", (True, 180)),
     ("22.5", (False, 22.5)), (".5", (False, 0.5)), ("!359.9", (True, 359.9))],
)  # fmt: skip
def test_read_rotation_returns_mirroring_and_angle(text: str, expected: tuple[bool, float]) -> None:
    assert read_rotation(text) == expected


@pytest.mark.parametrize("text", ["", "-90", "361", "90!", "!!0", "ninety", "1e2", "inf", "nan", "0 "])
def test_read_rotation_refuses_malformed_and_out_of_range_angles(text: str) -> None:
    with pytest.raises(InvalidQueryError):
        read_rotation(text)


@pytest.mark.parametrize(
    "last", ["jpg", "default", "default.", "native.jpg", "default.bmp", "Default.jpg", "default.JPG", ".jpg"]
)
def test_read_refuses_unknown_qualities_and_formats(last: str) -> None:
    with pytest.raises(InvalidQueryError):
        read(V3, WHOLE, "full", "max", "0", last)


@pytest.mark.parametrize("fmt", ["gif", "jp2", "pdf"])
def test_read_raises_unsupported_error_for_gif_jp2_and_pdf(fmt: str) -> None:
    with pytest.raises(UnsupportedError, match=fmt):
        read(V3, WHOLE, "full", "max", "0", f"default.{fmt}")


@pytest.mark.parametrize(
    ("asked", "canonical"),
    [
        ("full/max/0/color.jpg", "full/max/0/default.jpg"),
        ("0,0,300,200/300,/360/default.png", "full/max/0/default.png"),
        ("125,15,200,200/88,/0/gray.jpg", "125,15,175,185/88,93/0/gray.jpg"),
        ("pct:41.6,7.5,40,70/max/!90.0/default.jpg", "125,15,120,140/max/!90/default.jpg"),
        ("square/^400,/22.50/bitonal.tif", "50,0,200,200/^400,400/22.5/bitonal.tif"),
        ("square/^4096,/0/gray.webp", "50,0,200,200/^max/0/gray.webp"),
        ("full/10,/.000000000001/default.jpg", "full/10,7/0.000000000001/default.jpg"),
        ("full/10,/!359.999999999999/default.jpg", "full/10,7/!359.999999999999/default.jpg"),
    ],
)
def test_read_returns_canonical_address(asked: str, canonical: str) -> None:
    region, size, rotation, last = asked.split("/")
    assert read(V3, WHOLE, region, size, rotation, last).canonical == canonical


def test_read_of_version_2_returns_canonical_address_of_version_2() -> None:
    assert read(V2, WHOLE, "full", "300,200", "0", "default.jpg").canonical == "full/full/0/default.jpg"
    assert read(V2, WHOLE, "full", ",100", "0", "default.jpg").canonical == "full/150,/0/default.jpg"
    assert read(V2, WHOLE, "full", "150,150", "0", "default.jpg").canonical == "full/150,150/0/default.jpg"


@given(
    whole=st.tuples(st.integers(1, 60000), st.integers(1, 60000)),
    parts=st.tuples(
        st.sampled_from(["full", "square", "3,4,500,600", "pct:10,10,33.3,50"]),
        st.sampled_from(
            ["max", "^max", "200,", ",200", "^200,", "pct:20", "!300,200", "^!300,200", "100,100", "^100,300"]
        ),
        st.sampled_from(["0", "!0", "90", "33.3"]),
        st.sampled_from(["default.jpg", "gray.png", "bitonal.webp"]),
    ),
)
def test_canonical_address_is_read_as_the_same_picture(
    whole: tuple[int, int], parts: tuple[str, str, str, str]
) -> None:
    for dialect in (V3, V2):
        try:
            asked = read(dialect, whole, *parts)
        except BadRequestError:
            continue
        region, size, rotation, last = asked.canonical.split("/")
        again = read(dialect, whole, region, size, rotation, last)
        assert again == asked


@given(parts=st.tuples(st.text(), st.text(), st.text(), st.text()))
def test_read_refuses_arbitrary_text(parts: tuple[str, str, str, str]) -> None:
    with pytest.raises(BadRequestError):
        read(V3, WHOLE, *parts)
