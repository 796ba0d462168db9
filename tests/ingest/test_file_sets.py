"""Slides of several files, from the scanner's folder to the viewer: MRXS, VMS and VMU, one slide each."""

import hashlib
import json
import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from openslide import OpenSlide
from PIL import Image
from serve_image.handler import lambda_handler as serve_image
from vsv.errors import ConflictError
from vsv.ingest.receive import retry
from vsv.lifecycle import job_runner, requests
from vsv.records.models import ImportState, JobState, Status
from vsv.storage import stored_set
from vsv.workflow.transitions import change

from tests.ingest.test_steps import Killed, Killer
from tests.support.servers.archive_site import ADMIN
from tests.support.servers.running import Site, files_below, running_site, settle, wait_until
from tests.support.slides.hamamatsu import write_vms, write_vmu
from tests.support.slides.mrxs import write_mrxs
from tests.support.slides.squares import squares
from vsv_local.server.api_gateway_events import http_event

Pixels = npt.NDArray[np.uint8]
WRITERS = {"a.mrxs": write_mrxs, "b.vms": write_vms, "c.vmu": write_vmu}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr("vsv_local.ingest.import_runner.RETRY_DELAYS_S", ())
    with running_site(tmp_path) as running:
        yield running


@pytest.mark.parametrize("name", WRITERS)
def test_set_is_stored_whole_and_confirmed_with_the_names_of_all_its_files(site: Site, name: str) -> None:
    path = WRITERS[name](site.scanner / name, squares())
    sent = files_below(site.scanner)
    assert settle(site, path) == 200
    status, answer = site.post(name, path.stat().st_size)
    (record,) = site.records()
    stored = files_below(site.services.files.folder(record.image_id) / "set")
    listing = stored.pop("files.json")
    assert stored == sent == files_below(site.scanner)
    assert {file["name"]: file["sha256"] for file in answer["files"]} == {
        name: hashlib.sha256(content).hexdigest() for name, content in sent.items()
    }
    assert json.loads(listing)["index"] == name
    assert (status, answer["filename"]) == (200, name)
    lines = "".join(f"{hashlib.sha256(sent[name]).hexdigest()}  {name}\n" for name in sorted(sent))
    assert record.checksum == f"set-{hashlib.sha256(lines.encode()).hexdigest()}"
    assert site.services.files.slide(record.image_id).read_bytes() == path.read_bytes()
    assert list((site.services.files.root / "incoming").iterdir()) == []
    assert list((site.services.files.root / "taken").iterdir()) == []


@pytest.mark.parametrize("name", WRITERS)
def test_tiles_of_a_set_are_openslides_pixels(site: Site, name: str) -> None:
    path = WRITERS[name](site.scanner / name, squares())
    settle(site, path)
    (record,) = site.records()
    with OpenSlide(path) as slide:
        expected = np.asarray(slide.read_region((256, 512), 0, (256, 256)).convert("RGB"))
    slide_dz = site.services.slide_cache.slide(record.image_id)
    tile = slide_dz.grid.tile_size
    event = http_event("GET", f"/DeepZoom/{record.image_id}_files/10/{256 // tile}_{512 // tile}.png", "", ())
    answer = serve_image(event, None)
    assert answer["statusCode"] == 200
    shown = slide_dz.reader.region(0, (256, 512, 512, 768))
    assert np.array_equal(shown, expected)
    assert site.state(name) is ImportState.READY


def test_label_of_an_mrxs_is_stored_and_no_id_comes_from_the_picture_in_its_index(site: Site) -> None:
    path = write_mrxs(
        site.scanner / "S23-12345.mrxs", squares(), label=Image.new("RGB", (400, 400), "#FFEE00")
    )
    assert settle(site, path) == 200
    (record,) = site.records()
    assert record.image_id.startswith("S") and record.image_id != "S23-12345"
    assert (record.width, record.height, record.app_mag, record.mpp) == (1024, 1024, "20", 0.5)
    with Image.open(site.services.files.associated(record.image_id, "label")) as label:
        assert label.size == (400, 400)


def test_named_checksum_is_that_of_the_index_and_another_is_another_slide(site: Site) -> None:
    path = write_mrxs(site.scanner / "a.mrxs", squares())
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert settle(site, path, sha256=sha256) == 200
    run = site.services.imports.get("a.mrxs")
    assert site.post("a.mrxs", path.stat().st_size, sha256=sha256)[0] == 200
    assert site.services.imports.get("a.mrxs") == run
    assert settle(site, path, sha256="0" * 64) == 202
    assert site.state("a.mrxs") is ImportState.FAILED
    assert len(site.records()) == 1


