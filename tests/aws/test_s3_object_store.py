"""A bucket as a vault: gone on with after a kill, thawed by the class it has, and clear where S3 fails or hangs."""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from moto.moto_api import state_manager
from vsv.aws import s3_multipart
from vsv.aws.s3_multipart import part_size
from vsv.aws.s3_object_store import S3ObjectStore
from vsv.errors import BadRequestError, ConflictError, NotYetError, UnavailableError
from vsv.storage.object_store import Stored

from tests.support.aws.like_s3 import BUCKET, KEY, PART, KilledError, LikeS3, refused, written

pytest_plugins = ["tests.support.stores.object_store_fixtures"]

OBJECT = f"originals/{KEY}"


def vault(s3: Any, storage_class: str = "STANDARD") -> S3ObjectStore:
    return S3ObjectStore(BUCKET, "originals", storage_class, s3)


def uploads(s3: LikeS3) -> list[Any]:
    found: list[Any] = s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    return found


@pytest.mark.parametrize("parts", [0, 1, 4, 6])
def test_killed_upload_creates_no_object_and_is_resumed(s3: LikeS3, tmp_path: Path, parts: int) -> None:
    source, sha256 = written(tmp_path / "a")  # six parts
    s3.dies_after = parts
    if parts < 6:
        with pytest.raises(KilledError):
            vault(s3).put(source, KEY, sha256)
        assert vault(s3).find(KEY) is None
    s3.dies_after = None
    vault(s3).put(source, KEY, sha256)
    assert s3.calls["upload_part"] == 6
    assert s3.calls["create_multipart_upload"] == 1
    assert vault(s3).find(KEY) == Stored(source.stat().st_size, sha256)
    assert s3.get_object(Bucket=BUCKET, Key=OBJECT)["Body"].read() == source.read_bytes()
    assert uploads(s3) == []


def test_upload_refuses_parts_of_other_content_and_succeeds_again(s3: LikeS3, tmp_path: Path) -> None:
    other, other_sha256 = written(tmp_path / "b", seed=2)
    s3.dies_after = 3
    with pytest.raises(KilledError):
        vault(s3).put(other, KEY, other_sha256)
    s3.dies_after = None
    source, sha256 = written(tmp_path / "a")
    with pytest.raises(UnavailableError, match="stored again"):  # that upload says it were the other
        vault(s3).put(source, KEY, sha256)
    assert vault(s3).find(KEY) is None
    vault(s3).put(source, KEY, sha256)
    assert s3.get_object(Bucket=BUCKET, Key=OBJECT)["Body"].read() == source.read_bytes()


def test_damaged_part_is_refused_by_s3(s3: LikeS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, sha256 = written(tmp_path / "a")
    sent = s3_multipart._checksum
    monkeypatch.setattr(s3_multipart, "_checksum", lambda data: sent(data + b"x"))
    with pytest.raises(UnavailableError):
        vault(s3).put(source, KEY, sha256)
    assert vault(s3).find(KEY) is None


def test_put_of_changed_file_leaves_bucket_empty(s3: LikeS3, tmp_path: Path) -> None:
    source, _ = written(tmp_path / "a")
    with pytest.raises(ConflictError, match="does not match its record"):
        vault(s3).put(source, KEY, "0" * 64)
    assert uploads(s3) == []
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)


def test_put_never_overwrites_a_foreign_object(s3: LikeS3, tmp_path: Path) -> None:
    s3.put_object(Bucket=BUCKET, Key=OBJECT, Body=b"x", ChecksumSHA256=_base64(b"x"))
    source, sha256 = written(tmp_path / "a")
    with pytest.raises(ConflictError, match="nothing was overwritten"):
        vault(s3).put(source, KEY, sha256)
    assert s3.get_object(Bucket=BUCKET, Key=OBJECT)["Body"].read() == b"x"


