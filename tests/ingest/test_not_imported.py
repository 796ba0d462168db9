"""Files that are not imported are named with their counts, whatever their names hold."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vsv.ingest.not_imported import FILE, NAME_LENGTH, NAMES, Kind, Tally, kind_of, read, shown_name, write

from tests.support.slides.small import put

HOSTILE = [
    "a\x1b[31m.lif",
    "b\u202egpj.lif",
    "c\n1 file.lif",
    "d\t\x00.lif",
    "e\udcff.lif",
    "x" * 240 + ".lif",
]


def tally_of(*names: str, folder: Path = Path("/scans")) -> Tally:
    tally = Tally()
    for name in names:
        tally.add_file(folder / name)
    return tally


def sentences(*names: str) -> list[str]:
    return [one.sentence for one in tally_of(*names).found()]


@pytest.mark.parametrize(
    "name",
    ["a.dcm", "a.nd2", "a.LIF", "a.vsi", "a.isyntax", "report.docx", "notes.txt", "no suffix", "a.svs.bak"],
)
def test_file_that_is_no_slide_is_named(name: str) -> None:
    assert kind_of(name) is Kind.NOT_A_SLIDE


@pytest.mark.parametrize("name", ["what?.svs", "-a.ndpi", "CON.tif", f"{'x' * 220}.svs"])
def test_slide_whose_name_cannot_be_kept_is_named_with_what_to_do(name: str) -> None:
    assert kind_of(name) is Kind.BAD_NAME
    assert "rename" in sentences(name)[0]


@pytest.mark.parametrize(
    "name",
    ["a.svs", "a.TIF", ".hidden.lif", "~$report.docx", "Thumbs.db", "desktop.ini", "a.svs.part", "a.tmp",
     "a.svs.confirmed", ".DS_Store"],
)  # fmt: skip
def test_slides_and_hidden_temporary_and_system_files_are_not_named(name: str) -> None:
    assert kind_of(name) is None
    assert sentences(name) == []


def test_names_have_their_format_and_few_of_them_are_kept() -> None:
    assert sentences("a.lif") == ["1 file is not a slide that can be read: a.lif (Leica LIF)"]
    assert sentences("a.dcm", "b.isyntax", "c.bin") == [
        "3 files are not slides that can be read: a.dcm (DICOM), b.isyntax (Philips iSyntax), c.bin"
    ]
    (found,) = tally_of(*(f"{number:05}.bin" for number in range(12_345))).found()
    assert (found.count, len(found.names)) == (12_345, NAMES)
    assert found.sentence.endswith("00004.bin and 12,340 more")


def test_companion_files_of_a_slide_are_not_named(tmp_path: Path) -> None:
    put(tmp_path, "x.mrxs", b"1")
    data = put(tmp_path / "x", "Data0001.dat", b"1")
    put(tmp_path, "y.vms", b"1")
    tally = Tally()
    for path in (data, put(tmp_path / "x", "Slidedat.ini", b"1"), put(tmp_path, "y.opt", b"1")):
        tally.add_file(path)
    assert tally.found() == ()
    tally.add_file(put(tmp_path / "z", "Data0001.dat", b"1"))
    assert [one.count for one in tally.found()] == [1]


def test_folder_is_not_counted_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "pyramid.zarr").mkdir()
    tally = Tally()
    tally.add_file(tmp_path / "pyramid.zarr")
    assert tally.found() == ()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_name_is_shown_in_one_short_harmless_line(name: str) -> None:
    shown = shown_name(name)
    assert shown.isprintable()
    assert len(shown) <= NAME_LENGTH
    assert shown.endswith(".lif")


@given(st.text())
def test_any_name_is_shown_without_control_characters_and_within_its_length(name: str) -> None:
    shown = shown_name(name)
    assert len(shown) <= NAME_LENGTH
    assert not any(character in shown for character in "\n\r\t\x00\x1b\u202e\u2066\u2028")
    shown.encode()


def test_what_was_written_is_read_and_nothing_from_a_damaged_or_missing_file(tmp_path: Path) -> None:
    found = tally_of(*HOSTILE, "what?.svs").found()
    write(tmp_path, found)
    assert read(tmp_path) == found
    for content in (b"", b"{}", b"[1]", b'[{"reason": "x"}]', b"\xff"):
        (tmp_path / FILE).write_bytes(content)
        assert read(tmp_path) == ()
    write(tmp_path, ())
    assert not (tmp_path / FILE).exists()
    write(tmp_path, ())
    assert read(tmp_path) == read(None) == ()