def test_other_data_beside_the_same_index_are_another_scan(site: Site) -> None:
    path = write_mrxs(site.scanner / "a.mrxs", squares())
    index = path.read_bytes()
    settle(site, path)
    shutil.rmtree(path.with_suffix(""))
    write_mrxs(path, squares(2)).write_bytes(index)
    assert settle(site, path) == 200
    first, second = sorted(site.records(), key=lambda record: record.last_modified)
    assert first.checksum != second.checksum
    assert site.services.files.slide(first.image_id).read_bytes() == index
    names = [site.services.files.folder(record.image_id) / "set/a/Data0000.dat" for record in (first, second)]
    assert names[0].read_bytes() != names[1].read_bytes()


def test_set_of_which_a_file_is_missing_waits_and_names_it(site: Site) -> None:
    path = write_mrxs(site.scanner / "a.mrxs", squares())
    data = path.with_suffix("") / "Data0002.dat"
    data.rename(site.scanner / "still-copying")
    status, answer = site.post("a.mrxs", path.stat().st_size)
    assert status == 503
    assert answer["error"].startswith("a/Data0002.dat is missing")
    assert site.state("a.mrxs") is None
    (site.scanner / "still-copying").rename(data)
    assert settle(site, path) == 200


@pytest.mark.parametrize("name", ["../elsewhere.jpg", "other.svs"])
def test_index_that_names_a_file_of_others_fails_with_its_reason(site: Site, name: str) -> None:
    path = write_vms(site.scanner / "b.vms", squares())
    path.write_text(path.read_text().replace("b_map2.jpg", name))
    assert settle(site, path) == 422
    assert site.post("b.vms", path.stat().st_size)[1] == {
        "state": "FAILED",
        "error": "the file names one that cannot be a part of its slide",
    }
    assert list((site.services.files.root / "incoming").iterdir()) == []


@pytest.mark.parametrize(
    ("at", "value"),
    [(4, 1 << 30), (8, 0), (8, -64), (12, 1 << 30), (12, 0), (24, -1), (24, 0), (8, 1 << 20), (0, 0)],
)
def test_vmu_with_impossible_sizes_is_refused_before_openslide_reads_it(
    site: Site, at: int, value: int
) -> None:
    path = write_vmu(site.scanner / "c.vmu", squares())
    ngr = site.scanner / "c_x.ngr"
    content = bytearray(ngr.read_bytes())
    struct.pack_into("<i", content, at, value)
    ngr.write_bytes(content)
    assert settle(site, path) == 422
    assert "c_x.ngr" in site.post("c.vmu", path.stat().st_size)[1]["error"]


def test_set_that_was_refused_is_imported_once_its_files_are_right(site: Site) -> None:
    path = write_mrxs(site.scanner / "a.mrxs", squares())
    data, elsewhere = path.with_suffix("") / "Data0001.dat", site.scanner / "elsewhere"
    data.rename(elsewhere)
    data.symlink_to(elsewhere)
    assert settle(site, path) == 422
    assert site.post("a.mrxs", path.stat().st_size)[1]["error"].startswith("a/Data0001.dat is a link")
    data.unlink()
    elsewhere.rename(data)
    assert settle(site, path) == 200


def test_half_copied_sets_of_killed_runs_are_swept_and_those_in_use_stay(site: Site) -> None:
    site.services.files.prepare()
    incoming = site.services.files.root / "incoming"
    for name in ("old.mrxs.0a.part", "new.mrxs.0b.part"):
        (incoming / name / "a").mkdir(parents=True)
        (incoming / name / "a/Data0000.dat").write_bytes(b"x")
    os.utime(incoming / "old.mrxs.0a.part", (0, 0))
    site.services.files.sweep()
    assert [path.name for path in incoming.iterdir()] == ["new.mrxs.0b.part"]


def test_companion_posted_by_itself_is_refused(site: Site) -> None:
    write_vms(site.scanner / "b.vms", squares(), macro=Image.new("RGB", (64, 64)))
    macro = site.scanner / "b_macro.jpg"
    status, answer = site.post(macro.name, macro.stat().st_size)
    assert (status, answer["error"]) == (
        400,
        "this file is a part of the slide b.vms, and is imported with it",
    )


