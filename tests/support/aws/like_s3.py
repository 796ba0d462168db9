"""An S3 for tests that also does what moto omits, and files to upload."""

import base64
import hashlib
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

BUCKET, REGION = "bucket-of-tests", "eu-central-1"
PART = 64 * 1024
KEY = "1004486/slide.svs"


def written(path: Path, size: int = 5 * PART + 17, seed: int = 1) -> tuple[Path, str]:
    """Write a file; return its path and its SHA-256."""
    data = random.Random(seed).randbytes(size)
    path.write_bytes(data)
    return path, hashlib.sha256(data).hexdigest()


def refused(code: str, operation: str, status: int = 400) -> ClientError:
    """Return the error that S3 answers with."""
    answer: Any = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)


class LikeS3:
    """moto's client; parts are compared with their checksums, and listed with them, as S3 does.

    ``calls`` counts requests; after ``dies_after`` parts the process is "killed".
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: Counter[str] = Counter()
        self.dies_after: int | None = None
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

    def put_object(self, **whole: Any) -> Any:
        _check(whole, "PutObject")
        return self._client.put_object(**whole)

    def get_paginator(self, name: str) -> Any:
        return _Pages(self._client.get_paginator(name), self._checksums)


class KilledError(BaseException):
    """The process is "killed": code that handles errors does not run either."""


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
