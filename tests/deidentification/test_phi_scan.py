"""What is planted in a published file is found, by name and without repeating it; what a policy keeps is no leak."""

import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from vsv.deidentification.byte_audit import account
from vsv.deidentification.copy_writer import write_copy
from vsv.deidentification.identifiers import identifying_values
from vsv.deidentification.multi_search import Needles, bare, patterns_of
from vsv.deidentification.phi_scan import How, check, require_clean
from vsv.deidentification.policy import Policy
from vsv.deidentification.pseudonyms import find_revealed
from vsv.errors import LeakError
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff_writer import TiffWriter
from vsv.records.models import SlideRecord

from tests.support.slides.aperio import (
    JPEG2000_RGB,
    damage_tables,
    patch,
    patch_item,
    replace_tile,
    tile_bytes,
)
from tests.support.slides.identified import (
    SECRETS,
    Secret,
    all_secrets,
    contains,
    icc_profile,
    with_codestream_comment,
    with_comment,
    with_exif,
    write_identified,
)
from tests.support.stores.store_records import slide
from vsv_local.sample.slide import SLIDE_ID, write_sample_slide

DEFAULT = Policy()
RECORD = slide(
    "1004486",
    filename="Case of Mustermann.svs",
    slide_id="S26-000123-A1",
    case_id="S26-000123",
    barcode="S26-000123-A1-HE",
    scan_date="2009-12-29T09:59:15",
    scanner_id="SS1302XYZ",
    reviewer="Dr. Quincy",
    note="asked by Dr. Kildare\nseen",
)


@cache
def _pair() -> tuple[bytes, bytes]:
    with TemporaryDirectory() as folder:
        original = write_identified(Path(folder) / "original.svs")
        write_copy(original, Path(folder) / "copy.svs", Policy(), None)
        return original.read_bytes(), (Path(folder) / "copy.svs").read_bytes()


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "original.svs", tmp_path / "copy.svs"
    for path, data in zip(paths, _pair(), strict=True):
        path.write_bytes(data)
    return paths


def leaks(pair: tuple[Path, Path], record: SlideRecord | None = RECORD, policy: Policy = DEFAULT) -> set[str]:
    return set(check(*pair, policy, record).leaks)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


@pytest.mark.parametrize("record", [None, RECORD], ids=["file", "record"])
def test_check_finds_no_leak_in_a_clean_copy(pair: tuple[Path, Path], record: SlideRecord | None) -> None:
    found = check(*pair, Policy(), record)
    assert found.leaks == ()
    assert found.searched[How.EVERYWHERE] > 20
    assert "Nothing was found" in found.text()


VALUES = {
    "User": "description key User",
    "Title": "description key Title",
    "Filename": "description key Filename",
    "ImageID": "record: image id",
    "tag 315": "Artist",
    "tag 306": "DateTime",
    "tag 65000": "tag 65000",
    "tag 700": "XMP",
    "tag 33723": "IPTC",
}
RECORDED = {
    "Case of Mustermann.svs": "record: filename",
    "Case of Mustermann": "file name",
    "S26-000123-A1": "record: slide id",
    "S26-000123": "record: case id",
    "S26-000123-A1-HE": "record: barcode",
    "Dr. Quincy": "record: reviewer",
    "asked by Dr. Kildare": "record: note",
    "20091229": "scan date",
    "29.12.2009": "scan date",
    "2009-12-29": "scan date",
    "Dec 29 2009": "scan date",
}


@pytest.mark.parametrize("code", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    ("text", "name"), [*((SECRETS[key], name) for key, name in VALUES.items()), *RECORDED.items()]
)
def test_check_finds_value_in_any_case_and_encoding(
    pair: tuple[Path, Path], text: str, name: str, code: str
) -> None:
    append(pair[1], b"\1" + text.swapcase().encode(code) + b"\1")
    found = check(*pair, Policy(), RECORD)
    assert name in found.leaks
    assert not any(contains(found.text().encode(), secret) for secret in (*all_secrets(), text))


