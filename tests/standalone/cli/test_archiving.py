"""``vsv archive`` and ``vsv unarchive``: originals go and come back at the command line."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from vsv.records.models import Status
from vsv.storage.slide_files import OPENED

from tests.support.servers.archive_site import record
from tests.support.servers.running import running_site
from tests.support.slides.small import slide_bytes
from vsv_local.cli.main import main

ID = "1004486"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with running_site(tmp_path) as site:
        site.bring("a.svs", slide_bytes())
        site.services.slides.update(ID, {"status": Status.GOOD}, by="test")
    return tmp_path / "data"


def vsv(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--data", str(data)])


def test_archive_and_unarchive_move_the_original_out_and_back(data: Path, tmp_path: Path) -> None:
    result = vsv(data, "archive", ID)
    assert (result.exit_code, result.output) == (0, f"Slide {ID} is archived (0.3 MB)\n")
    assert not (data / "slides" / ID / "slide.svs").exists()
    assert (data / "archive" / ID / "slide.svs").read_bytes() == slide_bytes()
    result = vsv(data, "unarchive", ID)
    assert (result.exit_code, result.output) == (0, f"Slide {ID} is unarchived (0.3 MB)\n")
    with running_site(tmp_path) as site:
        assert site.services.files.slide(ID).read_bytes() == slide_bytes()
        assert record(site.services, ID).modified_by == "vsv"


def test_archive_folder_setting_is_used_once_the_folder_exists(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSV_ARCHIVE", str(tmp_path / "nas/archive"))
    result = vsv(data, "archive", ID)
    assert result.exit_code == 0
    assert "mounted" in result.output
    (tmp_path / "nas/archive").mkdir(parents=True)
    assert vsv(data, "run-jobs").exit_code == 0
    assert "archived" in vsv(data, "archive", ID).output
    assert (tmp_path / "nas/archive" / ID / "slide.svs").exists()


def test_archive_continues_with_other_slides_after_a_failure(data: Path) -> None:
    result = vsv(data, "archive", "no-such-slide", ID)
    assert result.exit_code == 1
    assert "Slide not found" in result.output
    assert f"Slide {ID} is archived" in result.output
    assert vsv(data, "unarchive", ID).exit_code == 0
    result = vsv(data, "unarchive", ID)
    assert (result.exit_code, "is not archived" in result.output) == (1, True)


def test_archive_idle_archives_only_slides_not_opened_for_long(data: Path) -> None:
    opened = data / "slides" / ID / OPENED
    opened.touch()
    assert vsv(data, "archive", "--idle", "--dry-run").output == "0 to archive\n"
    os.utime(opened, (1e9, 1e9))
    assert vsv(data, "archive", "--idle", "--dry-run").output == f"{ID}\n1 to archive\n"
    assert vsv(data, "archive", "--idle").output == f"Slide {ID} is archived (0.3 MB)\n"
    assert vsv(data, "archive", "--idle").output == ""


def test_archive_requires_either_slide_names_or_idle(data: Path) -> None:
    assert vsv(data, "archive").exit_code == 2
    assert vsv(data, "archive", ID, "--idle").exit_code == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VSV_ARCHIVE_CLASS", "CHEAP"), ("VSV_ARCHIVE_AFTER_DAYS", "0"), ("VSV_ARCHIVE_AFTER_DAYS", "soon"),
        ("VSV_ARCHIVE", "s3://"),
    ],
)  # fmt: skip
def test_archive_refuses_invalid_settings_by_name(
    data: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    result = vsv(data, "archive", ID)
    assert result.exit_code == 1
    assert (name if value != "s3://" else "s3://bucket") in result.output
