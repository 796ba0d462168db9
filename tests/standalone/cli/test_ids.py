"""``vsv ids``: what texts would become, without a change to anything."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from vsv.barcodes.reader import Barcode

from tests.support.slides.aperio import LIBRARY, Plan, write_slide
from vsv_local.cli.main import main


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
        "vsv_local.cli.ids.read_label", lambda _image: Barcode("01234567890128", "QR", "test")
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


def test_ids_without_an_action_or_a_text_is_refused() -> None:
    assert CliRunner().invoke(main, ["ids", "S26-04170-C1"]).exit_code == 2
    assert run().exit_code == 2
