"""Originals that stay where they are: the only copy there is, so never a 200, and never another slide's pixels."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from serve_image.handler import lambda_handler as serve_image
from vsv.errors import ConflictError
from vsv.records.models import Status
from vsv.storage.originals import check_original
from vsv.workflow.transitions import Decider, change

from tests.support.servers.running import Site, running_site
from tests.support.slides.small import OLD, other_scan, put, slide_bytes
from vsv_local.server.api_gateway_events import http_event

SIZE = len(slide_bytes())


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr("vsv_local.ingest.import_runner.RETRY_DELAYS_S", ())
    monkeypatch.setattr("vsv.slides.slide_cache.RECHECK_SECONDS", 0.0)
    with running_site(tmp_path, in_place=True) as running:
        yield running


def tile_status(image_id: str = "1004486") -> int:
    event = http_event("GET", f"/DeepZoom/{image_id}_files/10/0_0.jpeg", "", ())
    status: int = serve_image(event, None)["statusCode"]
    return status


def test_original_in_place_is_served_and_unchanged_but_answers_202(site: Site) -> None:
    assert site.bring() == 202
    assert site.post("a.svs", SIZE) == (202, {"state": "READY"})
    assert tile_status() == 200
    original = site.scanner / "a.svs"
    assert (original.read_bytes(), original.stat().st_mtime_ns) == (slide_bytes(), OLD)
    assert list(site.scanner.iterdir()) == [original]
    assert site.services.files.slide("1004486").readlink() == original


def test_original_in_place_with_checksum_answers_202_without_new_import(site: Site) -> None:
    site.bring()
    run = site.services.imports.get("a.svs")
    assert site.post("a.svs", SIZE, sha256=hashlib.sha256(slide_bytes()).hexdigest())[0] == 202
    assert site.services.imports.get("a.svs") == run


def test_deleted_or_purged_original_in_place_answers_202(site: Site) -> None:
    site.bring()
    change(site.services, "1004486", {"status": Status.DELETED}, Decider("test", is_admin=True))
    assert site.post("a.svs", SIZE)[0] == 202
    site.services.files.purge("1004486")
    assert site.post("a.svs", SIZE)[0] == 202
    assert (site.scanner / "a.svs").read_bytes() == slide_bytes()


def test_original_in_place_answers_202_on_server_that_copies_now(tmp_path: Path) -> None:
    with running_site(tmp_path, in_place=True) as site:
        site.bring()
    with running_site(tmp_path) as site:
        assert site.settle("a.svs", SIZE) == 202


def test_overwritten_original_answers_409_and_is_imported_as_another_slide(site: Site) -> None:
    site.bring()
    put(site.scanner, "a.svs", other_scan(slide_bytes()), modified=OLD + 10**9)
    assert tile_status() == 409
    assert site.settle("a.svs", SIZE) == 202
    assert tile_status() == 409
    first, second = site.records()
    assert (first.image_id, tile_status(second.image_id)) == ("1004486", 200)


def test_touched_original_is_served_again_under_the_same_id(site: Site) -> None:
    site.bring()
    os.utime(site.scanner / "a.svs", ns=(OLD, OLD + 1))
    assert tile_status() == 409
    site.settle("a.svs", SIZE)
    assert tile_status() == 200
    assert len(site.records()) == 1


def test_missing_original_answers_404(site: Site) -> None:
    site.bring()
    (site.scanner / "a.svs").unlink()
    assert tile_status() == 404
    assert site.post("a.svs", SIZE)[0] == 404


def test_original_changed_during_import_creates_no_mixed_record(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vsv.ingest import extraction  # noqa: PLC0415  patched below

    write_pictures = extraction._write_pictures

    def slow(*arguments: object) -> object:
        written = write_pictures(*arguments)  # type: ignore[arg-type]
        put(site.scanner, "a.svs", other_scan(slide_bytes()), modified=OLD + 10**9)
        return written

    with monkeypatch.context() as patched:
        patched.setattr(extraction, "_write_pictures", slow)
        put(site.scanner, "a.svs")
        site.post("a.svs", SIZE)
        site.finish()
    assert site.records() == []
    site.settle("a.svs", SIZE)
    assert [record.scan_date for record in site.records()] == ["2009-12-30T09:59:15"]


@pytest.mark.parametrize("folder", ["incoming", "taken", "slides", "deleted"])
def test_file_of_the_data_folder_is_not_imported_in_place(site: Site, folder: str) -> None:
    path = put(site.services.files.root / folder, "a.svs")
    (site.scanner / "a.svs").symlink_to(path)
    site.settle("a.svs", SIZE)
    assert path.read_bytes() == slide_bytes()
    assert not path.is_symlink()
    assert site.records() == []


def test_link_to_original_is_resolved_to_its_target(site: Site, tmp_path: Path) -> None:
    original = put(tmp_path / "archive", "b.svs")
    (site.scanner / "a.svs").symlink_to(original)
    site.settle("a.svs", SIZE)
    (site.scanner / "a.svs").unlink()
    assert tile_status() == 200
    with pytest.raises(ConflictError):
        os.utime(original, ns=(OLD, OLD + 1))
        check_original(site.services.files, "1004486")
