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
def test_file_that_is_not_a_slide_fails_with_reason_and_is_kept_without_record(
    services: Site, kind: str
) -> None:
    content, reason = BROKEN[kind]
    assert services.bring("a.svs", content) == 422
    error = services.post("a.svs", len(content))[1]["error"]
    assert any(word in error for word in reason.split("|")), error
    assert str(services.services.files.root) not in error
    (kept,) = (services.services.files.root / "taken/a.svs").iterdir()
    assert kept.read_bytes() == content
    assert services.records() == []
    assert list((services.services.files.root / "slides").iterdir()) == []


def test_impossible_dimensions_answer_422_without_record(services: Site) -> None:
    path = put(services.scanner, "a.svs")
    _hostile_size(path)
    assert services.settle("a.svs", SIZE) == 422
    assert services.records() == []


def test_repaired_file_of_another_size_is_imported(services: Site) -> None:
    assert services.bring("a.svs", slide_bytes()[:5000]) == 422
    assert services.bring("a.svs") == 200


def test_repaired_file_of_the_same_size_is_imported(services: Site) -> None:
    assert services.bring("a.svs", b"\0" * SIZE) == 422
    put(services.scanner, "a.svs", modified=OLD + 1)
    assert services.settle("a.svs", SIZE) == 200


def test_retry_imports_slide_of_failed_run(services: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("vsv.ingest.extraction.read_scan", lambda _path: 1 / 0)
        assert services.bring() == 422
    assert services.post("a.svs", SIZE)[1]["error"] == "an unexpected error stopped it: see the log"
    receive.retry(services.services, "a.svs")
    services.finish()
    assert services.post("a.svs", SIZE)[0] == 200
    with pytest.raises(NotFoundError):
        receive.retry(services.services, "b.svs")


@pytest.mark.parametrize(
    "where",
    [
        "vsv.storage.atomic_write.flush",
        "vsv_local.ingest.transfer._copy_bytes",
        "vsv.ingest.extraction.encode",
    ],
)
def test_disk_error_keeps_import_waiting_until_disk_works(
    services: Site, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device", "/secret/path")

    with monkeypatch.context() as patched:
        patched.setattr(where, refuse)
        assert services.bring() == 202
        run = services.services.imports.get("a.svs")
        assert run is not None
        assert "disk" in (run.error or "")
        assert "secret" not in (run.error or "")
    assert services.settle("a.svs", SIZE) == 200
    run = services.services.imports.get("a.svs")
    assert run is not None
    assert run.error is None


def test_full_disk_is_detected_before_copying(services: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "vsv_local.ingest.transfer.shutil.disk_usage", lambda _path: type("Usage", (), {"free": 1})()
    )
    assert services.bring() == 202
    assert "no room" in (services.services.imports.get("a.svs").error or "")  # type: ignore[union-attr]


def test_copy_that_differs_from_source_is_removed_and_repeated(
    services: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("vsv_local.ingest.transfer.checksum", lambda _path: "0" * 64)
        assert services.bring() == 202
        assert list((services.services.files.root / "incoming").iterdir()) == []
    assert services.settle("a.svs", SIZE) == 200


def test_file_removed_before_copying_fails_and_is_imported_when_restored(services: Site) -> None:
    path = put(services.scanner, "a.svs")
    services.services.imports.start(  # as a server that was killed at once leaves it
        ImportRecord(
            filename="a.svs", size=SIZE, state=ImportState.TRANSFERRING, run_id="1", source=str(services.scanner),
            started_at="2026-11-21T00:00:00.000000Z", updated_at="2026-11-21T00:00:00.000000Z",
        ),
        replaces=None,
    )  # fmt: skip
    path.unlink()
    services.import_runner.resume()
    services.finish()
    assert services.state() is ImportState.FAILED
    put(services.scanner, "a.svs")
    assert services.settle("a.svs", SIZE) == 200


def test_missing_share_raises_unavailable_during_transfer(services: Site) -> None:
    away = services.scanner.with_name("away")
    put(services.scanner, "a.svs")
    services.import_runner.close()
    services.post("a.svs", SIZE)
    services.scanner.rename(away)
    run = services.services.imports.get("a.svs")
    assert run is not None
    with pytest.raises(UnavailableError):
        services.import_runner._transfer({"filename": "a.svs", "size": SIZE, "runId": run.run_id}, None)


def test_import_succeeds_after_record_store_was_unavailable(
    services: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise UnavailableError("The disk that holds the record store is full: make room, then try again.")

    put(services.scanner, "a.svs")
    assert services.post("a.svs", SIZE)[0] == 202
    services.finish()
    services.services.slides.remove("1004486")
    with monkeypatch.context() as patched:
        patched.setattr(services.services.imports, "advance", refuse)
        patched.setattr(services.services.slides, "put_new", refuse)
        assert services.settle("a.svs", SIZE) == 202
        services.finish()
    assert services.settle("a.svs", SIZE) == 200


def test_import_succeeds_after_lock_could_not_be_created(
    services: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system", "/secret/path")

    with monkeypatch.context() as patched:
        patched.setattr("vsv_local.ingest.import_runner.import_lock", refuse)
        assert services.bring() == 202
        assert "secret" not in (services.services.imports.get("a.svs").error or "")  # type: ignore[union-attr]
    assert services.settle("a.svs", SIZE) == 200
