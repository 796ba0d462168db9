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

from tests.support.servers.running import Site, site
from tests.support.slides.small import OLD, other_scan, put, slide_bytes
from vsv_local.server.api_gateway_events import http_event

SIZE = len(slide_bytes())


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr("vsv_local.ingest.import_runner.RETRY_DELAYS_S", ())
    monkeypatch.setattr("vsv.slides.slide_cache.RECHECK_SECONDS", 0.0)
    with site(tmp_path, in_place=True) as running:
        yield running


def tile_status(image_id: str = "1004486") -> int:
    event = http_event("GET", f"/DeepZoom/{image_id}_files/10/0_0.jpeg", "", ())
    status: int = serve_image(event, None)["statusCode"]
    return status


def test_original_in_place_is_served_and_unchanged_but_answers_202(services: Site) -> None:
    assert services.bring() == 202
    assert services.post("a.svs", SIZE) == (202, {"state": "READY"})
    assert tile_status() == 200
    original = services.scanner / "a.svs"
    assert (original.read_bytes(), original.stat().st_mtime_ns) == (slide_bytes(), OLD)
    assert list(services.scanner.iterdir()) == [original]
    assert services.services.files.slide("1004486").readlink() == original


def test_original_in_place_with_checksum_answers_202_without_new_import(services: Site) -> None:
    services.bring()
    run = services.services.imports.get("a.svs")
    assert services.post("a.svs", SIZE, sha256=hashlib.sha256(slide_bytes()).hexdigest())[0] == 202
    assert services.services.imports.get("a.svs") == run


def test_deleted_or_purged_original_in_place_answers_202(services: Site) -> None:
    services.bring()
    change(services.services, "1004486", {"status": Status.DELETED}, Decider("test", is_admin=True))
    assert services.post("a.svs", SIZE)[0] == 202
    services.services.files.purge("1004486")
    assert services.post("a.svs", SIZE)[0] == 202
    assert (services.scanner / "a.svs").read_bytes() == slide_bytes()


def test_original_in_place_answers_202_on_server_that_copies_now(tmp_path: Path) -> None:
    with site(tmp_path, in_place=True) as services:
        services.bring()
    with site(tmp_path) as services:
        assert services.settle("a.svs", SIZE) == 202


def test_overwritten_original_answers_409_and_is_imported_as_another_slide(services: Site) -> None:
    services.bring()
    put(services.scanner, "a.svs", other_scan(slide_bytes()), modified=OLD + 10**9)
    assert tile_status() == 409
    assert services.settle("a.svs", SIZE) == 202
    assert tile_status() == 409
    first, second = services.records()
    assert (first.image_id, tile_status(second.image_id)) == ("1004486", 200)


def test_touched_original_is_served_again_under_the_same_id(services: Site) -> None:
    services.bring()
    os.utime(services.scanner / "a.svs", ns=(OLD, OLD + 1))
    assert tile_status() == 409
    services.settle("a.svs", SIZE)
    assert tile_status() == 200
    assert len(services.records()) == 1


def test_missing_original_answers_404(services: Site) -> None:
    services.bring()
    (services.scanner / "a.svs").unlink()
    assert tile_status() == 404
    assert services.post("a.svs", SIZE)[0] == 404


def test_original_changed_during_import_creates_no_mixed_record(
    services: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vsv.ingest import extraction  # noqa: PLC0415  patched below

    write_pictures = extraction._write_pictures

    def slow(*arguments: object) -> object:
        written = write_pictures(*arguments)  # type: ignore[arg-type]
        put(services.scanner, "a.svs", other_scan(slide_bytes()), modified=OLD + 10**9)
        return written

    with monkeypatch.context() as patched:
        patched.setattr(extraction, "_write_pictures", slow)
        put(services.scanner, "a.svs")
        services.post("a.svs", SIZE)
        services.finish()
    assert services.records() == []
    services.settle("a.svs", SIZE)
    assert [record.scan_date for record in services.records()] == ["2009-12-30T09:59:15"]


@pytest.mark.parametrize("folder", ["incoming", "taken", "slides", "deleted"])
def test_file_of_the_data_folder_is_not_imported_in_place(services: Site, folder: str) -> None:
    path = put(services.services.files.root / folder, "a.svs")
    (services.scanner / "a.svs").symlink_to(path)
    services.settle("a.svs", SIZE)
    assert path.read_bytes() == slide_bytes()
    assert not path.is_symlink()
    assert services.records() == []


def test_link_to_original_is_resolved_to_its_target(services: Site, tmp_path: Path) -> None:
    original = put(tmp_path / "archive", "b.svs")
    (services.scanner / "a.svs").symlink_to(original)
    services.settle("a.svs", SIZE)
    (services.scanner / "a.svs").unlink()
    assert tile_status() == 200
    with pytest.raises(ConflictError):
        os.utime(original, ns=(OLD, OLD + 1))
        check_original(services.services.files, "1004486")
