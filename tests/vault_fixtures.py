"""Both kinds of vault, for tests that hold for either: ``pytest_plugins = ["tests.vault_fixtures"]``."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from vsv.aws.s3_object_store import S3ObjectStore
from vsv.storage.folder_object_store import FolderObjectStore
from vsv.storage.object_store import ObjectStore

from tests.like_s3 import BUCKET, PART, REGION, LikeS3


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[LikeS3]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "fake")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setattr("moto.settings.S3_UPLOAD_PART_MIN_SIZE", 1)
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1, raising=False)
    for module, name in (("s3_parts", "SMALLEST_PART"), ("s3_vault", "RANGE")):
        monkeypatch.setattr(f"vsv.{module}.{name}", PART)
    monkeypatch.setattr("vsv.aws.s3_multipart.MIB", 1)
    with mock_aws():
        client = boto3.client("s3", region_name=REGION)
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield LikeS3(client)


@pytest.fixture(params=["folder", "s3"])
def vault(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "s3":
        return S3ObjectStore(BUCKET, "originals", "STANDARD", request.getfixturevalue("s3"))
    root = tmp_path / "copies"
    root.mkdir()
    return FolderObjectStore(root)
