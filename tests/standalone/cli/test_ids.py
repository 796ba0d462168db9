"""``vsv ids``: what texts would become, without a change to anything."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from vsv.barcodes.reader import Barcode
from vsv.workflow.transitions import Decider, change

from tests.support.slides.aperio import LIBRARY, Plan, write_slide
from tests.support.stores.store_records import slide as slide_record
from vsv_local.cli.main import main
from vsv_local.composition import standalone

TECHNICIAN = Decider("Ann", is_admin=False)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["ids", "--test", *map(str, arguments)])


def rows(*arguments: str | Path) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def slide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a slide whose label, tag and name differ."""
    monkeypatch.setattr(
        "vsv_local.cli.ids.read_codes", lambda _image, _fits: (Barcode("01234567890128", "QR", "test"),)
    )
    description = f"{LIBRARY}600x500 (240x240) JPEG/RGB Q=85|Barcode = S12-34567-A1"
    return write_slide(tmp_path / "S12_34567_A2.svs", Plan(600, 500, 240, description=description))


def test_ids_prints_what_each_text_would_become() -> None:
    result = run("S26-04170-C1-CD3", "20240102")
    assert (result.exit_code, result.output.splitlines()) == (
        0,
        [
            "text      S26-04170-C1-CD3: slide S26-04170-C1-CD3, case S26-04170, block C1, stain CD3",
            "text      20240102: ID not confirmed",
        ],
    )


def test_ids_of_a_slide_are_those_of_its_texts_in_order(slide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(row["source"], row["text"], row["case"], row["confirmed"]) for row in rows(slide)]
    assert found == [
        ("barcode", "01234567890128", "01234567890128", False),
        ("tag", "S12-34567-A1", "S12-34567", True),
        ("filename", "S12_34567_A2", "S12_34567", True),
    ]
    monkeypatch.setenv("VSV_ID_ORDER", "filename,tag")
    assert [row["source"] for row in rows(slide)] == ["filename", "tag"]


def test_ids_of_a_text_file_are_those_of_its_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("P21/77-A\n\n S26-04170-C1 \n", encoding="utf-8")
    monkeypatch.setenv("VSV_ID_PATTERN", "(?P<case>P[0-9/]+)-.*")
    assert [(row["text"], row["case"]) for row in rows(path)] == [
        ("P21/77-A", "P21/77"),
        ("S26-04170-C1", "S26-04170-C1"),
    ]


def test_ids_of_a_file_that_is_no_slide_are_those_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "S26-04170-C1.svs"
    path.write_bytes(b"no slide")
    assert "case S26-04170" in run(path).output


def test_ids_with_a_refused_pattern_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSV_ID_PATTERN", "(?P<case>(a+)+)b")
    result = run("a")
    assert result.exit_code == 1
    assert "VSV_ID_PATTERN must be a regular expression with the group `case`" in result.output


@pytest.mark.parametrize(
    "arguments", [["S26-04170-C1"], ["--test"], ["--apply", "S26-04170-C1"], ["--test", "--apply", "a"], []]
)
def test_ids_without_one_action_and_its_texts_is_refused(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, ["ids", *arguments]).exit_code == 2


