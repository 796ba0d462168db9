"""Imports that fail or have to wait: the reason is told, the file is kept, and what was mended comes in."""

from pathlib import Path

import pytest
from vsv.errors import NotFoundError, UnavailableError
from vsv.ingest import receive
from vsv.records.models import ImportRecord, ImportState

from tests.support.servers.running import Site
from tests.support.slides.aperio import patch_item
from tests.support.slides.small import OLD, put, slide_bytes

SIZE = len(slide_bytes())


def _hostile_size(path: Path) -> None:
    patch_item(path, 0, "ImageWidth", 0, 60_000)


BROKEN = {
    "empty": (b"", "empty"),
    "truncated": (slide_bytes()[: SIZE // 2], "truncated"),
    "cut at its very end": (slide_bytes()[:-1], "truncated"),
    "text": (b"Not for diagnosis. " * 9, "Not a supported slide file"),
    "a JPEG": (b"\xff\xd8\xff\xe0" * 50, "Not a supported slide file"),
    "a header": (b"II*\0\x08\0\0\0", "truncated"),
    "no image": (b"II*\0\0\0\0\0", "no image"),
    "zeros": (bytes(5000), "Not a supported slide file"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_file_that_is_not_a_slide_fails_with_reason_and_is_kept_without_record(site: Site, kind: str) -> None:
    content, reason = BROKEN[kind]
    assert site.bring("a.svs", content) == 422
    error = site.post("a.svs", len(content))[1]["error"]
    assert any(word in error for word in reason.split("|")), error
    assert str(site.services.files.root) not in error
    (kept,) = (site.services.files.root / "taken/a.svs").iterdir()
    assert kept.read_bytes() == content
    assert site.records() == []
    assert list((site.services.files.root / "slides").iterdir()) == []


def test_impossible_dimensions_answer_422_without_record(site: Site) -> None:
    path = put(site.scanner, "a.svs")
    _hostile_size(path)
    assert site.settle("a.svs", SIZE) == 422
    assert site.records() == []


def test_repaired_file_of_another_size_is_imported(site: Site) -> None:
    assert site.bring("a.svs", slide_bytes()[:5000]) == 422
    assert site.bring("a.svs") == 200


def test_repaired_file_of_the_same_size_is_imported(site: Site) -> None:
    assert site.bring("a.svs", b"\0" * SIZE) == 422
    put(site.scanner, "a.svs", modified=OLD + 1)
    assert site.settle("a.svs", SIZE) == 200


def test_retry_imports_slide_of_failed_run(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("vsv.ingest.extraction.read_scan", lambda _path: 1 / 0)
        assert site.bring() == 422
    assert site.post("a.svs", SIZE)[1]["error"] == "an unexpected error stopped it: see the log"
    receive.retry(site.services, "a.svs")
    site.finish()
    assert site.post("a.svs", SIZE)[0] == 200
    with pytest.raises(NotFoundError):
        receive.retry(site.services, "b.svs")


@pytest.mark.parametrize(
    "where",
    [
        "vsv.storage.atomic_write.flush",
        "vsv_local.ingest.transfer._copy_bytes",
        "vsv.ingest.extraction.encode",
    ],
)
def test_disk_error_keeps_import_waiting_until_disk_works(
    site: Site, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device", "/secret/path")

    with monkeypatch.context() as patched:
        patched.setattr(where, refuse)
        assert site.bring() == 202
        run = site.services.imports.get("a.svs")
        assert run is not None
        assert "disk" in (run.error or "")
        assert "secret" not in (run.error or "")
    assert site.settle("a.svs", SIZE) == 200
    run = site.services.imports.get("a.svs")
    assert run is not None
    assert run.error is None


def test_full_disk_is_detected_before_copying(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "vsv_local.ingest.transfer.shutil.disk_usage", lambda _path: type("Usage", (), {"free": 1})()
    )
    assert site.bring() == 202
    assert "no room" in (site.services.imports.get("a.svs").error or "")  # type: ignore[union-attr]


def test_copy_that_differs_from_source_is_removed_and_repeated(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("vsv_local.ingest.transfer.checksum", lambda _path: "0" * 64)
        assert site.bring() == 202
        assert list((site.services.files.root / "incoming").iterdir()) == []
    assert site.settle("a.svs", SIZE) == 200


def test_file_removed_before_copying_fails_and_is_imported_when_restored(site: Site) -> None:
    path = put(site.scanner, "a.svs")
    site.services.imports.start(  # as a server that was killed at once leaves it
        ImportRecord(
            filename="a.svs", size=SIZE, state=ImportState.TRANSFERRING, run_id="1", source=str(site.scanner),
            started_at="2026-11-21T00:00:00.000000Z", updated_at="2026-11-21T00:00:00.000000Z",
        ),
        replaces=None,
    )  # fmt: skip
    path.unlink()
    site.import_runner.resume()
    site.finish()
    assert site.state() is ImportState.FAILED
    put(site.scanner, "a.svs")
    assert site.settle("a.svs", SIZE) == 200


def test_missing_share_raises_unavailable_during_transfer(site: Site) -> None:
    away = site.scanner.with_name("away")
    put(site.scanner, "a.svs")
    site.import_runner.close()
    site.post("a.svs", SIZE)
    site.scanner.rename(away)
    run = site.services.imports.get("a.svs")
    assert run is not None
    with pytest.raises(UnavailableError):
        site.import_runner._transfer({"filename": "a.svs", "size": SIZE, "runId": run.run_id}, None)


def test_import_succeeds_after_record_store_was_unavailable(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise UnavailableError("The disk that holds the record store is full: make room, then try again.")

    put(site.scanner, "a.svs")
    assert site.post("a.svs", SIZE)[0] == 202
    site.finish()
    site.services.slides.remove("1004486")
    with monkeypatch.context() as patched:
        patched.setattr(site.services.imports, "advance", refuse)
        patched.setattr(site.services.slides, "put_new", refuse)
        assert site.settle("a.svs", SIZE) == 202
        site.finish()
    assert site.settle("a.svs", SIZE) == 200


def test_import_succeeds_after_lock_could_not_be_created(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system", "/secret/path")

    with monkeypatch.context() as patched:
        patched.setattr("vsv_local.ingest.import_runner.import_lock", refuse)
        assert site.bring() == 202
        assert "secret" not in (site.services.imports.get("a.svs").error or "")  # type: ignore[union-attr]
    assert site.settle("a.svs", SIZE) == 200