@pytest.mark.parametrize("size", [100, 5 * PART])
def test_put_never_overwrites_object_stored_concurrently(
    s3: LikeS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    (source, sha256), (other, other_sha256) = written(tmp_path / "a", size), written(tmp_path / "b", 100, 2)
    begun = s3_multipart.part_size

    def meanwhile(size: int) -> int:
        monkeypatch.setattr(s3_multipart, "part_size", begun)
        vault(s3).put(other, KEY, other_sha256)
        return begun(size)

    monkeypatch.setattr(s3_multipart, "part_size", meanwhile)
    with pytest.raises(ConflictError, match="nothing was overwritten"):
        vault(s3).put(source, KEY, sha256)
    assert vault(s3).find(KEY) == Stored(100, other_sha256)


def _base64(data: bytes) -> str:
    return s3_multipart._checksum(data)["ChecksumSHA256"]


def test_part_size_bounds_part_count_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    mib = 1 << 20
    assert part_size(0) == part_size(10**9) == 16 * mib
    assert part_size(160_000 * mib) == 16 * mib
    assert part_size(160_000 * mib + 1) == 17 * mib
    assert part_size(640_000 * mib) == 64 * mib
    with pytest.raises(BadRequestError, match="625 GiB"):
        part_size(640_000 * mib + 1)


@pytest.mark.parametrize("storage_class", ["INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"])
@pytest.mark.parametrize("size", [100, 3 * PART])
def test_put_uses_storage_class_of_settings(
    s3: LikeS3, tmp_path: Path, storage_class: str, size: int
) -> None:
    source, sha256 = written(tmp_path / "a", size)
    vault(s3, storage_class).put(source, KEY, sha256)
    assert s3.head_object(Bucket=BUCKET, Key=OBJECT)["StorageClass"] == storage_class


@pytest.mark.parametrize(("storage_class", "hours"), [("GLACIER", 5), ("DEEP_ARCHIVE", 12)])
def test_fetch_of_glacier_object_requests_restore_once_and_succeeds_later(
    s3: LikeS3, tmp_path: Path, storage_class: str, hours: int
) -> None:
    source, sha256 = written(tmp_path / "a")
    frozen = vault(s3, storage_class)
    frozen.put(source, KEY, sha256)
    state_manager.set_transition("s3::keyrestore", {"progression": "manual", "times": 4})
    try:
        for _ in range(3):
            with pytest.raises(NotYetError, match=f"{hours} hours") as told:
                frozen.fetch(KEY, tmp_path / "b")
            assert told.value.seconds == hours * 3600
        assert s3.calls["restore_object"] == 1
        assert list(tmp_path.iterdir()) == [source]
        for _ in range(4):
            s3.head_object(Bucket=BUCKET, Key=OBJECT)
        frozen.fetch(KEY, tmp_path / "b")
    finally:
        state_manager.unset_transition("s3::keyrestore")
    assert (tmp_path / "b").read_bytes() == source.read_bytes()


def test_fetch_of_glacier_ir_object_requests_no_restore(s3: LikeS3, tmp_path: Path) -> None:
    source, sha256 = written(tmp_path / "a")
    vault(s3, "GLACIER_IR").put(source, KEY, sha256)
    vault(s3).fetch(KEY, tmp_path / "b")
    assert s3.calls["restore_object"] == 0


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Stubber]]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "fake")
    client = boto3.client("s3", region_name="eu-central-1")
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


PLACE = {"Bucket": BUCKET, "Key": OBJECT}
COLD = {"ContentLength": 1, "ETag": '"e"', "Metadata": {}, "StorageClass": "INTELLIGENT_TIERING"}


@pytest.mark.parametrize(("tier", "hours"), [("ARCHIVE_ACCESS", 5), ("DEEP_ARCHIVE_ACCESS", 12)])
@pytest.mark.parametrize("refusal", [None, "RestoreAlreadyInProgress"])
def test_fetch_from_intelligent_tiering_archive_requests_restore_without_days(
    stubbed: tuple[Any, Stubber], tmp_path: Path, tier: str, hours: int, refusal: str | None
) -> None:
    client, stubber = stubbed
    asked = {**PLACE, "RestoreRequest": {"GlacierJobParameters": {"Tier": "Standard"}}}
    stubber.add_response("head_object", {**COLD, "ArchiveStatus": tier}, PLACE)
    if refusal:
        stubber.add_client_error("restore_object", refusal, http_status_code=409, expected_params=asked)
    else:
        stubber.add_response("restore_object", {}, asked)
    with pytest.raises(NotYetError) as told:
        vault(client).fetch(KEY, tmp_path / "b")
    assert told.value.seconds == hours * 3600