class TestApply:
    """Slides as they were imported while the case was what precedes the last dash."""

    @pytest.fixture
    def data(self, tmp_path: Path) -> Path:
        with standalone(tmp_path / "data") as (services, _intake):
            for image_id, fields in {
                "1": {"barcode": "S23-12345;A1;1", "slide_id": "S23-12345;A1;1", "case_id": "S23"},
                "2": {"barcode": "S23-99999;B2;1", "slide_id": "S23-99999;B2;1", "case_id": "S23",
                      "published_as": "X-7"},
                "3": {"barcode": "LOT24-00123", "slide_id": "LOT24-00123", "case_id": "LOT24"},
                "4": {"barcode": "S23-12345-A2", "slide_id": "S23-12345-A2", "case_id": "S23-12345"},
                "5": {"barcode": "LOT24-00123", "slide_id": "LOT24-00123", "case_id": "LOT24"},
                "6": {"slide_id": "6", "case_id": "6"},
                "7": {"slide_id": "7", "case_id": "7", "tags": {"Barcode": "S12-34567-A1"}, "published_as": "X-8"},
            }.items():  # fmt: skip
                services.slides.put_new(slide_record(image_id, **fields))
            change(services, "5", {"slide_id": "typed-A", "case_id": "typed"}, TECHNICIAN)
        return tmp_path / "data"

    def apply(self, data: Path, *arguments: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(main, ["ids", "--apply", "--data", str(data), *arguments], input=answer)

    def stored(self, data: Path) -> dict[str, tuple[str | None, str | None, bool | None]]:
        with standalone(data) as (services, _intake):
            records = services.slides.list_all(100).items
            return {one.image_id: (one.slide_id, one.case_id, one.id_not_confirmed) for one in records}

    @pytest.mark.parametrize(("arguments", "answer"), [((), "n\n"), (("--json",), None)])
    def test_apply_that_is_not_confirmed_changes_nothing(
        self, data: Path, arguments: tuple[str, ...], answer: str | None
    ) -> None:
        before = self.stored(data)
        result = self.apply(data, *arguments, answer=answer)
        assert result.exit_code == 0
        assert "S23-12345" in result.stdout
        assert self.stored(data) == before

    @pytest.mark.parametrize(
        ("arguments", "answer"), [((), "y\n"), (("--yes",), None), (("--json", "--yes"), None)]
    )
    def test_apply_changes_all_ids_but_those_that_a_person_set(
        self, data: Path, arguments: tuple[str, ...], answer: str | None
    ) -> None:
        assert self.apply(data, *arguments, answer=answer).exit_code == 0
        assert self.stored(data) == {
            "1": ("S23-12345;A1;1", "S23-12345", None),
            "2": ("S23-99999;B2;1", "S23-99999", None),
            "3": ("3", "3", True),
            "4": ("S23-12345-A2", "S23-12345", None),
            "5": ("typed-A", "typed", None),
            "6": ("6", "6", True),
            "7": ("S12-34567-A1", "S12-34567", None),
        }
        with standalone(data) as (services, _intake):
            history = [(one.by, one.field, one.old, one.new) for one in services.slides.history("2").items]
        assert ("vsv ids", "CaseID", "S23", "S23-99999") in history

    def test_apply_twice_changes_nothing_the_second_time(self, data: Path) -> None:
        self.apply(data, "--yes")
        assert json.loads(self.apply(data, "--json").stdout) == []

    def test_apply_of_another_pattern_changes_ids_that_an_earlier_one_set(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.apply(data, "--yes")
        monkeypatch.setenv("VSV_ID_PATTERN", "(?P<case>S23)-.*")
        self.apply(data, "--yes")
        assert self.stored(data)["1"] == ("S23-12345;A1;1", "S23", None)
        assert self.stored(data)["5"] == ("typed-A", "typed", None)

    def test_apply_names_published_copies_whose_case_changes(self, data: Path) -> None:
        result = self.apply(data, "--yes")
        assert "X-7 is published: if its dates were shifted, it was by case S23." in result.stderr
        assert "X-8 is published: if its dates were shifted, it was by case 7." in result.stderr


def test_show_lists_the_texts_of_label_and_tag_and_says_that_they_differ(tmp_path: Path) -> None:
    candidates = {"S99-00001-A1": "Data Matrix", "S12-34567-B1": "tag"}
    with standalone(tmp_path) as (services, _intake):
        services.slides.put_new(slide_record("1", id_not_confirmed=True, id_candidates=candidates))
    output = CliRunner().invoke(main, ["show", "1", "--data", str(tmp_path)]).output
    assert "Data Matrix on the label S99-00001-A1" in " ".join(output.split())
    assert "scanner's tag S12-34567-B1" in " ".join(output.split())
    assert "The scanner's tag differs from the label." in output
    assert "not readable" not in output


def test_apply_takes_the_candidate_that_a_new_pattern_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSV_ID_PATTERN", "(?P<case>P[0-9]+)-[A-Z]")
    candidates = {"LOT123456": "QR", "P77-A": "Code 128"}
    with standalone(tmp_path) as (services, _intake):
        services.slides.put_new(
            slide_record("1", slide_id="1", case_id="1", id_not_confirmed=True, id_candidates=candidates)
        )
    assert CliRunner().invoke(main, ["ids", "--apply", "--yes", "--data", str(tmp_path)]).exit_code == 0
    with standalone(tmp_path) as (services, _intake):
        record = services.slides.get("1")
    assert record is not None
    assert (record.slide_id, record.case_id, record.barcode) == ("P77-A", "P77", "P77-A")
    assert (record.barcode_format, record.id_not_confirmed) == ("Code 128", None)


def test_apply_opens_a_slide_whose_tag_contradicts_its_label(tmp_path: Path) -> None:
    ids = {"slide_id": "S99-00001-A1", "case_id": "S99-00001", "barcode": "S99-00001-A1"}
    with standalone(tmp_path) as (services, _intake):
        services.slides.put_new(slide_record("1", **ids, tags={"Barcode": "S12-34567-B1"}))
    assert CliRunner().invoke(main, ["ids", "--apply", "--yes", "--data", str(tmp_path)]).exit_code == 0
    with standalone(tmp_path) as (services, _intake):
        record = services.slides.get("1")
    assert record is not None
    assert (record.case_id, record.id_not_confirmed, record.barcode) == ("1", True, "S99-00001-A1")
    assert set(record.id_candidates or {}) == {"S99-00001-A1", "S12-34567-B1"}


@pytest.mark.parametrize("by", ["import", "vsv"])
def test_apply_changes_ids_that_the_program_itself_has_set(tmp_path: Path, by: str) -> None:
    """As an import does of a file that was completed while its slide was being made."""
    with standalone(tmp_path) as (services, _intake):
        services.slides.put_new(slide_record("1", slide_id="1", case_id="1"))
        ids = {"barcode": "S23-12345;A1;1", "slide_id": "S23-12345;A1;1", "case_id": "S23"}
        services.slides.update("1", ids, by=by)
    assert CliRunner().invoke(main, ["ids", "--apply", "--yes", "--data", str(tmp_path)]).exit_code == 0
    with standalone(tmp_path) as (services, _intake):
        record = services.slides.get("1")
    assert record is not None
    assert record.case_id == "S23-12345"
