"""POST /ImportSlide: a 200 makes the scanner delete its only copy, so most of this asks when there must be none."""

import base64
import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from import_slide.handler import lambda_handler as import_slide
from lambda_support.http import MAX_BODY_BYTES
from vsv.records.models import ImportState, Status
from vsv.workflow.transitions import Decider, change

from tests.support.servers.running import Site, check_whole, running_site
from tests.support.slides.small import OLD, other_scan, put, slide_bytes
from vsv_local.server.api_gateway_events import http_event

SIZE = len(slide_bytes())
SHA256 = hashlib.sha256(slide_bytes()).hexdigest()


def test_request_answers_202_until_imported_then_200_with_its_own_body(site: Site) -> None:
    put(site.scanner, "a.svs")
    body = {"filename": "a.svs", "size": SIZE, "host": "scanner 2", "nested": {"é": [1, None, True]}}
    status, answer = site.post_body(json.dumps(body).encode())
    assert (status, answer) == (202, {"state": "TRANSFERRING"})
    site.finish()
    assert site.post_body(json.dumps(body).encode()) == (200, body)


def test_answer_other_than_200_never_contains_the_file_name(site: Site) -> None:
    put(site.scanner, "a.svs", b"II*\0 no slide at all")
    answers = [site.post("a.svs", 20), site.post("missing.svs", 1), site.post("a.txt", 1)]
    site.finish()
    answers.append(site.post("a.svs", 20))
    assert [status for status, _ in answers] == [202, 404, 400, 422]
    assert not any("filename" in name.lower() for _, answer in answers for name in answer)


