"""Both kinds of record store: ``pytest_plugins = ["tests.support.stores.store_fixtures"]``."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vsv.aws.dynamodb.jobs import DynamoJobStore
from vsv.aws.dynamodb.slides_and_imports import DynamoImportStore, DynamoSlideStore
from vsv.records.stores import ImportStore, JobStore, SlideStore

from tests.support.aws.dynamo_tables import create_tables, mocked_dynamodb
from tests.support.stores.store_records import Stores
from vsv_local.stores.sqlite_records import SqliteImportStore, SqliteJobStore, SqliteSlideStore, open_database

TABLE_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[Any]:
    with mocked_dynamodb() as client:
        yield client


@pytest.fixture(params=["sqlite", "dynamodb"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    if request.param == "sqlite":
        with open_database(tmp_path / "records.db") as database:
            yield Stores(SqliteSlideStore(database), SqliteImportStore(database), SqliteJobStore(database))
    else:
        client = request.getfixturevalue("dynamodb")
        slides_name, imports_name = (f"{kind}-{next(TABLE_NUMBERS)}" for kind in ("slides", "imports"))
        create_tables(client, slides_name, imports_name)
        yield Stores(
            DynamoSlideStore(slides_name, client),
            DynamoImportStore(imports_name, client),
            DynamoJobStore(f"{slides_name}-jobs", client),
        )
        # moto copies all tables for each transaction: tables left here would slow down every later test.
        for name in (slides_name, f"{slides_name}-review", f"{slides_name}-jobs", imports_name):
            client.delete_table(TableName=name)


@pytest.fixture
def slides(stores: Stores) -> SlideStore:
    return stores.slides


@pytest.fixture
def imports(stores: Stores) -> ImportStore:
    return stores.imports


@pytest.fixture
def jobs(stores: Stores) -> JobStore:
    return stores.jobs
