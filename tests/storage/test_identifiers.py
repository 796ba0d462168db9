"""Names from outside: whatever is accepted stays inside its folder, whatever is hostile is refused."""

from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from vsv.errors import InvalidNameError, VsvError
from vsv.identifiers import checked_filename, checked_image_id, is_image_id, is_slide_filename
from vsv.storage.slide_files import SlideFiles

HOSTILE_PIECES = [
    "",
    ".",
    "..",
    "../x",
    "x/../../y",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "..\\x",
    "C:x",
    "C:\\x",
    "\\\\server\\share",
    "a\0b",
    "a\nb",
    "a\x7f",
    "~root",
    "-rf",
    " x",
    "a|b",
    "a*b",
    "a?b",
    'a"b',
    "<a>",
    "CON",
    "con",
    "NUL",
    "aux",
    "COM1",
    "lpt9",
    "COM¹",
    "CON ",
    "\ud800",
    "x" * 10_000,
    "ü" * 150,
]


@pytest.mark.parametrize("piece", HOSTILE_PIECES)
def test_checked_filename_refuses_hostile_names(piece: str) -> None:
    with pytest.raises(InvalidNameError):
        checked_filename(piece + ".svs")


@pytest.mark.parametrize(
    "name",
    [
        "a.svs.",
        "a.svs ",
        "a.svs\n",
        "a.svs/",
        "a.svs\0",
        ".svs",
        "..svs",
        "a.exe",
        "a.svg",
        "a.gif",
        "a",
        "svs",
        "a.svs:x",
    ],
)
def test_checked_filename_refuses_hostile_endings(name: str) -> None:
    with pytest.raises(InvalidNameError):
        checked_filename(name)


@pytest.mark.parametrize("piece", [*HOSTILE_PIECES, "a.", "a b", "a\n", "ü", "\u0661", ".a", "_a", "a" * 65])
def test_checked_image_id_refuses_hostile_ids(piece: str) -> None:
    with pytest.raises(InvalidNameError):
        checked_image_id(piece)


@pytest.mark.parametrize("value", [None, 7, b"a.svs", ["a.svs"], {"a": 1}, True])
def test_checks_refuse_values_that_are_not_text(value: object) -> None:
    for check in (checked_filename, checked_image_id):
        with pytest.raises(InvalidNameError):
            check(value)


@pytest.mark.parametrize(
    "name",
    [
        "12345.svs",
        "S26-000123 A1.svs",
        "größe.SVS",
        "a..b.tif",
        "スライド.ndpi",
        "1004486_2.svs",
        "[1].svs",
        "a.PNG",
        "a.jpg",
        "a.jpeg",
        "a.tiff",
    ],
)
def test_checked_filename_accepts_names_that_scanners_write(name: str) -> None:
    assert checked_filename(name) == name


@pytest.mark.parametrize("name", ["a.PNG", "a.jpg", "a.jpeg", "a.tiff"])
def test_checked_filename_accepts_ordinary_image_suffixes(name: str) -> None:
    assert checked_filename(name) == name


@pytest.mark.parametrize("name", ["1004486", "a", "A-1_b.2", "a" * 64, "CONSOLE", "1..2"])
def test_checked_image_id_accepts_valid_ids(name: str) -> None:
    assert checked_image_id(name) == name


def test_checked_filename_refusal_does_not_repeat_the_sent_name() -> None:
    with pytest.raises(InvalidNameError) as refusal:
        checked_filename("<script>.svs")
    assert "<script>" not in str(refusal.value)


spoiled = st.text(st.characters() | st.sampled_from("./\\:\0\n ~-"), max_size=80)
names = spoiled | spoiled.map(lambda text: text + ".svs") | st.text("abc.-_/ ", max_size=12)


@given(names)
@example("CON.svs")
def test_accepted_filename_is_a_single_path_component_on_every_system(name: str) -> None:
    if not is_slide_filename(name):
        return
    assert PurePosixPath("/data/incoming", name).parts == ("/", "data", "incoming", name)
    assert PureWindowsPath("C:/data", name).parts == ("C:\\", "data", name)
    assert len(name.encode()) <= 255
    assert not name.endswith((".", " "))


@given(names)
def test_accepted_image_id_is_a_single_path_component_on_every_system(name: str) -> None:
    if not is_image_id(name):
        return
    assert PurePosixPath("/data", name).parts == ("/", "data", name)
    assert PureWindowsPath("C:/data", name).parts == ("C:\\", "data", name)
    assert name.isascii()


@given(names)
def test_slide_files_paths_stay_inside_data_folder_for_any_name(name: str) -> None:
    files = SlideFiles(Path("/data"))
    for give in (files.incoming, files.folder, files.slide, files.pyramid, files.deleted_folder):
        try:
            path = give(name)
        except VsvError:
            continue
        assert path.resolve().is_relative_to("/data")
        assert path.resolve() == path
        assert len(path.relative_to("/data").parts) >= 2