def test_check_finds_value_across_block_boundary(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = SECRETS["User"].encode("utf-16-le")
    at = pair[1].stat().st_size
    append(pair[1], text)
    for block in range(at + 1, at + len(text), 5):  # each cut takes a search of the whole file
        monkeypatch.setattr("vsv.deidentification.phi_scan._BLOCK", block)
        assert "description key User" in leaks(pair, None)


def test_check_finds_names_with_non_ascii_letters(pair: tuple[Path, Path]) -> None:
    record = slide(
        "1", note="Jürgen Müßiggänger", reviewer="李小龙先生", slide_id="1", case_id="1", barcode="1"
    )
    for text, name in (("JÜRGEN MÜßIGGÄNGER", "record: note"), ("李小龙先生", "record: reviewer")):
        for code in ("utf-8", "utf-16-le", "utf-16-be", *(["latin-1"] if name.endswith("note") else [])):
            copy = pair[1].with_name("planted.svs")
            copy.write_bytes(pair[1].read_bytes() + text.encode(code))
            assert name in leaks((pair[0], copy), record), code


def planted_tile(make: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: replace_tile(path, 0, 0, make(tile_bytes(path, 0, 0)))


def _rewritten(path: Path, **more: Any) -> None:
    """Rewrite the first level with another program and further options."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        blocks = [tile_bytes(path, 0, index) for index in range(len(page.dataoffsets))]
        options: dict[str, Any] = {
            "shape": page.shape, "dtype": "uint8", "tile": (256, 256), "photometric": "rgb", "compression": 7,
            "description": page.description, "jpegtables": page.jpegtables, "metadata": None, "software": False,
            "compressionargs": {"outcolorspace": "rgb"},
        }  # fmt: skip
    with tifffile.TiffWriter(path, bigtiff=True) as out:
        out.write(iter(blocks), **(options | more))


TEXT = b"nobody knows this"
PLANTED: dict[str, tuple[Callable[[Path], object], str]] = {
    "comment in a tile": (planted_tile(lambda tile: with_comment(tile, TEXT)), "JPEG comment"),
    "Exif in a tile": (planted_tile(lambda tile: with_exif(tile, TEXT)), "JPEG application segment 1"),
    "behind a tile's end": (planted_tile(lambda tile: tile + TEXT), "bytes behind a picture's end"),
    "no picture": (planted_tile(lambda tile: TEXT), "a tile that is not understood"),
    "behind the file's end": (lambda path: append(path, TEXT), "bytes that belong to nothing"),
    "comment in the tables": (
        lambda path: damage_tables(path, 0, b"\xff\xd8\xff\xfe\x00\x13" + TEXT), "JPEGTables",
    ),
    "Software": (lambda path: _rewritten(path, software="x"), "Software"),
    "private tag": (lambda path: _rewritten(path, extratags=[(65001, 2, 5, "text", True)]), "tag 65001"),
    "description": (
        lambda path: _rewritten(path, description="Aperio Image Library v1 \r\n1x1|AppMag = 20|New = 1"),
        "words of the description",
    ),
    "ICC profile": (lambda path: _rewritten(path, iccprofile=icc_profile()), "ICC profile"),
    "DateTime": (lambda path: _rewritten(path, datetime="2009:12:29 09:59:15"), "DateTime"),
}  # fmt: skip


@pytest.mark.parametrize(("plant", "name"), PLANTED.values(), ids=PLANTED)
def test_check_finds_unexpected_content_without_known_value(
    pair: tuple[Path, Path], plant: Callable[[Path], object], name: str
) -> None:
    plant(pair[1])
    assert name in leaks(pair, None)


def test_check_finds_comment_in_jpeg_2000_codestream(tmp_path: Path) -> None:
    original = write_identified(tmp_path / "original.svs", Secret(codec=JPEG2000_RGB))
    copy = tmp_path / "copy.svs"
    write_copy(original, copy, Policy(), None)
    assert leaks((original, copy)) == set()
    replace_tile(copy, 0, 0, with_codestream_comment(tile_bytes(copy, 0, 0), TEXT))
    assert "JPEG 2000 comment" in leaks((original, copy))


@pytest.mark.parametrize(
    ("page", "strip"), [(3, 0), (4, 0), (4, 3)], ids=["label", "macro", "middle of the macro"]
)
def test_check_finds_bytes_of_label_and_macro(pair: tuple[Path, Path], page: int, strip: int) -> None:
    with tifffile.TiffFile(pair[0]) as tiff:
        strips = [tile_bytes(pair[0], page, index) for index in range(len(tiff.pages[page].dataoffsets))]
    append(pair[1], b"".join(strips[strip : strip + 3]))
    assert "bytes of a picture that was left out" in leaks(pair)


def test_check_finds_label_and_macro_pages(pair: tuple[Path, Path]) -> None:
    assert {"label", "macro", "words of the description", "Artist"} <= leaks((pair[0], pair[0]))


def test_check_searches_short_values_as_words_and_lists_them(pair: tuple[Path, Path]) -> None:
    record = slide("7", slide_id="A1", case_id="A", barcode="20", reviewer="Bo", scan_date="2009-12-29")
    found = check(*pair, Policy(), record)
    assert found.leaks == ()  # 20 is also the magnification, which stays on purpose
    assert {"record: slide id", "record: case id", "record: barcode", "record: reviewer"} <= set(found.short)
    text = "Aperio Image Library v11.2.1 \r\n1100x800 (256x256)|AppMag = 20|Note = for Bo"
    _rewritten(pair[1], description=text)
    assert "record: reviewer" in leaks(pair, record)
    assert "record: slide id" not in leaks(pair, record)


def test_check_searches_short_texts_outside_pixels_in_a_large_file(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among gigabytes of pixels four letters occur by chance."""
    monkeypatch.setattr("vsv.deidentification.phi_scan._MAX_CHANCE", 1e-30)
    found = check(*pair, Policy(), slide("7", reviewer="Anna", note="x" * 60))
    assert found.searched[How.OUTSIDE] > found.searched[How.EVERYWHERE] > 0
    assert found.leaks == ()
    _rewritten(pair[1], description="Aperio Image Library v1 \r\n1x1|AppMag = 20|Note = annabell")
    assert "record: reviewer" in leaks(pair, slide("7", reviewer="Anna"))


@pytest.mark.parametrize(
    "record",
    [
        slide("2040", slide_id="0.4990", case_id="1100", barcode="Aperio", scanner_id="JPEG/RGB", reviewer="Library"),
        slide("1100x800", slide_id="256x256", case_id="AppMag", note="Image", filename="Q=70.svs"),
    ],
    ids=lambda record: record.image_id,
)  # fmt: skip
def test_check_ignores_values_that_stay_on_purpose(pair: tuple[Path, Path], record: SlideRecord) -> None:
    assert leaks(pair, record) == set()


def test_check_reports_kept_fields_only_by_a_stricter_policy(tmp_path: Path) -> None:
    original, copy = write_identified(tmp_path / "a.svs"), tmp_path / "copy.svs"
    policy = Policy("shift", "keep", "keep", keep_keys=("Filtered", "StripeWidth"))
    write_copy(original, copy, policy, 400)
    assert leaks((original, copy), RECORD, policy) == set()
    found = leaks((original, copy), RECORD, Policy())
    assert {"record: scanner id", "description key StripeWidth", "words of the description"} <= found


def test_check_finds_identifiers_within_a_kept_key(tmp_path: Path) -> None:
    """Nobody who writes a policy knows what a technician writes into a free field."""
    policy, free = Policy(keep_keys=("Parmset",)), Secret(fields="|Parmset = SLOW S26-000123-A1 ")
    original, copy = write_identified(tmp_path / "a.svs", free), tmp_path / "b.svs"
    write_copy(original, copy, policy, None)
    assert set(check(original, copy, policy).leaks) == set()
    found = set(check(original, copy, policy, RECORD).leaks)
    assert found == {"record: slide id", "record: case id"}


def test_check_finds_date_that_was_not_shifted(tmp_path: Path) -> None:
    original, copy = write_identified(tmp_path / "a.svs"), tmp_path / "copy.svs"
    policy = Policy(dates="shift")
    write_copy(original, copy, policy, 0)
    assert "description key Date" in leaks((original, copy), None, policy)


def test_check_finds_barcode_of_the_label(tmp_path: Path) -> None:
    write_sample_slide(tmp_path / "a.svs")
    write_copy(tmp_path / "a.svs", tmp_path / "copy.svs", Policy(), None)
    assert leaks((tmp_path / "a.svs", tmp_path / "copy.svs"), None) == set()
    append(tmp_path / "copy.svs", SLIDE_ID.lower().encode())
    assert "barcode on the label" in leaks((tmp_path / "a.svs", tmp_path / "copy.svs"), None)


def test_check_finds_planted_values_in_copy_of_the_real_slide(real_slide: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.svs"
    write_copy(real_slide, copy, Policy(), None)
    assert leaks((real_slide, copy), None) == set()
    for text in ("CMU-1", "cpaperiocs", "b414003d-95c6-48b0-9369-8010ed517ba7", "1004486", "12/29/2009"):
        planted = tmp_path / "planted.svs"
        planted.write_bytes(copy.read_bytes() + text.encode())
        assert len(leaks((real_slide, planted), None)) >= 2, text


def test_require_clean_raises_leak_error_without_repeating_the_value(pair: tuple[Path, Path]) -> None:
    require_clean(*pair, Policy(), RECORD)
    append(pair[1], SECRETS["User"].encode())
    with pytest.raises(LeakError, match=r"nothing was published: .*description key User") as caught:
        require_clean(*pair, Policy(), RECORD)
    assert not contains(str(caught.value).encode(), SECRETS["User"])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("STUDY-7-0001", ()),
        ("study-1004486", ("image id",)),
        ("S26-000123-x", ("case id",)),
        ("x-20091229", ("scan date",)),
        ("x-2009-12-29", ("scan date",)),
    ],
)
def test_find_revealed_returns_identifiers_within_the_name(name: str, told: tuple[str, ...]) -> None:
    assert find_revealed(name, RECORD) == told


def test_identifying_values_include_values_of_sub_directories(tmp_path: Path) -> None:
    path = tmp_path / "a.svs"
    with path.open("wb") as file:
        tiff = TiffWriter(file)
        exif = struct.pack("<QHHQ8sQ", 1, 37510, 2, 8, b"Erikas\0\0", 0)
        at = file.tell()
        file.write(exif)
        tags = {
            256: (3, (16,)),
            257: (3, (16,)),
            34665: (16, (at,)),
            330: (16, (at, 10**15)),
            278: (3, (16,)),
        }
        tiff.write_tagged(tags, [b"strip"], tiled=False)
    found = {value.text: value.name for value in identifying_values(path, RECORD, Policy())}
    assert found["Erikas"] == "UserComment"


@pytest.mark.parametrize(
    ("text", "code"),
    [("Müller", "cp1252"), ("Иван Петров", "cp1251"), ("病理切片", "gb18030"), ("スライド", "cp932")],
)
def test_needles_find_text_in_code_page_of_scanner(text: str, code: str) -> None:
    needles = Needles(dict.fromkeys(filter(lambda p: len(p) >= 3, patterns_of(text)), "it"))
    assert set(needles.found_in(bare(b"x" + text.encode(code) + b"y"))) == {"it"}


@given(
    st.text(min_size=4, max_size=40),
    st.binary(max_size=100),
    st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]),
)
def test_needles_find_text_in_any_surroundings_and_encoding(text: str, noise: bytes, code: str) -> None:
    text = text.replace("\0", "x").encode("utf-8", "ignore").decode()
    needles = Needles(dict.fromkeys(filter(lambda p: len(p) >= 3, patterns_of(text)), "it"))
    if text:
        assert set(needles.found_in(bare(noise + text.encode(code) + noise))) == {"it"}


@given(st.lists(st.binary(min_size=3, max_size=5), max_size=5), st.binary(max_size=300))
def test_needles_find_many_patterns_like_separate_searches(patterns: list[bytes], data: bytes) -> None:
    names = {pattern: pattern.hex() for pattern in patterns}
    found = set(Needles(names).found_in(data + b"".join(patterns[:2]) + data))
    assert found == {names[p] for p in patterns if p in data + b"".join(patterns[:2]) + data}


def test_account_reports_duplicate_tag(pair: tuple[Path, Path]) -> None:
    with tifffile.TiffFile(pair[1]) as tiff:
        planar = tiff.pages[0].tags["PlanarConfiguration"].offset
    patch(pair[1], planar, struct.pack("<H", 254))
    assert "a tag twice" in account(OpenFile(pair[1]), DEFAULT).problems


def test_account_reports_overlapping_parts(pair: tuple[Path, Path]) -> None:
    with tifffile.TiffFile(pair[1]) as tiff:
        first = tiff.pages[0].dataoffsets[0]
    patch_item(pair[1], 0, "TileOffsets", 1, first)
    found = account(OpenFile(pair[1]), DEFAULT).problems
    assert {"parts that overlap", "bytes that belong to nothing"} <= set(found)