def test_failed_import_answers_422_with_a_reason(site: Site) -> None:
    assert site.bring("a.svs", b"hello, I am no slide") == 422
    status, answer = site.post("a.svs", 20)
    assert (status, answer["state"]) == (422, "FAILED")
    assert "Not a supported slide file" in answer["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"1", b"{", b'{"filename"', b"\xff\xfe", b"[" * 5000, b"NaN",
        b'{"filename": "a.svs", "size": NaN}', b'{"filename": "a.svs", "size": 1, "x": Infinity}',
        b'{"filename": "a.svs", "size": ' + b"9" * 5000 + b"}", b"{}",
    ],
)  # fmt: skip
def test_body_that_is_not_a_json_object_answers_400(site: Site, body: bytes) -> None:
    status, answer = site.post_body(body)
    assert (status, set(answer)) == (400, {"error"})


@pytest.mark.parametrize("size", [None, True, False, "1", 1.0, -1, 1 << 45, [], {}])
def test_invalid_size_answers_400_without_starting_an_import(site: Site, size: object) -> None:
    put(site.scanner, "a.svs")
    assert site.post("a.svs", size)[0] == 400
    assert site.state() is None


@pytest.mark.parametrize(
    "filename",
    [
        None, 1, True, [], {}, "", ".svs", "a", "a.txt", "a.svs\n", "a.svs\0", "../a.svs", "/a.svs", "b/a.svs",
        "b\\a.svs", "C:a.svs", "~a.svs", "-a.svs", " a.svs", ".a.svs", "NUL.svs", "a?.svs", "\ud800.svs",
        "a" * 300 + ".svs", "ä" * 120 + ".svs", "a.svs.part",
    ],
)  # fmt: skip
def test_invalid_file_name_answers_400(site: Site, filename: object) -> None:
    assert site.post(filename, 1)[0] == 400


def test_body_over_size_limit_answers_400(site: Site) -> None:
    assert site.post("a.svs", 1, padding="x" * MAX_BODY_BYTES)[0] == 400


def test_body_in_base64_is_decoded(site: Site) -> None:
    site.bring()
    event = http_event("POST", "/ImportSlide", "", ())
    body = base64.b64encode(json.dumps({"filename": "a.svs", "size": SIZE}).encode()).decode()
    result = import_slide({**event, "body": body, "isBase64Encoded": True}, None)
    assert result["statusCode"] == 200


@pytest.mark.parametrize("sha256", ["", "0" * 63, "g" * 64, 1, True, "0" * 64 + "\n"])
def test_malformed_checksum_answers_400(site: Site, sha256: object) -> None:
    put(site.scanner, "a.svs")
    assert site.post("a.svs", SIZE, sha256=sha256)[0] == 400


def test_checksum_answers_200_only_for_matching_content(site: Site) -> None:
    assert site.bring(sha256=SHA256) == 200
    assert site.post("a.svs", SIZE, sha256=SHA256.upper())[0] == 200
    assert site.post("a.svs", SIZE, sha256="0" * 64)[0] == 202
    site.finish()
    assert site.post("a.svs", SIZE, sha256="0" * 64)[0] == 202


def _truncate(path: Path) -> None:
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.truncate(1000)


def _overwrite_head(path: Path) -> None:
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(b"\0" * 64)


@pytest.mark.parametrize("damage", [Path.unlink, _truncate, _overwrite_head])
def test_missing_or_damaged_stored_file_answers_202_and_is_imported_again(site: Site, damage: Any) -> None:
    assert site.bring() == 200
    site.services.slide_cache._slides.clear()
    damage(site.services.files.slide("1004486"))
    assert site.post("a.svs", SIZE)[0] == 202
    site.finish()
    assert site.post("a.svs", SIZE)[0] == 200
    assert site.services.files.slide("1004486").read_bytes() == slide_bytes()
    assert len(site.records()) == 1


def test_missing_stored_file_without_source_answers_404(site: Site) -> None:
    assert site.bring() == 200
    (site.scanner / "a.svs").unlink()
    assert site.post("a.svs", SIZE)[0] == 200
    site.services.files.slide("1004486").unlink()
    assert site.post("a.svs", SIZE)[0] == 404


def test_missing_record_answers_202_and_is_written_again(site: Site) -> None:
    assert site.bring() == 200
    site.services.slides.remove("1004486")
    assert site.post("a.svs", SIZE)[0] == 202
    site.finish()
    assert site.post("a.svs", SIZE)[0] == 200
    assert [record.image_id for record in site.records()] == ["1004486"]


def test_rescan_of_another_size_gets_its_own_image_id(site: Site) -> None:
    assert site.bring() == 200
    rescan = other_scan(slide_bytes()) + b"\0"
    assert site.bring("a.svs", rescan) == 200
    first, second = site.records()
    assert (first.image_id, first.file_size) == ("1004486", SIZE)
    assert second.image_id.startswith("1004486-")
    assert site.services.files.slide(first.image_id).read_bytes() == slide_bytes()
    assert site.services.files.slide(second.image_id).read_bytes() == rescan


def test_size_that_differs_from_the_source_answers_503(site: Site) -> None:
    assert site.bring() == 200
    put(site.scanner, "a.svs", slide_bytes() + b"\0")
    assert site.post("a.svs", SIZE)[0] == 503


def test_rescan_of_the_same_size_answers_202_and_gets_its_own_record(site: Site) -> None:
    assert site.bring() == 200
    put(site.scanner, "a.svs", other_scan(slide_bytes()), modified=OLD + 10**9)
    assert site.post("a.svs", SIZE)[0] == 202
    assert site.settle("a.svs", SIZE) == 200
    assert [r.scan_date for r in site.records()] == ["2009-12-29T09:59:15", "2009-12-30T09:59:15"]
    check_whole(site)


def test_rescan_of_an_earlier_size_answers_202_and_gets_its_own_record(site: Site) -> None:
    assert site.bring() == 200
    assert site.bring("a.svs", slide_bytes() + b"\0") == 200
    put(site.scanner, "a.svs", other_scan(slide_bytes()), modified=OLD + 10**9)
    assert site.post("a.svs", SIZE)[0] == 202
    assert site.settle("a.svs", SIZE) == 200
    assert len(site.records()) == 3


def test_rescan_of_the_same_size_answers_202_until_its_record_is_written(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert site.bring() == 200
    rescan = put(site.scanner, "a.svs", other_scan(slide_bytes()), modified=OLD + 10**9)
    answers = []

    def full(*_: object) -> None:
        answers.append(site.post("a.svs", SIZE)[0])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("vsv.ingest.extraction._record", full)
        assert site.settle("a.svs", SIZE) == 202
    assert set(answers) == {202}
    assert rescan.exists()
    assert site.settle("a.svs", SIZE) == 200
    assert len(site.records()) == 2


def test_touched_source_with_same_content_answers_200(site: Site) -> None:
    assert site.bring() == 200
    os.utime(site.scanner / "a.svs")
    assert site.post("a.svs", SIZE)[0] == 200
    assert len(site.records()) == 1


def test_unreadable_source_answers_503_without_its_path(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert site.bring() == 200
    os.utime(site.scanner / "a.svs")

    def refuse(*_: object) -> bool:
        raise PermissionError(13, "Permission denied", "/secret/path")

    monkeypatch.setattr("vsv_local.ingest.transfer.same_content", refuse)
    status, answer = site.post("a.svs", SIZE)
    assert status == 503
    assert "secret" not in json.dumps(answer)


def test_copies_and_files_of_the_same_image_id_get_different_image_ids(site: Site) -> None:
    assert site.bring("a.svs") == site.bring("b.svs") == 200
    assert site.bring("c.svs", slide_bytes() + b"\0") == 200
    ids = [record.image_id for record in site.records()]
    assert len(set(ids)) == 3
    assert all(image_id.startswith("1004486") for image_id in ids)


def test_record_without_files_keeps_its_image_id_when_another_scan_is_imported(site: Site) -> None:
    assert site.bring() == 200
    old = site.records()[0]
    site.services.files.hide(old.image_id)
    site.services.files.deleted_folder(old.image_id).rename(site.scanner / "lost")
    assert site.bring("b.svs", other_scan(slide_bytes())) == 200
    new = next(record for record in site.records() if record.filename == "b.svs")
    assert new.image_id != old.image_id
    assert site.services.slides.get(old.image_id) == old
    assert not site.services.files.folder(old.image_id).exists()


def test_deleted_slide_answers_200_and_purged_slide_is_imported_under_a_new_id(
    site: Site,
) -> None:
    assert site.bring() == 200
    change(site.services, "1004486", {"status": Status.DELETED}, Decider("test", is_admin=True))
    assert site.post("a.svs", SIZE)[0] == 200
    site.services.files.purge("1004486")
    assert site.post("a.svs", SIZE)[0] == 202
    site.finish()
    assert site.post("a.svs", SIZE)[0] == 200
    assert len(site.records()) == 2  # an ID is never given twice, even to the same file


def test_files_of_the_same_name_and_size_in_two_folders_are_both_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_site(tmp_path, "scanner", "other") as site:
        put(site.scanner, "a.svs")
        put(tmp_path / "other", "a.svs", other_scan(slide_bytes()))
        assert site.settle("a.svs", SIZE) == 200
        assert len(site.records()) == 2
        assert [site.post("a.svs", SIZE)[0] for _ in range(4)] == [200] * 4


def test_concurrent_requests_start_a_single_import(site: Site) -> None:
    put(site.scanner, "a.svs")
    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(lambda _: site.post("a.svs", SIZE)[0], range(24)))
    assert statuses <= {202, 200}
    site.finish()
    assert site.state() is ImportState.READY
    assert [record.version for record in site.records()] == [1]
