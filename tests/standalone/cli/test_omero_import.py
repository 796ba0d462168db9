"""What is written for OMERO, read as its own programs read it: YAML by PyYAML, tables by Python's csv."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from vsv.aws.dynamodb.slides_and_imports import DynamoSlideStore
from vsv.errors import BadRequestError
from vsv.records.models import SlideRecord, Status
from vsv.workflow.transitions import change

from tests.support.aws.dynamo_tables import create_tables, mocked_dynamodb
from tests.support.servers.running import Site, running_site
from tests.support.slides.small import other_scan, slide_bytes
from vsv_local.cli.main import main
from vsv_local.cli.options import OPERATOR
from vsv_local.export.omero_import import MAX_NAME, ImportOptions, _plain, _unfit, write_import

WANTED = ImportOptions(folder="/OMERO/vsv", project="Slides")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path) as running:
        running.bring("a.svs", slide_bytes("1"))
        running.bring("b.svs", slide_bytes("2"))
        name(running, "1", slide_id="S26-7-A1", case_id="S26-7")
        name(running, "2", slide_id="S26-7-A2", case_id="S26-7", note="call Mrs Miller")
        yield running


def name(running: Site, image_id: str, **fields: Any) -> None:
    """Store other values for a slide than its label has."""
    record = running.services.slides.get(image_id)
    assert record is not None
    running.services.slides.remove(image_id)
    running.services.slides.put_new(replace(record, **fields))


def imports(folder: Path) -> list[tuple[str, str, str]]:
    """Read the rows as omero-py's plugins/import.py does, in the order of bulk.yml's columns."""
    bulk = yaml.safe_load((folder / "bulk.yml").read_text())
    assert bulk["columns"] == ["target", "name", "path"]
    with (folder / bulk["path"]).open() as file:
        return [(row[0], row[1], row[2]) for row in csv.reader(file, delimiter="\t")]


def values(folder: Path) -> list[dict[str, str]]:
    """Read the table as omero-metadata does: types first, then names."""
    with (folder / "slides.csv").open(newline="") as file:
        types = file.readline()
        rows = list(csv.DictReader(file))
    assert types.startswith("# header s,s")
    return rows


def test_bulk_file_has_the_keys_and_rows_that_omero_reads(site: Site, tmp_path: Path) -> None:
    write_import(site.services, tmp_path / "o", WANTED)
    assert yaml.safe_load((tmp_path / "o/bulk.yml").read_text()) == {
        "path": "slides.tsv", "columns": ["target", "name", "path"], "transfer": "ln_s", "exclude": "clientpath",
        "checksum_algorithm": "File-Size-64", "continue": True,
    }  # fmt: skip
    assert imports(tmp_path / "o") == [
        ("Project:name:Slides/Dataset:name:S26-7", "S26-7-A1", "/OMERO/vsv/slides/1/slide.svs"),
        ("Project:name:Slides/Dataset:name:S26-7", "S26-7-A2", "/OMERO/vsv/slides/2/slide.svs"),
    ]


def test_table_lists_image_fields_and_notes_only_when_requested(site: Site, tmp_path: Path) -> None:
    write_import(site.services, tmp_path / "o", WANTED)
    first, second = values(tmp_path / "o")
    assert first.items() >= {
        "Image Name": "S26-7-A1", "Dataset Name": "S26-7", "ImageID": "1", "CaseID": "S26-7", "AppMag": "20",
        "MPP": "0.499", "Status": "NEW", "ScanDate": "2009-12-29T09:59:15",
    }.items()  # fmt: skip
    assert "Note" not in second
    assert "Miller" not in "".join(path.read_text() for path in (tmp_path / "o").iterdir())
    keys = yaml.safe_load((tmp_path / "o/keys.yml").read_text())
    assert [column["name"] for column in keys["columns"]] == list(first)[2:]
    assert all(column["include"] is True for column in keys["columns"])
    write_import(site.services, tmp_path / "o", replace(WANTED, with_notes=True))
    assert values(tmp_path / "o")[1]["Note"] == "call Mrs Miller"


def test_image_name_has_the_suffix_only_for_a_file_with_a_label(site: Site, tmp_path: Path) -> None:
    site.services.files.associated("1", "label").write_bytes(b"x")
    write_import(site.services, tmp_path / "o", replace(WANTED, suffix=" [main]"))
    assert [row["Image Name"] for row in values(tmp_path / "o")] == ["S26-7-A1 [main]", "S26-7-A2"]


def test_deleted_archived_and_foreign_slides_are_left_out_and_reported(site: Site, tmp_path: Path) -> None:
    write_import(site.services, tmp_path / "o", WANTED)
    site.bring("c.ndpi", slide_bytes("3"))
    change(site.services, "1", {"status": Status.DELETED}, OPERATOR)
    site.services.slides.update("2", {"original": "ARCHIVED"}, by="test")
    report = write_import(site.services, tmp_path / "o", WANTED)
    assert (report.written, report.gone, imports(tmp_path / "o")) == (0, 2, [])
    assert {why.split(",")[0].split(":")[0] for why in report.left_out} == {
        "deleted",
        "archived",
        "no Aperio file",
    }
    gone = (tmp_path / "o/gone.csv").read_text()
    assert "1,S26-7,S26-7-A1,deleted" in gone


def test_status_and_case_filters_select_slides(site: Site, tmp_path: Path) -> None:
    site.services.slides.update("2", {"status": Status.GOOD}, by="test")
    assert write_import(site.services, tmp_path / "o", replace(WANTED, status=Status.GOOD)).written == 1
    assert write_import(site.services, tmp_path / "o", replace(WANTED, case_id="S26-7")).written == 2
    assert write_import(site.services, tmp_path / "o", replace(WANTED, case_id="other")).written == 0


def test_repeated_export_is_identical_and_new_only_writes_only_new_slides(site: Site, tmp_path: Path) -> None:
    write_import(site.services, tmp_path / "o", WANTED)
    before = {path.name: path.read_bytes() for path in (tmp_path / "o").iterdir()}
    write_import(site.services, tmp_path / "o", WANTED)
    assert {path.name: path.read_bytes() for path in (tmp_path / "o").iterdir()} == before
    site.bring("c.svs", other_scan(slide_bytes("0")))
    name(site, "0", slide_id="S26-7-A1", case_id="S26-7")
    new_only = replace(WANTED, new_only=True)
    report = write_import(site.services, tmp_path / "o", new_only)
    assert (report.written, report.known) == (1, 2)
    assert imports(tmp_path / "o")[0][1] == "S26-7-A1 (0)"  # the name is taken, though this slide comes first
    assert write_import(site.services, tmp_path / "o", new_only).written == 0
    write_import(site.services, tmp_path / "o", WANTED)
    assert [row[1] for row in imports(tmp_path / "o")] == ["S26-7-A1 (0)", "S26-7-A1", "S26-7-A2"]


HOSTILE = [
    'quo"te', "'single'", "a,b;c", "Dataset:name:evil", "@name:x", "- item", "{a: b}", "!!python/object", "#",
    "&a *a",     "%x", "é ü 日本", "=1+1", "-rf", "S26/12", "\\", "null", "yes", "x: y", "|",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_written_unchanged(site: Site, tmp_path: Path, text: str) -> None:
    name(site, "1", slide_id=text, case_id=text)
    write_import(site.services, tmp_path / "o", WANTED)
    assert imports(tmp_path / "o")[0] == (
        f"Project:name:Slides/Dataset:name:{text}", text, "/OMERO/vsv/slides/1/slide.svs",
    )  # fmt: skip
    assert (values(tmp_path / "o")[0]["Image Name"], values(tmp_path / "o")[0]["Dataset Name"]) == (
        text,
        text,
    )
    assert len(imports(tmp_path / "o")) == len(values(tmp_path / "o")) == 2


@pytest.mark.parametrize(
    "text", ["a\tb", "a\nb", "a\r", "\x1b[2J", "a\u2028b", "x/Dataset:name:y", "x" * (MAX_NAME + 1)]
)
def test_slides_with_unwritable_names_are_left_out(site: Site, tmp_path: Path, text: str) -> None:
    name(site, "1", case_id=f"x{text}x")
    report = write_import(site.services, tmp_path / "o", WANTED)
    assert (report.written, sum(report.left_out.values())) == (1, 1)
    assert [row[1] for row in imports(tmp_path / "o")] == ["S26-7-A2"]


@given(st.text())
def test_accepted_text_fits_a_single_field_and_line(text: str) -> None:
    if _unfit(text) is None:
        assert len(text.splitlines()) <= 1 and "\t" not in text
    assert len(_plain(text).splitlines()) <= 1


@pytest.mark.parametrize(
    "wrong",
    [{"project": ""}, {"project": "a\nb"}, {"project": "x/Dataset:y"}, {"folder": "here"}, {"suffix": "\n"}],
)
def test_invalid_options_are_refused_before_any_file_is_written(
    site: Site, tmp_path: Path, wrong: dict[str, str]
) -> None:
    with pytest.raises(BadRequestError):
        write_import(site.services, tmp_path / "o", replace(WANTED, **wrong))  # type: ignore[arg-type]
    assert not (tmp_path / "o").exists()


def test_command_skips_originals_in_place_and_reports_unwritable_files(tmp_path: Path) -> None:
    with running_site(tmp_path, in_place=True) as running:
        running.bring()
        record: SlideRecord | None = running.services.slides.get("1004486")
        assert record is not None
    arguments = ["omero-import", str(tmp_path / "o"), "--data", str(tmp_path / "data"), "--status", "new"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0
    assert "0 slides to register\n1 skipped: in place" in result.output
    (tmp_path / "o/slides.tsv").unlink()
    (tmp_path / "o/slides.tsv").mkdir()
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, result.output.startswith("Error: the files could not be written")) == (1, True)


def test_command_with_aws_option_reads_the_records_of_a_stack(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSV_SLIDES_TABLE", "slides")
    monkeypatch.setenv("VSV_REVIEW_TABLE", "slides-review")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    arguments = ["omero-import", str(tmp_path / "o"), "--aws", "--data", str(tmp_path / "data")]
    with mocked_dynamodb() as client:
        create_tables(client, "slides", "imports")
        for record in site.records():
            DynamoSlideStore("slides", client).put_new(replace(record, case_id="of the table"))
        result = CliRunner().invoke(main, [*arguments, "--omero-data", "/vsv"])
    assert (result.exit_code, result.output) == (0, "2 slides to register\n")
    assert imports(tmp_path / "o")[0] == (
        "Project:name:Slides/Dataset:name:of the table", "S26-7-A1", "/vsv/slides/1/slide.svs",
    )  # fmt: skip
    monkeypatch.delenv("VSV_SLIDES_TABLE")
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, "VSV_SLIDES_TABLE" in result.output) == (1, True)
