"""What slides say about themselves, and the small pictures they bring, with all that real slides leave out."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import openslide
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from vsv.errors import UnreadableSlideError
from vsv.formats.aperio_description import parse_tags, positive_number
from vsv.formats.scan_time import ScanTime, scan_time
from vsv.rendering.associated_images import encode, make_thumbnail, read_associated
from vsv.slides import associated_images as slides_associated_images
from vsv.slides.readers import read_scan

from tests.support.slides.aperio import (
    JPEG2000_RGB,
    JPEG2000_YCBCR,
    LIBRARY,
    TAGS,
    Plan,
    label_image,
    macro_image,
    write_slide,
)
from tests.support.slides.opened import grey_levels_apart, opened, stored_level


def described(tmp_path: Path, tags: str) -> Path:
    return write_slide(tmp_path / "a.svs", Plan(201, 133, downsamples=(1,), description=LIBRARY + tags))


def test_read_scan_returns_known_properties_of_the_real_slide(real_slide: Path) -> None:
    scan = read_scan(real_slide)
    assert (scan.width_px, scan.height_px, scan.tile_size) == (2220, 2967, 240)
    assert (scan.image_id, scan.app_mag, scan.mpp) == ("1004486", "20", 0.499)
    assert scan.time == ScanTime("2009-12-29T09:59:15", "local")
    assert (scan.compression, scan.scanner_id) == ("JPEG", "CPAPERIOCS")


def test_read_scan_returns_the_same_tags_as_openslide(real_slide: Path) -> None:
    with openslide.OpenSlide(real_slide) as slide:
        expected = {
            key.removeprefix("aperio."): value
            for key, value in slide.properties.items()
            if key.startswith("aperio.")
        }
    assert {
        key: value for key, value in read_scan(real_slide).tags.items() if key != "Description"
    } == expected


@pytest.mark.parametrize(
    ("codec", "name"), [(7, "JPEG"), (JPEG2000_RGB, "JPEG 2000 RGB"), (JPEG2000_YCBCR, "JPEG 2000 YCbCr")]
)
def test_read_scan_returns_properties_of_each_codec(tmp_path: Path, codec: int, name: str) -> None:
    scan = read_scan(write_slide(tmp_path / "a.svs", Plan(645, 523, codec=codec, bigtiff=True)))
    assert (scan.width_px, scan.height_px, scan.tile_size, scan.compression) == (645, 523, 256, name)
    assert (scan.image_id, scan.app_mag, scan.mpp, scan.scanner_id) == ("1004486", "20", 0.499, "SS1302")


@pytest.mark.parametrize("tag", ["AppMag", "MPP", "ImageID", "Date", "Time", "ScanScope ID"])
def test_read_scan_returns_none_for_missing_tag_and_keeps_the_others(tmp_path: Path, tag: str) -> None:
    rest = "".join(f"|{pair}" for pair in TAGS[1:].split("|") if not pair.startswith(tag + " "))
    scan, whole = read_scan(described(tmp_path, rest)), parse_tags(LIBRARY + TAGS)
    assert tag not in scan.tags
    assert set(whole) - set(scan.tags) == {tag}
    found = {
        "AppMag": scan.app_mag,
        "MPP": scan.mpp,
        "ImageID": scan.image_id,
        "Date": scan.time,
        "ScanScope ID": scan.scanner_id,
    }
    assert [name for name, value in found.items() if value is None] == ([tag] if tag in found else [])


def test_read_scan_returns_none_for_description_without_tags(tmp_path: Path) -> None:
    scan = read_scan(described(tmp_path, ""))
    assert (scan.image_id, scan.app_mag, scan.mpp, scan.time, scan.scanner_id) == (None,) * 5


@pytest.mark.parametrize("value", ["../../etc", "a/b", "", " ", "x" * 65, "a%b", "CON", "1.", "..", "-rf"])
def test_read_scan_ignores_image_id_that_is_not_a_valid_name(tmp_path: Path, value: str) -> None:
    assert read_scan(described(tmp_path, f"|ImageID = {value}")).image_id is None


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("|Date = 12/29/09|Time = 09:59:15", ScanTime("2009-12-29T09:59:15", "local")),
        (
            "|Date = 12/29/2009|Time = 09:59:15|Time Zone = GMT-05:00",
            ScanTime("2009-12-29T09:59:15-05:00", "-05:00"),
        ),
        (
            "|Date = 02/28/20|Time = 23:00:01|Time Zone = GMT+0530",
            ScanTime("2020-02-28T23:00:01+05:30", "+05:30"),
        ),
        ("|Date = 02/29/20", ScanTime("2020-02-29T00:00:00", "local")),
        ("|Date = 02/28/20|Time = morning", ScanTime("2020-02-28T00:00:00", "local")),
        ("|Date = 02/28/20|Time = 10:00:00|Time Zone = summer", ScanTime("2020-02-28T10:00:00", "local")),
        ("|Date = 01/02/24|Time = 02:59:15 PM", ScanTime("2024-01-02T14:59:15", "local")),
        ("|Date = 01/02/24|Time = 12:00:01 a.m.", ScanTime("2024-01-02T00:00:01", "local")),
        ("|Date = 01/02/24|Time = 12:30 pm", ScanTime("2024-01-02T12:30:00", "local")),
        ("|Date = 01/02/24|Time = 14:59:15 PM", ScanTime("2024-01-02T14:59:15", "local")),
        ("|Date = 01/02/24|Time = 12:21:45.123", ScanTime("2024-01-02T12:21:45", "local")),
        ("|Date = 01/02/24|Time = 12:21:45,9", ScanTime("2024-01-02T12:21:45", "local")),
        ("|Date = 01/02/24|Time = 09:00:00-0500", ScanTime("2024-01-02T09:00:00-05:00", "-05:00")),
        ("|Date = 23.07.2014|Time = 16:33:58", ScanTime("2014-07-23T16:33:58", "local")),
        ("|Date = 3.7.14", ScanTime("2014-07-03T00:00:00", "local")),
        ("|Date = 2014/07/23|Time = 16:33", ScanTime("2014-07-23T16:33:00", "local")),
        ("|Date = 20140723", ScanTime("2014-07-23T00:00:00", "local")),
        ("|Date = 2014-07-23T16:33:58.37Z", ScanTime("2014-07-23T16:33:58+00:00", "+00:00")),
        ("|Date = 2014-07-23T16:33:58.1234567+02:00", ScanTime("2014-07-23T16:33:58+02:00", "+02:00")),
        ("|Date = 2014-07-23 16:33:58|Time Zone = GMT", ScanTime("2014-07-23T16:33:58+00:00", "+00:00")),
        (
            "|Date = 07/23/2014 02:59:15 PM|Time Zone = GMT-05:00",
            ScanTime("2014-07-23T14:59:15-05:00", "-05:00"),
        ),
        (
            "|Date = 01/02/24|Time = 03:00|Time Zone = GMT+14:00",
            ScanTime("2024-01-02T03:00:00+14:00", "+14:00"),
        ),
        ("|Date = 01/02/24|Time = 03:00|Time Zone = UTC-5", ScanTime("2024-01-02T03:00:00-05:00", "-05:00")),
        ("|Date = 01/02/24|Time = 03:00|Time Zone = GMT+24:00", ScanTime("2024-01-02T03:00:00", "local")),
        ("|Date = 01/02/24|Time = 03:00|Time Zone = GMT+99:99", ScanTime("2024-01-02T03:00:00", "local")),
        ("|Date = 01/02/24|Time = 03:00|Time Zone = GMT+05:75", ScanTime("2024-01-02T03:00:00", "local")),
        ("|Date = 01/02/24|Time = 03:00|Time Zone = GMT-12:30", ScanTime("2024-01-02T03:00:00", "local")),
        ("|Date = 2014-07-23T16:33:58+24:00", ScanTime("2014-07-23T16:33:58", "local")),
        ("|Date = 2014-13-23T16:33:58Z", None),
        ("|Date = 31.02.2014", None),
        ("|Date = 1.2.840.10008.5", None),
        ("|Date = 02/30/20|Time = 10:00:00", None),
        ("|Date = |Time = 10:00:00", None),
        ("|Time = 10:00:00", None),
    ],
)
def test_scan_time_combines_date_time_and_zone(tags: str, expected: ScanTime | None) -> None:
    assert scan_time(parse_tags(LIBRARY + tags)) == expected


def test_parse_tags_keeps_last_value_of_repeated_key() -> None:
    assert parse_tags("head|A = 1|A = 2|B=x=y| = z|empty = |no pair") == {
        "Description": "head",
        "A": "2",
        "B": "x=y",
        "empty": "",
    }


def test_parse_tags_normalizes_line_ends_and_removes_control_characters() -> None:
    tags = parse_tags("Aperio\r\n10x10\r\n|Title = a\r\nb\x07\x00c\x1b[31m|\r\nMPP\r\n = 0.5\r\n")
    assert tags == {"Description": "Aperio\n10x10", "Title": "a\nbc[31m", "MPP": "0.5"}


@given(
    st.from_regex(r"[0-9./:TZ+ -]{0,20}", fullmatch=True),
    st.from_regex(r"[0-9:., APM]{0,14}", fullmatch=True),
    st.from_regex(r"(GMT|UTC)?[+-][0-9]{2}:?[0-9]{2}", fullmatch=True),
)
def test_scan_time_is_always_a_moment_of_whole_seconds(day: str, time: str, zone: str) -> None:
    found = scan_time({"Date": day, "Time": time, "Time Zone": zone})
    if found is not None:
        moment = datetime.fromisoformat(found.text)
        assert moment.isoformat() == found.text
        assert found.zone == ("local" if moment.tzinfo is None else found.text[-6:])


@given(st.text(max_size=300))
def test_parse_tags_returns_bounded_printable_tags_for_any_text(text: str) -> None:
    tags = parse_tags("Aperio |" + text)
    scan_time(tags)
    assert len(tags) <= 201
    for key, value in tags.items():
        assert len(key) <= 100
        assert all(c.isprintable() or c == "\n" for c in key + value)


def test_parse_tags_bounds_very_long_description() -> None:
    tags = parse_tags("".join(f"|k{i} = {'v' * 5000}" for i in range(5000)))
    assert len(tags) <= 200
    assert max(map(len, tags.values())) == 2000


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "1e400", "twenty", None])
def test_positive_number_returns_none_for_other_texts(text: str | None) -> None:
    assert positive_number(text) is None


@pytest.mark.parametrize("text", ["1,234.5", "1_000", "٤٠", "40X", "0,5,0", ",", "1e"])
def test_positive_number_refuses_texts_that_might_mean_another_number(text: str) -> None:
    assert positive_number(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20", 20), (" 0.2528 ", 0.2528), ("4e1", 40), ("0,500000", 0.5), ("40,0", 40), (".25", 0.25),
    ],
)  # fmt: skip
def test_positive_number_parses_decimal_and_exponent(text: str, value: float) -> None:
    assert positive_number(text) == value


def test_read_scan_uses_openslide_properties_for_other_vendors(tmp_path: Path) -> None:
    plan = Plan(645, 523, description="", thumbnail=False, associated="none", downsamples=(1,))
    scan = read_scan(write_slide(tmp_path / "a.tif", plan))
    assert (scan.width_px, scan.height_px, scan.image_id, scan.time) == (645, 523, None, None)
    assert scan.tags["openslide.vendor"] == "generic-tiff"


@pytest.mark.parametrize("tags", ["|AppMag = 40,0|MPP = 0,252800", "|AppMag = 40.000000|MPP = 0.2528"])
def test_read_scan_reads_decimal_commas_as_openslide_does(tmp_path: Path, tags: str) -> None:
    path = described(tmp_path, tags)
    with openslide.OpenSlide(path) as slide:
        expected = tuple(
            float(slide.properties[f"openslide.{name}"]) for name in ("objective-power", "mpp-x")
        )
    scan = read_scan(path)
    assert (float(scan.app_mag or 0), scan.mpp) == expected == (40, 0.2528)


def test_read_scan_reads_motic_description_like_aperio_one(tmp_path: Path) -> None:
    tags = "|AppMag = 40|MPP = 0.257290|ImageID = c11-motic|Date = 2024-01-02|Time = 10:11:12"
    plan = Plan(645, 523, downsamples=(1,), thumbnail=False, associated="none")
    head = "Motic V1.0.0 645x523 [0,0 645x523] [256x256] JPEG/RGB Q = 75"
    scan = read_scan(write_slide(tmp_path / "a.tif", replace(plan, description=head + tags)))
    assert (scan.app_mag, scan.mpp) == ("40", 0.25729)
    assert scan.time == ScanTime("2024-01-02T10:11:12", "local")
    assert (scan.image_id, scan.tags["openslide.vendor"]) == (None, "generic-tiff")


@pytest.mark.parametrize(
    ("user", "code_page"),
    [
        ("Jürgen Müller µm", "utf-8"), ("Jürgen Müller µm", "cp1252"), ("ÄÖÜ äöü ß – “é”", "cp1252"),
        ("Иван Петров", "cp1251"), ("病理切片", "gb18030"), ("スライド", "cp932"),
    ],
)  # fmt: skip
def test_read_scan_decodes_description_in_code_page_of_scanner(
    tmp_path: Path, user: str, code_page: str
) -> None:
    path = described(tmp_path, f"|User = {'#' * len(user.encode(code_page))}|MPP = 0.5")
    path.write_bytes(path.read_bytes().replace(b"#" * len(user.encode(code_page)), user.encode(code_page)))
    scan = read_scan(path)
    assert (scan.tags["User"], scan.mpp) == (user, 0.5)


def test_read_scan_decodes_description_that_openslide_cannot(tmp_path: Path) -> None:
    plan = Plan(
        645, 523, downsamples=(1,), thumbnail=False, associated="none", description="Motic a#b|MPP = 0.5"
    )
    path = write_slide(tmp_path / "a.tif", plan)
    path.write_bytes(path.read_bytes().replace(b"Motic a#b", b"Motic a\xfcb"))
    tags = read_scan(path).tags
    assert tags["tiff.ImageDescription"] == tags["openslide.comment"] == "Motic aüb|MPP = 0.5"


def test_read_scan_keeps_bytes_that_fit_no_code_page(tmp_path: Path) -> None:
    path = described(tmp_path, "|User = a####b|MPP = 0.5")
    path.write_bytes(path.read_bytes().replace(b"a####b", b"a\x81\x8d\xfc\xffb"))
    assert read_scan(path).tags["User"] == r"a\x81\x8d\xfc\xffb"


def test_read_scan_refuses_file_that_is_not_a_slide(tmp_path: Path) -> None:
    path = tmp_path / "a.svs"
    path.write_bytes(b"no slide")
    with pytest.raises(UnreadableSlideError):
        read_scan(path)


@pytest.mark.parametrize("how", ["aperio", "undescribed"])
def test_read_associated_finds_label_and_macro_with_or_without_description(tmp_path: Path, how: str) -> None:
    found = read_associated(write_slide(tmp_path / "a.svs", Plan(645, 523, associated=how)))
    assert set(found) == {"label", "thumbnail", "macro"}
    assert np.array_equal(np.asarray(found["label"]), np.asarray(label_image()))
    assert np.array_equal(np.asarray(found["macro"]), np.asarray(macro_image()))


def test_read_associated_finds_undescribed_pages_beyond_pillow_pixel_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow refuses to open what may be a decompression bomb, by its first page: the slide itself."""
    path = write_slide(tmp_path / "a.svs", Plan(645, 523, associated="undescribed"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)
    monkeypatch.setattr(slides_associated_images, "_from_openslide", lambda *_: None)
    found = read_associated(path)
    assert np.array_equal(np.asarray(found["label"]), np.asarray(label_image()))
    assert np.array_equal(np.asarray(found["macro"]), np.asarray(macro_image()))


def test_read_associated_returns_empty_result_without_associated_images(tmp_path: Path) -> None:
    assert read_associated(write_slide(tmp_path / "a.svs", Plan(associated="none", thumbnail=False))) == {}


@pytest.mark.parametrize("how", ["aperio", "undescribed"])
def test_read_associated_never_returns_label_as_thumbnail(tmp_path: Path, how: str) -> None:
    """OpenSlide takes the second page for it, and without a thumbnail that may be the label."""
    plan = Plan(645, 523, thumbnail=False, associated=how, downsamples=(1,))
    assert set(read_associated(write_slide(tmp_path / "a.svs", plan))) == {"label", "macro"}


def test_read_associated_ignores_small_pages_of_other_vendors(tmp_path: Path) -> None:
    plan = Plan(645, 523, description="", thumbnail=False, associated="undescribed", downsamples=(1,))
    assert read_associated(write_slide(tmp_path / "a.tif", plan)) == {}


@pytest.mark.parametrize("codec", [7, JPEG2000_RGB])
def test_make_thumbnail_averages_the_pixels_of_the_slide(tmp_path: Path, codec: int) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(1293, 1051, codec=codec))
    image = make_thumbnail(opened(path))
    assert image.size == (647, 526)
    expected = Image.fromarray(stored_level(path, 0)).resize(image.size, Image.Resampling.BOX)
    assert grey_levels_apart(np.asarray(image), np.asarray(expected)) < 4


def test_make_thumbnail_keeps_size_of_small_slide(tmp_path: Path) -> None:
    assert make_thumbnail(opened(write_slide(tmp_path / "a.svs", Plan(201, 99)))).size == (201, 99)


def test_encode_returns_jpeg() -> None:
    assert encode(label_image()).startswith(b"\xff\xd8")


def test_read_associated_returns_known_images_of_the_real_slide(real_slide: Path) -> None:
    found = read_associated(real_slide)
    assert {name: image.size for name, image in found.items()} == {
        "label": (387, 463),
        "thumbnail": (574, 768),
        "macro": (1280, 431),
    }
