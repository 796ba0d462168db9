"""The scanner's script and slides of several files: all of them go once the server has all of them, and else none."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scanner.test_import_slide_script import run_until
from tests.standalone.server.test_watched_sets import settled
from tests.support.servers.running import files_below, server, wait_until
from tests.support.servers.scanner_script import Conversation, Reply, Workstation, erratic, sha256
from tests.support.slides.hamamatsu import write_vms
from tests.support.slides.mrxs import write_mrxs
from tests.support.slides.squares import squares

OPTIONS = ("--extension", "mrxs", "vms")


@pytest.fixture
def station(tmp_path: Path) -> Workstation:
    (tmp_path / "scans").mkdir()
    return Workstation(tmp_path / "scans", tmp_path / "state", options=OPTIONS)


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Workstation]:
    folder = tmp_path / "scans"
    folder.mkdir()
    with server(tmp_path / "data", "--watch", str(folder)) as running:
        yield Workstation(folder, tmp_path / "state", f"http://127.0.0.1:{running.port}/ImportSlide", OPTIONS)


def listing(*paths: Path) -> list[dict[str, Any]]:
    """Return the files of a folder as the server lists them."""
    folder = paths[0].parent
    files = [path for path in paths if path.is_file()]
    files += [file for path in paths if path.is_dir() for file in path.iterdir()]
    names = [(file.relative_to(folder).as_posix(), file.read_bytes()) for file in files]
    return [{"name": name, "size": len(content), "sha256": sha256(content)} for name, content in names]


def confirms(files: object) -> Reply:
    """Return a reply that confirms the file with this list."""

    def reply(conversation: Conversation) -> None:
        conversation.answer(200, {**conversation.asked.json(), "files": files})

    return reply


@pytest.mark.parametrize("write", [write_mrxs, write_vms])
def test_all_files_go_once_the_server_has_them(real: Workstation, tmp_path: Path, write: Any) -> None:
    index = write(real.folder / ("a.mrxs" if write is write_mrxs else "b.vms"), squares())
    settled(real.folder)
    sent = files_below(real.folder)
    run_until(real, "deleted", index.name)
    assert real.names() == []
    (stored,) = (tmp_path / "data/slides").glob("*/set")
    kept = files_below(stored)
    del kept["files.json"]
    assert kept == sent


def test_deletion_that_was_stopped_is_continued(real: Workstation, tmp_path: Path) -> None:
    index = write_mrxs(real.folder / "a.mrxs", squares())
    settled(real.folder)
    wait_until(lambda: list((tmp_path / "data").glob("slides/*/pyramid.tif")), "the server has it")
    for name in ("Data0000.dat", "Slidedat.ini"):
        (index.with_suffix("") / name).unlink()
    run_until(real, "deleted", "a.mrxs")
    assert real.names() == []


def test_file_that_differs_from_the_servers_keeps_all(station: Workstation) -> None:
    index = write_mrxs(station.folder / "a.mrxs", squares())
    files = listing(index, index.with_suffix(""))
    data = index.with_suffix("") / "Data0001.dat"
    data.write_bytes(data.read_bytes()[:-1] + b"x")
    settled(station.folder)
    before = files_below(station.folder)
    with erratic(confirms(files)) as running:
        assert station.run(url=running.url) == {"a.mrxs": "changed"}
    assert files_below(station.folder) == before


@pytest.mark.parametrize(
    "name", ["../o.svs", "/o.svs", "a/../../o.svs", "..", "a//o", "a/b/o", "a\\o", "", None, 5, "x.svs\0"]
)
def test_hostile_list_deletes_nothing(station: Workstation, tmp_path: Path, name: object) -> None:
    index = write_mrxs(station.folder / "a.mrxs", squares())
    outside = tmp_path / "o.svs"
    outside.write_bytes(b"another")
    settled(tmp_path)
    before = files_below(tmp_path / "scans")
    files = [*listing(index), {"name": name, "size": 7, "sha256": sha256(b"another")}]
    with erratic(confirms(files)) as running:
        assert station.run(url=running.url) == {"a.mrxs": "changed"}
    assert (files_below(station.folder), outside.read_bytes()) == (before, b"another")


@pytest.mark.parametrize("files", [[], {}, 5, "a.mrxs", [None], [["a.mrxs"]], [{"name": "a.mrxs"}]])
def test_malformed_list_deletes_nothing(station: Workstation, files: object) -> None:
    write_mrxs(station.folder / "a.mrxs", squares())
    before = files_below(settled(station.folder))
    with erratic(confirms(files)) as running:
        assert station.run(url=running.url) == {"a.mrxs": "changed"}
    assert files_below(station.folder) == before


def test_folder_with_a_file_of_others_stays_with_it(station: Workstation) -> None:
    index = write_mrxs(station.folder / "a.mrxs", squares())
    files = listing(index, index.with_suffix(""))
    (index.with_suffix("") / "notes.txt").write_text("mine")
    settled(station.folder)
    with erratic(confirms(files)) as running:
        assert station.run(url=running.url) == {"a.mrxs": "deleted"}
    assert list(files_below(station.folder)) == ["a/notes.txt"]


def test_linked_folder_is_left_alone(station: Workstation, tmp_path: Path) -> None:
    index = write_mrxs(station.folder / "a.mrxs", squares())
    files = listing(index, index.with_suffix(""))
    shutil.move(index.with_suffix(""), tmp_path / "elsewhere")
    index.with_suffix("").symlink_to(tmp_path / "elsewhere")
    settled(tmp_path)
    with erratic(confirms(files)) as running:
        assert station.run(url=running.url) == {"a.mrxs": "changed"}
    assert len(files_below(tmp_path / "elsewhere")) == 5
