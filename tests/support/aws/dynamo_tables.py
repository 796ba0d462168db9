"""DynamoDB for tests: the tables that CloudFormation makes in production, and moto behind a boto3 client."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from moto import mock_aws
from vsv.aws.dynamodb.table import dynamodb_client

SLIDES_INDEXES: dict[str, tuple[str, ...]] = {
    "CaseID-index": ("CaseID",),
    "Filename-index": ("Filename",),
    "Status-SlideID-index": ("Status", "SlideID"),
}
IMPORTS_INDEXES: dict[str, tuple[str, ...]] = {"State-UpdatedAt-index": ("State", "UpdatedAt")}
JOBS_INDEXES: dict[str, tuple[str, ...]] = {"State-NextAt-index": ("State", "NextAt")}


def create_tables(client: Any, slides_name: str, imports_name: str) -> None:
    """Create all tables with their indexes."""
    _create_table(client, slides_name, "ImageID", SLIDES_INDEXES)
    _create_table(client, imports_name, "Filename", IMPORTS_INDEXES)
    _create_table(client, f"{slides_name}-jobs", "JobID", JOBS_INDEXES)
    client.create_table(
        TableName=f"{slides_name}-review",
        KeySchema=_key_schema("Set", "Place"),
        AttributeDefinitions=[{"AttributeName": a, "AttributeType": "S"} for a in ("Place", "Set")],
        BillingMode="PAY_PER_REQUEST",
    )


def _create_table(client: Any, name: str, key: str, indexes: dict[str, tuple[str, ...]]) -> None:
    attributes = {key, *(attribute for keys in indexes.values() for attribute in keys)}
    client.create_table(
        TableName=name,
        KeySchema=_key_schema(key),
        AttributeDefinitions=[{"AttributeName": a, "AttributeType": "S"} for a in sorted(attributes)],
        GlobalSecondaryIndexes=[
            {"IndexName": index, "KeySchema": _key_schema(*keys), "Projection": {"ProjectionType": "ALL"}}
            for index, keys in indexes.items()
        ],
        BillingMode="PAY_PER_REQUEST",
    )


def _key_schema(*keys: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
    ]


class OneRequestAtATime:
    """A client whose requests exclude each other: moto's conditional writes are not atomic, DynamoDB's are.

    What threads do between two requests is still interleaved in any order, which is what the tests check.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lock = threading.Lock()

    def __getattr__(self, operation: str) -> Any:
        def request(**arguments: Any) -> Any:
            with self._lock:
                return getattr(self._client, operation)(**arguments)

        return request


@contextmanager
def mocked_dynamodb() -> Iterator[Any]:
    """Yield a client of an empty DynamoDB in memory; no request leaves this machine."""
    fake = {
        "AWS_ACCESS_KEY_ID": "fake",
        "AWS_SECRET_ACCESS_KEY": "fake",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name, value in fake.items():
            patch.setenv(name, value)
        yield OneRequestAtATime(dynamodb_client())
