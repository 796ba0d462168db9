"""Backups of slides of several files: whole, checked file by file, and restored whole."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.standalone.test_backup import backed_up, contents, vsv
from tests.support.servers.running import files_below, running_site, settle
from tests.support.slides.mrxs import write_mrxs
from tests.support.slides.squares import squares


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Path]:
    with running_site(tmp_path) as site:
        assert settle(site, write_mrxs(site.scanner / "a.mrxs", squares())) == 200
    yield tmp_path


def set_of(folder: Path) -> Path:
    (found,) = (folder / "data/slides").glob("*/set")
    return found


def test_restored_set_has_every_file_and_is_shown(filled: Path) -> None:
    before = contents(filled / "data")
    assert backed_up(filled)["troubles"] == {}
    shutil.rmtree(filled / "data")
    assert vsv(filled, "restore", filled / "backup").exit_code == 0
    assert contents(filled / "data") == before
    with running_site(filled) as site:
        (record,) = site.records()
        assert site.services.slide_cache.slide(record.image_id).reader.check() == (1024, 1024)


@pytest.mark.parametrize("fault", ["missing", "changed"])
def test_backup_reports_a_lost_or_changed_file_of_a_set_and_keeps_the_good_one(
    filled: Path, fault: str
) -> None:
    backed_up(filled)
    data = set_of(filled) / "a/Data0001.dat"
    good = data.read_bytes()
    data.unlink()
    if fault == "changed":
        data.write_bytes(b"x" * len(good))
    for _ in range(2):
        report = vsv(filled, "backup", filled / "backup")
        assert "1 of its 6 files are missing or not what was imported any more" in report.output
        assert "keeps 1 good one" in report.output
    image_id = set_of(filled).parent.name
    result = vsv(filled, "restore", filled / "backup", "--only", image_id)
    assert result.exit_code == 0, result.output
    assert data.read_bytes() == good
    assert backed_up(filled)["troubles"] == {}
    assert "files.json" in files_below(set_of(filled))
