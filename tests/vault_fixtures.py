"""Both kinds of vault, for tests that hold for either, and an S3 that does what moto leaves out."""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from vsv.folder_vault import FolderVault
from vsv.s3_vault import S3Vault
from vsv.vault import Vault

BUCKET, REGION = "bucket-of-tests", "eu-central-1"
PART = 64 * 1024


def refused(code: str, operation: str, status: int = 400) -> ClientError:
    """Make the error that S3 answers with."""
    answer: Any = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)


class LikeS3:
    """moto's client; parts are compared with their checksums, and listed with them, as S3 does.

    ``calls`` counts requests; ``dies_after`` parts the process is "killed".
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: Counter[str] = Counter()
        self.dies_after: int | None = None
        self._algorithms: dict[str, str] = {}
        self._checksums: dict[tuple[str, int], str] = {}

    def __getattr__(self, operation: str) -> Any:
        def request(**arguments: Any) -> Any:
            self.calls[operation] += 1
            return getattr(self._client, operation)(**arguments)

        return request

    def upload_part(self, **part: Any) -> Any:
        if self.dies_after is not None and self.calls["upload_part"] >= self.dies_after:
            raise KilledError
        self.calls["upload_part"] += 1
        _check(part, "UploadPart")
        self._checksums[part["UploadId"], part["PartNumber"]] = part["ChecksumSHA256"]
        return self._client.upload_part(**part)

    def list_multipart_uploads(self, **asked: Any) -> Any:
        told = self._client.list_multipart_uploads(**asked)
        for upload in told.get("Uploads", ()):
            upload["ChecksumAlgorithm"] = self._algorithms[upload["UploadId"]]
        return told

    def create_multipart_upload(self, **made: Any) -> Any:
        self.calls["create_multipart_upload"] += 1
        begun = self._client.create_multipart_upload(**made)
        self._algorithms[begun["UploadId"]] = made["ChecksumAlgorithm"]
        return begun

    def put_object(self, **whole: Any) -> Any:
        _check(whole, "PutObject")
        return self._client.put_object(**whole)

    def get_paginator(self, name: str) -> Any:
        return _Pages(self._client.get_paginator(name), self._checksums)


class KilledError(BaseException):
    """Nothing is done after this, not even what an error would do."""


class _Pages:
    def __init__(self, paginator: Any, checksums: dict[tuple[str, int], str]) -> None:
        self._paginator, self._checksums = paginator, checksums

    def paginate(self, **asked: Any) -> Iterator[Any]:
        for page in self._paginator.paginate(**asked, PaginationConfig={"PageSize": 2}):
            for part in page.get("Parts", ()):
                part["ChecksumSHA256"] = self._checksums[asked["UploadId"], part["PartNumber"]]
            yield page


def _check(sent: dict[str, Any], operation: str) -> None:
    digest = base64.b64encode(hashlib.sha256(sent["Body"]).digest()).decode()
    if sent["ChecksumSHA256"] != digest:
        raise refused("BadDigest", operation)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[LikeS3]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "fake")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setattr("moto.settings.S3_UPLOAD_PART_MIN_SIZE", 1)
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1, raising=False)
    for module, name in (("s3_parts", "SMALLEST_PART"), ("s3_vault", "RANGE")):
        monkeypatch.setattr(f"vsv.{module}.{name}", PART)
    monkeypatch.setattr("vsv.s3_parts.MIB", 1)
    with mock_aws():
        client = boto3.client("s3", region_name=REGION)
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield LikeS3(client)


@pytest.fixture(params=["folder", "s3"])
def vault(request: pytest.FixtureRequest, tmp_path: Path) -> Vault:
    if request.param == "s3":
        return S3Vault(BUCKET, "originals", "STANDARD", request.getfixturevalue("s3"))
    root = tmp_path / "copies"
    root.mkdir()
    return FolderVault(root)
