"""Files of a slide of several files: found as OpenSlide finds them, and hostile indexes refused."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vsv.errors import FileChangingError, UnreadableSlideError
from vsv.formats import file_set
from vsv.formats.file_set import companions_in, find_set, is_companion, owner_of
from vsv.formats.key_file import MAX_BYTES, parse_key_file, whole_number

from tests.support.slides.hamamatsu import vms_text, write_vms, write_vmu
from tests.support.slides.mrxs import write_mrxs
from tests.support.slides.squares import squares

MRXS_FILES = ["Data0000.dat", "Data0001.dat", "Data0002.dat", "Index.dat", "Slidedat.ini"]
HOSTILE = [
    "../secret.jpg", "/etc/passwd.jpg", "..", ".", "", "sub/a.jpg", r"..\a.jpg", r"C:\a.jpg", "a.jpg:stream",
    "CON.jpg", ".hidden.jpg", "a\0.jpg", "x" * 300 + ".jpg", "other.svs", "b.vms", "b.part", "\udcff.jpg",
]  # fmt: skip


def vms(folder: Path, **names: str) -> Path:
    """Write an index that names these files, of which those with plain names exist."""
    named = {"ImageFile": "b.jpg", "ImageFile(1,0)": "b2.jpg", "MapFile": "b_map.jpg", **names}
    for name in named.values():
        if is_companion(name) and not name.endswith((".svs", ".vms")):
            (folder / name).write_bytes(b"x")
    index = folder / "b.vms"
    index.write_bytes(vms_text(named).encode("utf-8", "surrogateescape"))
    return index


def changed(index: Path, old: str, new: str) -> Path:
    """Change the text of an MRXS."""
    slidedat = index.with_suffix("") / "Slidedat.ini"
    text = slidedat.read_text("utf-8-sig")
    assert old in text
    slidedat.write_text(text.replace(old, new, 1))
    return index


@pytest.fixture
def mrxs(tmp_path: Path) -> Path:
    return write_mrxs(tmp_path / "a.mrxs", squares())


def test_mrxs_has_all_files_of_its_folder(mrxs: Path) -> None:
    (mrxs.with_suffix("") / "Notes.xml").write_text("also scanned")
    (mrxs.with_suffix("") / ".DS_Store").write_text("not a part")
    found = find_set(mrxs)
    assert list(found.paths) == sorted(["a.mrxs", "a/Notes.xml", *(f"a/{name}" for name in MRXS_FILES)])
    assert all(path.is_file() for path in found.paths.values())


def test_index_is_stored_with_the_suffix_that_openslide_knows(mrxs: Path) -> None:
    assert find_set(mrxs.rename(mrxs.with_name("a.MRXS"))).index_name == "a.mrxs"


def test_vms_has_the_files_that_it_names_without_a_missing_optimisation_file(tmp_path: Path) -> None:
    index = write_vms(tmp_path / "b.vms", squares())
    names = ["b(1,0).jpg", "b.jpg", "b.opt", "b.vms", "b_map2.jpg"]
    assert list(find_set(index).paths) == names
    (tmp_path / "b.opt").unlink()
    assert list(find_set(index).paths) == [name for name in names if name != "b.opt"]


@pytest.mark.parametrize("name", MRXS_FILES)
def test_missing_file_of_an_mrxs_is_named(mrxs: Path, name: str) -> None:
    (mrxs.with_suffix("") / name).unlink()
    with pytest.raises(FileChangingError, match=f"^a/{name} is missing"):
        find_set(mrxs)


def test_missing_folder_or_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.mrxs").write_bytes(b"x")
    with pytest.raises(FileChangingError, match=r"^the folder c is missing"):
        find_set(tmp_path / "c.mrxs")
    index = vms(tmp_path)
    (tmp_path / "b2.jpg").unlink()
    with pytest.raises(FileChangingError, match=r"^b2\.jpg is missing"):
        find_set(index)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_of_companions_are_refused_and_never_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"another patient's")
    (tmp_path / "in/other.svs").write_bytes(b"another patient's")
    with pytest.raises(UnreadableSlideError):
        find_set(vms(tmp_path / "in", MacroImage=name))
    assert companions_in(tmp_path / "in", ["b.vms", "other.svs", name]) == frozenset()


@pytest.mark.parametrize(
    "name", ["../secret.dat", "/etc/passwd", "..", "sub/Data.dat", "files.json", "x.part"]
)
@pytest.mark.parametrize("key", ["INDEXFILE = Index.dat", "FILE_1 = Data0001.dat"])
def test_hostile_names_in_slidedat_are_refused(mrxs: Path, key: str, name: str) -> None:
    with pytest.raises(UnreadableSlideError):
        find_set(changed(mrxs, key, f"{key.split(' = ', maxsplit=1)[0]} = {name}"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("IMAGENUMBER_X = 4", "IMAGENUMBER_X = 2147483647"),
        ("IMAGENUMBER_X = 4", "IMAGENUMBER_X = -4"),
        ("IMAGENUMBER_Y = 4", "IMAGENUMBER_Y = 4000000"),
        ("FILE_COUNT = 3", "FILE_COUNT = 1000000000"),
        ("FILE_COUNT = 3", "FILE_COUNT = ٣"),
        ("FILE_COUNT = 3", "FILE_COUNT = 4"),
        ("HIER_COUNT = 1", "HIER_COUNT = 999999999"),
        ("HIER_0_COUNT = 2", "HIER_0_COUNT = 40"),
        ("DIGITIZER_WIDTH = 256", "DIGITIZER_WIDTH = 100000"),
        ("IMAGE_CONCAT_FACTOR = 1", "IMAGE_CONCAT_FACTOR = 31"),
        ("OVERLAP_X = 0.000000", "OVERLAP_X = nan"),
        ("OVERLAP_Y = 0.000000", "OVERLAP_Y = -inf"),
        ("OVERLAP_Y = 0.000000", "OVERLAP_Y = 1e308"),
        ("OVERLAP_Y = 0.000000", "OVERLAP_Y = much"),
        ("[DATAFILE]", "[DATA]"),
    ],
)
def test_numbers_that_no_slide_has_are_refused_before_openslide_reads_them(
    mrxs: Path, old: str, new: str
) -> None:
    with pytest.raises(UnreadableSlideError):
        find_set(changed(mrxs, old, new))


@pytest.mark.parametrize("count", ["2147483647", "-1", "0x2", "65536", ""])
@pytest.mark.parametrize("key", ["NoJpegColumns=2", "NoJpegRows=1", "NoLayers=1"])
def test_vms_that_claims_impossible_numbers_of_pictures_is_refused(
    tmp_path: Path, key: str, count: str
) -> None:
    index = write_vms(tmp_path / "b.vms", squares())
    text = index.read_text()
    assert key in text
    index.write_text(text.replace(key, f"{key.split('=', maxsplit=1)[0]}={count}"))
    with pytest.raises(UnreadableSlideError):
        find_set(index)


@pytest.mark.parametrize(
    ("old", "new"),
    [("BitsPerPixel=36", "BitsPerPixel=24"), ("PixelOrder=RGB", "PixelOrder=BGR"), ("PixelOrder=RGB", "x")],
)
def test_vmu_of_other_pixels_is_refused_because_openslide_crashes(tmp_path: Path, old: str, new: str) -> None:
    index = write_vmu(tmp_path / "c.vmu", squares())
    assert len(find_set(index).companions) == 2
    index.write_text(index.read_text().replace(old, new))
    with pytest.raises(UnreadableSlideError, match="36 bits of RGB"):
        find_set(index)


def test_links_are_refused_wherever_a_file_of_the_slide_lies(tmp_path: Path, mrxs: Path) -> None:
    (tmp_path / "secret").write_bytes(b"another patient's")
    data = mrxs.with_suffix("") / "Data0001.dat"
    data.unlink()
    data.symlink_to(tmp_path / "secret")
    with pytest.raises(UnreadableSlideError, match=r"^a/Data0001\.dat is a link"):
        find_set(mrxs)
    index = vms(tmp_path)
    (tmp_path / "b2.jpg").unlink()
    os.mkfifo(tmp_path / "b2.jpg")
    with pytest.raises(UnreadableSlideError, match="is a link or no file"):
        find_set(index)
    folder = write_mrxs(tmp_path / "d.mrxs", squares()).with_suffix("")
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnreadableSlideError, match=r"^d is a link"):
        find_set(tmp_path / "d.mrxs")


def test_slide_of_too_many_files_or_too_large_an_index_is_refused(
    tmp_path: Path, mrxs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b.vms").write_bytes(b"[Virtual Microscope Specimen]\n" + b"#" * MAX_BYTES)
    with pytest.raises(UnreadableSlideError, match="too large"):
        find_set(tmp_path / "b.vms")
    monkeypatch.setattr(file_set, "MAX_FILES", 5)
    with pytest.raises(UnreadableSlideError):
        find_set(mrxs)


def test_file_that_two_slides_name_belongs_to_neither(tmp_path: Path) -> None:
    first = vms(tmp_path)
    second = tmp_path / "c.vms"
    second.write_bytes(first.read_bytes())
    for index, other in ((first, "c.vms"), (second, "b.vms")):
        with pytest.raises(UnreadableSlideError, match=f"is named by {other}"):
            find_set(index)


def test_companions_are_told_apart_from_slides_of_their_own(tmp_path: Path, mrxs: Path) -> None:
    vms(tmp_path, MacroImage="b_macro.jpg")
    (tmp_path / "own.jpg").write_bytes(b"x")
    names = [path.name for path in tmp_path.iterdir()]
    assert companions_in(tmp_path, names) == {"a", "b.jpg", "b2.jpg", "b_map.jpg", "b_macro.jpg"}
    assert (owner_of(tmp_path / "b_macro.jpg"), owner_of(tmp_path / "own.jpg")) == ("b.vms", None)
    assert owner_of(mrxs) is None


@given(st.text(max_size=200))
@settings(max_examples=200)
def test_key_files_of_any_text_are_read_as_groups_of_values(text: str) -> None:
    for group in parse_key_file(text).values():
        assert all("=" not in key for key in group)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_whole_numbers_are_those_up_to_the_most(number: int, most: int) -> None:
    assert whole_number(str(number), most) == (number if number <= most else None)
    assert whole_number(f"-{number + 1}", most) is None
