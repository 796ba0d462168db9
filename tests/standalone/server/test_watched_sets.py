"""Slides of several files in watched folders and in ``vsv import``: posted once, whole, and without their parts."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from vsv.records.models import ImportState

from tests.standalone.cli.test_bulk import names, vsv
from tests.standalone.server.test_watcher import Clock, Watched
from tests.support.servers.running import running_site, server, wait_until
from tests.support.slides.hamamatsu import write_vms
from tests.support.slides.mrxs import write_mrxs
from tests.support.slides.small import OLD
from tests.support.slides.squares import squares
from vsv_local.ingest import watcher
from vsv_local.ingest.watcher import QUIET_SECONDS


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(watcher, "time", clock)
    yield clock


def settled(folder: Path) -> Path:
    """Make all files of a folder old."""
    for path in folder.rglob("*"):
        os.utime(path, ns=(OLD, OLD))
    return folder


def test_watcher_posts_the_index_alone_and_only_once(tmp_path: Path, clock: Clock) -> None:
    vms = write_vms(tmp_path / "b.vms", squares(), macro=Image.new("RGB", (64, 64)))
    mrxs = write_mrxs(tmp_path / "a.mrxs", squares())
    watched = Watched(settled(tmp_path))
    for _ in range(3):
        watched.poll()
        clock.advance(2)
    assert watched.posted == [("a.mrxs", mrxs.stat().st_size), ("b.vms", vms.stat().st_size)]


def test_watcher_waits_for_a_missing_file_and_names_it(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    index = write_mrxs(tmp_path / "a.mrxs", squares())
    last = index.with_suffix("") / "Data0002.dat"
    content = last.read_bytes()
    last.unlink()
    watched = Watched(settled(tmp_path))
    for _ in range(5):
        watched.poll()
        clock.advance(QUIET_SECONDS)
    assert watched.posted == []
    assert [record.message for record in caplog.records] == [
        "a.mrxs waits: a/Data0002.dat is missing: it is still being copied, or was left behind"
    ]
    for size in (1, len(content) // 2, len(content)):
        last.write_bytes(content[:size])
        os.utime(last, ns=(int(clock.wall * 1e9),) * 2)
        watched.poll()
        clock.advance(QUIET_SECONDS - 0.5)
    assert watched.posted == []
    watched.poll()
    clock.advance(QUIET_SECONDS)
    watched.poll()
    assert watched.posted == [("a.mrxs", index.stat().st_size)]


def test_bulk_import_finds_each_set_once_and_no_part_of_it(tmp_path: Path) -> None:
    write_vms(tmp_path / "in/b.vms", squares(), macro=Image.new("RGB", (64, 64)))
    index = write_mrxs(tmp_path / "in/c/a.mrxs", squares())
    Image.new("RGB", (8, 8)).save(tmp_path / "in/own.jpg")
    Image.new("RGB", (8, 8)).save(index.with_suffix("") / "Preview.jpg")
    expected = [("b.vms", True), ("a.mrxs", True), ("own.jpg", True)]
    assert names([tmp_path / "in"], tmp_path / "data") == expected
    result = vsv(tmp_path, "import", tmp_path / "in")
    assert result.exit_code == 0, result.output
    with running_site(tmp_path) as site:
        assert {record.filename for record in site.records()} == {name for name, _ in expected}
        assert {site.state(name) for name, _ in expected} == {ImportState.READY}


def test_bulk_import_of_an_incomplete_set_fails_and_names_the_missing_file(tmp_path: Path) -> None:
    index = write_vms(tmp_path / "in/b.vms", squares())
    (tmp_path / "in/b(1,0).jpg").unlink()
    result = vsv(tmp_path, "import", index)
    assert result.exit_code != 0
    assert "b(1,0).jpg is missing" in result.output


def test_bulk_import_takes_the_folder_of_an_mrxs_for_its_slide_and_names_a_missing_index(
    tmp_path: Path,
) -> None:
    index = write_mrxs(tmp_path / "in/a.mrxs", squares())
    assert names([index.with_suffix("")], tmp_path / "data") == [("a.mrxs", True)]
    index.unlink()
    for path in (tmp_path / "in", tmp_path / "in/a"):
        result = vsv(tmp_path, "import", path)
        assert result.exit_code != 0
        assert "a.mrxs" in result.output


def test_dicom_files_are_named_and_not_imported(tmp_path: Path) -> None:
    (tmp_path / "in/series").mkdir(parents=True)
    for number in range(3):
        (tmp_path / f"in/series/{number}.dcm").write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / "in/1.2.840.1").write_bytes(b"\0" * 128 + b"DICM")
    for path in ("in/series/0.dcm", "in/series", "in"):
        result = vsv(tmp_path, "import", tmp_path / path)
        assert result.exit_code != 0
        assert "DICOM slides are not imported yet" in result.output


def test_watcher_names_a_folder_of_dicom_files_once(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "series").mkdir()
    (tmp_path / "series/IM0").write_bytes(b"\0" * 128 + b"DICM")
    watched = Watched(tmp_path)
    for _ in range(3):
        watched.poll()
        clock.advance(QUIET_SECONDS)
    assert [record.message for record in caplog.records] == [
        "series: DICOM slides are not imported yet: convert it to one file, for example to OME-TIFF or .svs"
    ]
    assert watched.posted == []


def test_server_imports_a_set_from_its_watched_folder(tmp_path: Path) -> None:
    scanner = tmp_path / "scanner"
    write_mrxs(scanner / "a.mrxs", squares())
    before = sorted(path.name for path in settled(scanner).rglob("*"))
    with server(tmp_path / "data", "--watch", str(scanner)) as running:
        wait_until(lambda: list((tmp_path / "data").glob("slides/*/pyramid.tif")), "it is ready")
        (slide,) = (tmp_path / "data/slides").iterdir()
        assert running.ask(f"/DeepZoom/{slide.name}_files/10/0_0.jpeg").status == 200
    assert sorted(path.name for path in scanner.rglob("*")) == before
    shutil.rmtree(scanner)
    assert sorted(path.name for path in (slide / "set/a").iterdir())[0] == "Data0000.dat"
