"""Numbers for slides: the same for ever, never two slides', and found without a database."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vsv.errors import InvalidNameError, SlideNotFoundError, UnavailableError
from vsv.identifiers import is_image_id
from vsv.storage import numeric_ids
from vsv.storage.numeric_ids import END, FIRST_GIVEN, NumericIds, assign_number, candidates, parse_number
from vsv.storage.slide_files import SlideFiles

from tests.support.servers.running import Site
from tests.support.slides.small import slide_bytes

IMAGE_IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True).filter(is_image_id)


@pytest.fixture
def files(tmp_path: Path) -> SlideFiles:
    found = SlideFiles(tmp_path)
    found.prepare()
    return found


@pytest.mark.parametrize("image_id", ["0", "7", "1004486", "999999999999999"])
def test_assign_number_returns_plain_numeric_id_itself(files: SlideFiles, image_id: str) -> None:
    assert assign_number(files, image_id) == int(image_id)
    assert not (files.root / "numbers").exists()
    assert NumericIds(files).image_id(int(image_id)) == image_id


@pytest.mark.parametrize(
    "image_id", ["0012", "00", "1000000000000000", "9007199254740991", "S1a", "12a", "1e3", "1.5"]
)
def test_assign_number_returns_reserved_range_number_for_other_ids(files: SlideFiles, image_id: str) -> None:
    number = assign_number(files, image_id)
    assert FIRST_GIVEN <= number < END
    assert float(number) == number
    assert assign_number(files, image_id) == number
    assert NumericIds(files).image_id(number) == image_id


def test_candidates_are_the_same_in_every_installation() -> None:
    """Golden values: links to slides are kept elsewhere."""
    found = [next(candidates(image_id)) for image_id in ("0012", "S17-a")]
    assert found == [8923959914195659, 6475100637032751]


@given(IMAGE_IDS, IMAGE_IDS)
def test_candidates_differ_between_slides(one: str, other: str) -> None:
    assert one == other or next(candidates(one)) != next(candidates(other))


def test_assign_number_skips_number_of_another_slide(
    files: SlideFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numeric_ids, "candidates", lambda _: iter((FIRST_GIVEN, FIRST_GIVEN + 1)))
    assert [assign_number(files, image_id) for image_id in ("a", "b", "a", "b")] == [
        FIRST_GIVEN, FIRST_GIVEN + 1, FIRST_GIVEN, FIRST_GIVEN + 1,
    ]  # fmt: skip
    found = NumericIds(files)
    assert [found.image_id(FIRST_GIVEN), found.image_id(FIRST_GIVEN + 1)] == ["a", "b"]
    with pytest.raises(UnavailableError):
        assign_number(files, "c")


@pytest.mark.parametrize("left", [b"", b"S1", b"S1a", b"../../etc\n", b"\xff\n"])
def test_assign_number_repairs_partly_written_note(files: SlideFiles, left: bytes) -> None:
    path = files.number(next(candidates("S1a")))
    path.parent.mkdir()
    path.write_bytes(left)
    with pytest.raises(SlideNotFoundError):
        NumericIds(files).image_id(int(path.name))
    assert assign_number(files, "S1a") == int(path.name)
    assert NumericIds(files).image_id(int(path.name)) == "S1a"


class TestSlidesWithoutStoredNumber:
    def test_slides_are_found_and_their_number_is_stored(self, files: SlideFiles) -> None:
        for image_id in ("S1a", "S2b", "12"):
            files.folder(image_id).mkdir()
        number = next(candidates("S2b"))
        assert NumericIds(files).image_id(number) == "S2b"
        assert files.number(number).read_text() == "S2b\n"

    def test_folder_is_scanned_at_most_once_a_minute(
        self, files: SlideFiles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = 1000.0
        monkeypatch.setattr(numeric_ids.time, "monotonic", lambda: now)
        found, number = NumericIds(files), next(candidates("S1a"))
        with pytest.raises(SlideNotFoundError):
            found.image_id(number)
        files.folder("S1a").mkdir()
        with pytest.raises(SlideNotFoundError):
            found.image_id(number)
        now += numeric_ids.SCAN_SECONDS
        assert found.image_id(number) == "S1a"

    def test_slides_are_found_in_read_only_data_folder(
        self, files: SlideFiles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> str:
            raise PermissionError

        files.folder("S1a").mkdir()
        monkeypatch.setattr(numeric_ids, "claim", refuse)
        assert NumericIds(files).image_id(next(candidates("S1a"))) == "S1a"


def test_numeric_ids_cache_found_ids(files: SlideFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    number = assign_number(files, "S1a")
    found = NumericIds(files)
    assert found.image_id(number) == "S1a"
    monkeypatch.setattr(numeric_ids, "read_owner", None)
    assert found.image_id(number) == "S1a"


def test_numeric_ids_cache_is_bounded(files: SlideFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numeric_ids, "MAX_CACHED", 2)
    found = NumericIds(files)
    for image_id in ("a", "b", "c"):
        found.image_id(assign_number(files, image_id))
    assert list(found._cached.values()) == ["b", "c"]


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "0012", "00", "1.0", "9007199254740992", "1" * 17, "\u0661", "1\n"]
)
def test_parse_number_refuses_texts_that_are_not_canonical_numbers(text: str) -> None:
    with pytest.raises(InvalidNameError):
        parse_number(text)


def test_import_stores_the_number_of_the_slide(site: Site) -> None:
    content = slide_bytes("")
    site.bring("a.svs", content)
    site.finish()
    (record,) = site.services.slides.list_all().items
    number = next(candidates(record.image_id))
    assert number >= FIRST_GIVEN
    assert site.services.files.number(number).read_text() == f"{record.image_id}\n"