def test_killed_download_resumes_from_its_last_range(s3: LikeS3, tmp_path: Path) -> None:
    source, sha256 = written(tmp_path / "a")
    vault(s3).put(source, KEY, sha256)
    part = tmp_path / "b.fetched.part"
    part.write_bytes(source.read_bytes()[: 3 * PART] + bytes(100))  # a hole at its end
    vault(s3).fetch(KEY, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == source.read_bytes()
    assert s3.calls["get_object"] == 3


def test_fetch_discards_content_that_does_not_match(s3: LikeS3, tmp_path: Path) -> None:
    source, sha256 = written(tmp_path / "a")
    vault(s3).put(source, KEY, sha256)
    (tmp_path / "b.fetched.part").write_bytes(bytes(4 * PART))  # of another file
    with pytest.raises(UnavailableError, match="does not match what was stored"):
        vault(s3).fetch(KEY, tmp_path / "b")
    assert list(tmp_path.iterdir()) == [source]
    vault(s3).fetch(KEY, tmp_path / "b")
    assert hashlib.sha256((tmp_path / "b").read_bytes()).hexdigest() == sha256


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("AccessDenied", 403, "denies access"),
        ("NoSuchBucket", 404, "not there"),
        ("InternalError", 500, "not answer"),
    ],
)
def test_s3_errors_become_unavailable_without_details(
    s3: LikeS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, status: int, told: str
) -> None:
    source, sha256 = written(tmp_path / "a")

    def fail(**_: object) -> None:
        raise refused(code, "Any", status)

    for operation in ("head_object", "list_multipart_uploads", "create_multipart_upload", "upload_part"):
        with monkeypatch.context() as patched:
            patched.setattr(s3, operation, fail, raising=False)
            with pytest.raises(UnavailableError, match=told) as error:
                vault(s3).put(source, KEY, sha256)
        assert BUCKET not in str(error.value)
        assert vault(s3).find(KEY) is None
    vault(s3).put(source, KEY, sha256)
    with monkeypatch.context() as patched:
        patched.setattr(s3, "get_object", fail, raising=False)
        with pytest.raises(UnavailableError, match=told):
            vault(s3).fetch(KEY, tmp_path / "b")
    assert not (tmp_path / "b").exists()


class _Answers(BaseHTTPRequestHandler):
    """Answers 500, or not at all."""

    hangs = False

    def _answer(self) -> None:
        if self.hangs:
            time.sleep(5)
            return
        self.send_response(500)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def bucket_that(hangs: bool) -> Iterator[Any]:
    """Run a server that is no good, and give a client of it with less patience than ours."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Answers", (_Answers,), {"hangs": hangs}))
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = Config(connect_timeout=1, read_timeout=0.3, retries={"mode": "standard", "max_attempts": 2})
    try:
        yield boto3.client(
            "s3",
            region_name="eu-central-1",
            endpoint_url=f"http://127.0.0.1:{server.server_port}",
            aws_access_key_id="fake",
            aws_secret_access_key="fake",
            config=config,
        )
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("hangs", [False, True])
def test_failing_or_hanging_bucket_raises_unavailable_and_keeps_source(tmp_path: Path, hangs: bool) -> None:
    source, sha256 = written(tmp_path / "a")
    before = source.read_bytes()
    with bucket_that(hangs) as client:
        bad = vault(client)
        for attempt in (
            lambda: bad.put(source, KEY, sha256),
            lambda: bad.find(KEY),
            lambda: bad.fetch(KEY, tmp_path / "b"),
            lambda: bad.remove(KEY),
        ):
            with pytest.raises(UnavailableError, match="does not answer"):
                attempt()
    assert list(tmp_path.iterdir()) == [source]
    assert source.read_bytes() == before


def test_s3_client_has_bounded_timeouts_and_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    from vsv.aws.s3_object_store import s3_client  # noqa: PLC0415

    config = s3_client().meta.config
    assert config.connect_timeout <= 5
    assert config.read_timeout <= 60
    assert config.retries["total_max_attempts"] <= 5
