"""Numbers of a description stay in a copy only where they are the file's own: no identifier hides in them."""

from pathlib import Path

import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from vsv.deidentification.byte_audit import account
from vsv.deidentification.copy_writer import write_copy
from vsv.deidentification.geometry import Geometry
from vsv.deidentification.image_description import rebuild
from vsv.deidentification.phi_scan import check
from vsv.deidentification.policy import Policy
from vsv.formats.random_access import OpenFile

from tests.support.slides.aperio import Plan, write_slide

FILE = Geometry(frozenset({(46000, 32914), (1024, 732)}), frozenset({(240, 240)}))
LIBRARY = "Aperio Image Library v11.2.1 \r\n"
SCAN = f"{LIBRARY}46920x33014 [0,100 46000x32914] (256x256) -> 1024x732 JPEG/RGB Q=30"
KEPT = "|AppMag = 20|MPP = 0.4990|OriginalWidth = 46920|Originalheight = 33014"


def test_description_of_a_whole_scan_is_kept() -> None:
    assert rebuild(SCAN + KEPT, Policy(), None, FILE).text == SCAN + KEPT


@pytest.mark.parametrize(
    "word",
    [
        "[8675309,1950101 46000x32914]", "8675309x1950101", "46000x8675309", "[0,0 8675309x32914]", "(8675x8675)",
        "Q=867",
        "[8675,100 46000x32914]", "54675x33014", "867530x32914",
    ],
)  # fmt: skip
def test_word_with_another_number_than_the_files_is_removed(word: str) -> None:
    found = rebuild(f"{SCAN} {word}{KEPT}", Policy(), None, FILE)
    assert found.text == SCAN + KEPT
    assert found.strange == (word,)


@pytest.mark.parametrize(
    "field",
    [
        "OriginalWidth = 2312345", "OriginalWidth = 33014", "OriginalHeight = 2312345", "Originalheight = 23.12345",
        "AppMag = 2312345", "MPP = 2312345", "MPP = 0",
    ],
)  # fmt: skip
def test_field_with_an_impossible_number_is_removed(field: str) -> None:
    found = rebuild(f"{SCAN}|{field}", Policy(), None, FILE)
    assert (found.text, [removed.value for removed in found.removed]) == (SCAN, [field.split(" = ")[1]])


@given(st.text(st.sampled_from("Aperio \r\n;|=[],()x->Q0123456789OriginalWidthMPP"), max_size=200))
def test_rebuild_with_geometry_is_idempotent(text: str) -> None:
    found = rebuild(f"{SCAN} {text}", Policy(), None, FILE)
    again = rebuild(found.text, Policy(), None, FILE)
    assert (again.text, again.removed, again.strange) == (found.text, (), ())


def test_copy_holds_no_identifier_that_was_written_as_geometry(tmp_path: Path) -> None:
    description = (
        f"{LIBRARY}1027x773 [8675309,1950101 1027x773] 8675309x1950101 (256x256) JPEG/RGB Q=85"
        "|AppMag = 20|MPP = 0.4990|OriginalWidth = 2312345|OriginalHeight = 773|ImageID = 340001"
    )
    original = write_slide(tmp_path / "a.svs", Plan(description=description))
    copy = tmp_path / "copy.svs"
    write_copy(original, copy, Policy(), None)
    with tifffile.TiffFile(copy) as tiff:
        text = tiff.pages[0].description
    head, fields = text.split("|", 1)
    assert head.split() == [
        "Aperio",
        "Image",
        "Library",
        "v11.2.1",
        "1027x773",
        "(256x256)",
        "JPEG/RGB",
        "Q=85",
    ]
    assert fields == "AppMag = 20|MPP = 0.4990|OriginalHeight = 773"
    for number in (b"8675309", b"1950101", b"2312345"):
        assert number not in copy.read_bytes()
    assert check(original, copy, Policy()).leaks == ()


def test_audit_finds_a_number_that_a_copy_holds_as_geometry(tmp_path: Path) -> None:
    copy = tmp_path / "copy.svs"
    write_copy(write_slide(tmp_path / "a.svs"), copy, Policy(), None)
    assert not account(OpenFile(copy), Policy()).problems
    copy.write_bytes(copy.read_bytes().replace(b"1027x773", b"8675x309"))
    assert "words of the description" in account(OpenFile(copy), Policy()).problems
