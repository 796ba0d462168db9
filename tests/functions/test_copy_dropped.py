"""Objects of the drop-in bucket on their way in: in ranges, killed and gone on with, verified; on moto's S3."""

import hashlib
import zlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from copy_dropped import handler, object_copy
from copy_dropped.object_copy import ObjectCopy
from copy_dropped.run_copy import copy_in
from moto import mock_aws
from vsv.errors import BadRequestError, FileMissingError, TransferError, UnavailableError
from vsv.ingest.drop_object import DroppedObject
from vsv.records.models import ImportRecord, ImportState

from tests.support.servers.running import Site
from tests.support.slides.small import slide_bytes

BUCKET, REGION = "drop-in", "eu-central-1"
CONTENT = slide_bytes()
SIZE = len(CONTENT)
RANGE = 64 * 1024  # five ranges and a bit
RANGES = -(-SIZE // RANGE)


@pytest.fixture(autouse=True)
def _small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_copy, "RANGE", RANGE)
    monkeypatch.setattr(object_copy, "_BLOCK", 10_000)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "fake")
    with mock_aws():
        client = boto3.client("s3", REGION)
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield client


class Counting:
    """The client, with what was asked of it, and what it does instead."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.asked: list[dict[str, Any]] = []
        self.told: dict[str, Any] = {}
        self.broken: Exception | None = None

    def get_object(self, **request: Any) -> Any:
        self.asked.append(request)
        if self.broken:
            raise self.broken
        return self._client.get_object(**request)

    def head_object(self, **request: Any) -> Any:
        return self._client.head_object(**request) | self.told


def dropped(s3: Any, content: bytes = CONTENT, **more: Any) -> DroppedObject:
    answer = s3.put_object(Bucket=BUCKET, Key="a ü.svs", Body=content, **more)
    return DroppedObject(BUCKET, "a ü.svs", answer["VersionId"])


def begun(site: Site, wanted: DroppedObject, size: int = SIZE) -> ImportRecord:
    run = ImportRecord(
        filename="a ü.svs", size=size, state=ImportState.TRANSFERRING, run_id="run-1", source=wanted.source,
        started_at="2026-11-21T00:00:00.000000Z", updated_at="2026-11-21T00:00:00.000000Z",
    )  # fmt: skip
    site.services.imports.start(run, replaces=None)
    return run


def always() -> bool:
    return True


def never() -> bool:
    return False


def starts(client: Counting) -> list[int]:
    return [int(request["Range"].removeprefix("bytes=").split("-")[0]) for request in client.asked]


def check_copied(site: Site) -> None:
    (path,) = (site.services.files.root / "taken/a ü.svs").iterdir()
    assert (path.name, path.read_bytes()) == ("run-1.svs", CONTENT)
    run = site.services.imports.get("a ü.svs")
    assert run is not None
    assert run.checksum == hashlib.sha256(CONTENT).hexdigest()


def test_copy_reads_the_named_version_in_ranges_and_records_its_checksum(site: Site, s3: Any) -> None:
    wanted = dropped(s3)
    dropped(s3, b"a later version")
    client = Counting(s3)
    assert copy_in(site.services, begun(site, wanted), wanted, client, always)
    check_copied(site)
    assert starts(client) == [number * RANGE for number in range(RANGES)]
    assert {request["VersionId"] for request in client.asked} == {wanted.version}


def test_copy_without_time_left_copies_a_range_and_resumes_in_the_next_call(site: Site, s3: Any) -> None:
    wanted, client = dropped(s3), Counting(s3)
    run = begun(site, wanted)
    ends = [copy_in(site.services, run, wanted, client, never) for _ in range(RANGES)]
    assert ends == [False] * (RANGES - 1) + [True]
    check_copied(site)


def test_killed_copy_resumes_from_its_last_complete_range(site: Site, s3: Any) -> None:
    wanted = dropped(s3)
    run, part = (
        begun(site, wanted),
        site.services.files.taken("a ü.svs", "run-1").with_name("run-1.svs.part"),
    )
    part.parent.mkdir(parents=True)
    holes = bytearray(CONTENT[: 3 * RANGE + 100])
    holes[2 * RANGE + 50 :] = bytes(RANGE + 50)  # written out of order, and the rest lost
    part.write_bytes(holes[: 3 * RANGE])
    client = Counting(s3)
    assert copy_in(site.services, run, wanted, client, always)
    check_copied(site)
    assert starts(client) == [number * RANGE for number in range(2, RANGES)]


def test_finished_copy_is_not_copied_again(site: Site, s3: Any) -> None:
    wanted = dropped(s3)
    run = begun(site, wanted)
    copy_in(site.services, run, wanted, s3, always)
    noted, client = site.services.imports.get("a ü.svs"), Counting(s3)
    assert noted is not None
    assert copy_in(site.services, noted, wanted, client, never)
    assert client.asked == []


def test_copy_killed_before_its_rename_is_completed_by_the_next_call(
    site: Site, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = dropped(s3)
    run = begun(site, wanted)
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        copy_in(site.services, run, wanted, s3, always)
    assert copy_in(site.services, run, wanted, s3, always)
    check_copied(site)


@pytest.mark.parametrize(
    "told",
    [
        {"ChecksumSHA256": b64encode(hashlib.sha256(b"other").digest()).decode()},
        {
            "ChecksumCRC32": b64encode(zlib.crc32(b"other").to_bytes(4)).decode(),
            "ChecksumType": "FULL_OBJECT",
        },
        {"ETag": f'"{"0" * 32}"'},
        {"ContentLength": SIZE + 1},
    ],
    ids=lambda told: next(iter(told)),
)
def test_copy_that_differs_from_s3_checksum_is_removed(site: Site, s3: Any, told: dict[str, Any]) -> None:
    wanted, client = dropped(s3), Counting(s3)
    client.told = told
    with pytest.raises(TransferError, match="differs"):
        copy_in(site.services, begun(site, wanted), wanted, client, always)
    assert list((site.services.files.root / "taken/a ü.svs").iterdir()) == []


@pytest.mark.parametrize(
    "told",
    [
        {"ChecksumSHA256": b64encode(hashlib.sha256(CONTENT).digest()).decode()},
        {"ChecksumCRC32": b64encode(zlib.crc32(CONTENT).to_bytes(4)).decode(), "ChecksumType": "FULL_OBJECT"},
        {"ChecksumSHA256": "of-parts-2", "ChecksumType": "COMPOSITE", "ETag": f'"{"0" * 32}-2"'},
        {"ETag": f'"{"0" * 32}"', "ServerSideEncryption": "aws:kms"},
    ],
    ids=["sha256", "crc32", "in parts", "kms"],
)
def test_copy_is_accepted_for_each_kind_of_s3_checksum(site: Site, s3: Any, told: dict[str, Any]) -> None:
    wanted, client = dropped(s3), Counting(s3)
    client.told = told
    assert copy_in(site.services, begun(site, wanted), wanted, client, always)
    check_copied(site)


@pytest.mark.parametrize("size", [SIZE - 1, SIZE + 1])
def test_object_of_another_size_is_refused(site: Site, s3: Any, size: int) -> None:
    wanted = dropped(s3)
    with pytest.raises(TransferError, match="another size"):
        copy_in(site.services, begun(site, wanted, size), wanted, s3, always)


def test_object_without_version_is_read_under_its_etag(site: Site, s3: Any) -> None:
    etag = s3.put_object(Bucket=BUCKET, Key="a ü.svs", Body=CONTENT)["ETag"].strip('"')
    wanted = DroppedObject(BUCKET, "a ü.svs", None, etag)
    client = Counting(s3)
    assert copy_in(site.services, begun(site, wanted), wanted, client, always)
    check_copied(site)
    assert {request["IfMatch"] for request in client.asked} == {f'"{etag}"'}


def failure(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "/secret/key"}}, "GetObject")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (failure("NoSuchKey"), FileMissingError),
        (failure("NoSuchVersion"), FileMissingError),
        (failure("PreconditionFailed"), FileMissingError),
        (failure("AccessDenied"), FileMissingError),
        (failure("SlowDown"), UnavailableError),
        (failure("InternalError"), UnavailableError),
        (EndpointConnectionError(endpoint_url="https://secret"), UnavailableError),
        (OSError(28, "No space left on device", "/secret/path"), UnavailableError),
    ],
    ids=repr,
)
def test_s3_and_disk_errors_are_raised_without_details(
    site: Site, s3: Any, error: Exception, kind: type[Exception]
) -> None:
    wanted, client = dropped(s3), Counting(s3)
    client.broken = error
    with pytest.raises(kind) as told:
        copy_in(site.services, begun(site, wanted), wanted, client, always)
    assert type(told.value) is kind
    assert "secret" not in str(told.value)


def test_copy_that_differs_on_disk_raises_transfer_error(
    site: Site, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = dropped(s3)
    monkeypatch.setattr(object_copy, "_checksum_from", lambda *_: b"")
    with pytest.raises(TransferError, match="copied again"):
        copy_in(site.services, begun(site, wanted), wanted, s3, always)


def test_copy_reports_progress_in_bytes(tmp_path: Path, s3: Any) -> None:
    told: list[tuple[int, int]] = []
    copy = ObjectCopy(s3, dropped(s3), tmp_path / "x.part", SIZE)
    assert copy.resume(always, lambda done, total: told.append((done, total)))
    assert told == [(min((number + 1) * RANGE, SIZE), SIZE) for number in range(RANGES)]


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return handler.MARGIN_MS


def test_handler_answers_whether_the_copy_is_done(
    site: Site, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "_client", lambda: s3)
    begun(site, dropped(s3))
    event = {"filename": "a ü.svs", "runId": "run-1", "transfer": {"completed": 0, "rounds": 7}}
    assert handler.lambda_handler(event, Context()) == {
        "done": False, "completed": 0, "rounds": 8, "waitSeconds": 1,
    }  # fmt: skip


def test_handler_refuses_run_without_s3_source(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "_client", lambda: None)
    run = begun(site, DroppedObject(BUCKET, "a ü.svs", "1"))
    site.services.imports.advance(run.filename, run.run_id, {"source": None})
    with pytest.raises(BadRequestError):
        handler.lambda_handler({"filename": "a ü.svs", "runId": "run-1"}, Context())