def test_set_is_copied_where_other_originals_stay_in_place(tmp_path: Path) -> None:
    with running_site(tmp_path, in_place=True) as site:
        path = write_vms(site.scanner / "b.vms", squares())
        assert settle(site, path) == 200
        (record,) = site.records()
        shutil.rmtree(site.scanner)
        slide = site.services.slide_cache.slide(record.image_id)
        assert slide.reader.region(0, (0, 0, 64, 64)).shape == (64, 64, 3)


@pytest.mark.parametrize("fault", ["missing", "shorter"])
def test_stored_set_with_a_fault_is_never_confirmed(site: Site, fault: str) -> None:
    path = write_mrxs(site.scanner / "a.mrxs", squares())
    settle(site, path)
    (record,) = site.records()
    stored = site.services.files.folder(record.image_id) / "set/a/Data0001.dat"
    content = stored.read_bytes()
    stored.unlink()
    if fault == "shorter":
        stored.write_bytes(content[:-1])
    assert site.post("a.mrxs", path.stat().st_size)[0] == 202
    site.finish()


def test_deleted_set_is_hidden_and_purged_whole_and_keeps_only_its_claim_and_listing(site: Site) -> None:
    path = write_mrxs(site.scanner / "a.mrxs", squares())
    settle(site, path)
    (record,) = site.records()
    change(site.services, record.image_id, {"status": Status.DELETED}, ADMIN)
    assert site.post("a.mrxs", path.stat().st_size)[0] == 200
    removed = site.services.files.purge(record.image_id)
    assert removed["set"] > 50_000
    assert set(files_below(site.services.files.deleted_folder(record.image_id))) == {
        "import.json",
        "set/files.json",
    }


def test_purged_set_is_refused_until_a_person_imports_it_again_on_purpose(site: Site) -> None:
    path = write_mrxs(site.scanner / "a.mrxs", squares())
    settle(site, path)
    (record,) = site.records()
    change(site.services, record.image_id, {"status": Status.DELETED}, ADMIN)
    job = requests.purge(site.services, record.image_id, record.image_id, ADMIN)
    assert job_runner.run(site.services, job).state is JobState.DONE
    assert settle(site, path) == 422
    status, body = site.post("a.mrxs", path.stat().st_size)
    assert (status, body.keys()) == (422, {"state", "error"})
    assert "This slide was purged on 20" in body["error"]
    assert [stored.image_id for stored in site.records()] == [record.image_id]
    assert path.with_suffix("").is_dir()
    retry(site.services, "a.mrxs", again=True)
    assert settle(site, path) == 200
    assert len(site.records()) == 2


def test_set_is_not_published_and_its_refusal_says_why(site: Site) -> None:
    path = write_mrxs(site.scanner / "a.mrxs", squares())
    settle(site, path)
    (record,) = site.records()
    change(site.services, record.image_id, {"status": Status.GOOD}, ADMIN)
    with pytest.raises(ConflictError, match=r"several files .* cannot be de-identified"):
        requests.publish(site.services, record.image_id, "STUDY-1", ADMIN)


def import_killed_at(nth: int, folder: Path) -> bool:
    """Import until the n-th trace on the disk; return whether it came that far."""
    killer = Killer(nth)
    with running_site(folder) as site:
        path = write_mrxs(site.scanner / "a.mrxs", squares())
        with pytest.MonkeyPatch.context() as patched:
            killer.patch(patched)
            with suppress(Killed):
                site.post("a.mrxs", path.stat().st_size)
            wait_until(lambda: killer.struck.is_set() or not site.import_runner.is_busy(), "it ended")
            site.import_runner.close()
        for record in site.records():
            assert stored_set.is_whole(site.services.files, record.image_id)
    return killer.struck.is_set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("start", range(1, 8))
def test_import_of_a_set_killed_at_any_disk_change_completes_after_restart(
    tmp_path: Path, start: int
) -> None:
    nth, struck = start, True
    while struck:
        folder = tmp_path / str(nth)
        folder.mkdir()
        struck = import_killed_at(nth, folder)
        with running_site(folder) as site:
            site.import_runner.resume()
            site.finish()
            assert settle(site, site.scanner / "a.mrxs") == 200
            (record,) = site.records()
            stored = files_below(site.services.files.folder(record.image_id) / "set")
            del stored["files.json"]
            assert stored == files_below(site.scanner)
            assert list((site.services.files.root / "taken").iterdir()) == []
        nth += 7
    assert nth > 30
