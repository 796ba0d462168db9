"""One DynamoDB table of records: requests, typed attributes, pages, and conversion of errors.

Importing this module imports boto3, which is slow: functions that need no records should not import this module.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypeVar

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from vsv.errors import UnavailableError
from vsv.records.items import Item, Storable, number_types
from vsv.records.pagination import check_limit, decode_token, encode_token, is_key
from vsv.records.stores import Page

R = TypeVar("R", bound=Storable)

BATCH_SIZE = 100  # DynamoDB's limit for BatchGetItem
BATCH_ATTEMPTS = 6
BATCH_PAUSE_S = 0.05  # back-off before the second attempt, doubled before each further attempt

_SERIALIZER = TypeSerializer()
_DESERIALIZER = TypeDeserializer()


def dynamodb_client() -> Any:
    """Return a boto3 client that fails in seconds, not in minutes; threads and stores may share the client."""
    retries = {"mode": "standard", "max_attempts": 4}
    return boto3.client("dynamodb", config=Config(connect_timeout=2, read_timeout=5, retries=retries))


class Order(NamedTuple):
    """The order of a list: its index, the index's hash key, and the keys that distinguish the rows."""

    index_name: str
    hash_key: str
    row_key: tuple[str, ...]


class BusyError(Exception):
    """Another transaction was writing one of a transaction's items: retry."""


class RefusedError(Exception):
    """A write's condition did not hold; ``item`` is the stored item, None where there is none."""

    def __init__(self, item: Mapping[str, Any] | None) -> None:
        super().__init__("condition failed")
        self.item = item


class Table(Generic[R]):
    """One table: its requests, its items as records, its errors as the domain's errors."""

    def __init__(self, name: str, key: str, record_type: type[R], client: Any) -> None:
        self._name = name
        self._client = client or dynamodb_client()
        self._key = key
        self._record_type = record_type

    def get(self, key: str) -> R | None:
        """Return the record after the latest write, None where there is none."""
        attributes = self.attributes(key)
        return None if attributes is None else self.record(attributes)

    def attributes(self, key: str) -> Mapping[str, Any] | None:
        """Return the item after the latest write, as DynamoDB's typed attributes; None where there is none."""
        if not is_key(key):
            return None
        with plain_errors():
            response = self._client.get_item(TableName=self._name, Key=self._key_of(key), ConsistentRead=True)
        item: Mapping[str, Any] | None = response.get("Item")
        return item

    def put(self, item: Item, condition: str, values: Item) -> None:
        """Write the item if ``condition`` holds, else raise RefusedError; ``values`` fill its ``:names``."""
        expressions = _expressions(condition, values)
        with plain_errors():
            self._client.put_item(TableName=self._name, Item=_attributes(item), **expressions)

    def put_request(self, item: Item, condition: str, values: Item) -> Item:
        """Return a transaction request that writes the item if ``condition`` holds."""
        return {
            "Put": {"TableName": self._name, "Item": _attributes(item), **_expressions(condition, values)}
        }

    def delete_request(self, key: str, condition: str, values: Item) -> Item:
        """Return a transaction request that deletes the item if ``condition`` holds."""
        expressions = _expressions(condition, values)
        return {"Delete": {"TableName": self._name, "Key": self._key_of(key), **expressions}}

    def delete(self, key: str, condition: str, values: Item) -> None:
        """Delete the item if ``condition`` holds, else raise RefusedError."""
        expressions = _expressions(condition, values)
        with plain_errors():
            self._client.delete_item(TableName=self._name, Key=self._key_of(key), **expressions)

    def transact(self, requests: Sequence[Item]) -> None:
        """Write all requests or none; raise RefusedError where a condition does not hold, BusyError for a retry."""
        with plain_errors():
            self._client.transact_write_items(TransactItems=list(requests))

    def update(self, key: str, changes: Item, condition: str, values: Item, also: Sequence[str] = ()) -> R:
        """Write ``changes`` (None removes) and the assignments ``also`` if ``condition`` holds; return the record."""
        if not is_key(key):
            raise RefusedError(None)
        assigned = {name: value for name, value in changes.items() if value is not None}
        assignments = [*also, *(f"#{name} = :{name}" for name in assigned)]
        removed = [f"#{name}" for name in changes.keys() - assigned.keys()]
        update = "SET " + ", ".join(assignments) + (" REMOVE " + ", ".join(removed) if removed else "")
        request = _expressions(condition, values | assigned, update) | {"ReturnValues": "ALL_NEW"}
        with plain_errors():
            response = self._client.update_item(TableName=self._name, Key=self._key_of(key), **request)
        return self.record(response["Attributes"])

    def page(self, order: Order | None, value: str, limit: int, token: str | None) -> Page[R]:
        """Return a page of the rows with ``value`` in the order's hash key; without an order, of all rows."""
        limit = check_limit(limit)
        query = (self._record_type.__name__, order.index_name if order else "", value)
        row_key = order.row_key if order else (self._key,)
        start = decode_token(token, query, parts=len(row_key))
        if order and not is_key(value):
            return Page(())
        # Reading one extra row shows whether there is a next page; DynamoDB's LastEvaluatedKey does not.
        response = self._read(order, value, limit + 1, dict(zip(row_key, start or (), strict=False)))
        rows, last = response["Items"], response.get("LastEvaluatedKey")
        if len(rows) > limit:
            rows, last = rows[:limit], rows[limit - 1]
        next_token = encode_token(query, [last[name]["S"] for name in row_key]) if last else None
        return Page(tuple(map(self.record, rows)), next_token)

    def _read(self, order: Order | None, value: str, limit: int, start: Item) -> Any:
        request: dict[str, Any] = {"TableName": self._name, "Limit": limit}
        if start:
            hash_key = {order.hash_key: value} if order else {}
            request["ExclusiveStartKey"] = _attributes(start | hash_key)
        with plain_errors():
            if order is None:
                return self._client.scan(**request)
            return self._client.query(
                IndexName=order.index_name,
                KeyConditionExpression="#hash = :hash",
                ExpressionAttributeNames={"#hash": order.hash_key},
                ExpressionAttributeValues=_attributes({":hash": value}),
                **request,
            )

    def get_many(self, keys: Sequence[str]) -> Iterator[R]:
        """Yield the records that exist, once each, in any order."""
        wanted = [key for key in dict.fromkeys(keys) if is_key(key)]
        for start in range(0, len(wanted), BATCH_SIZE):
            yield from self._batch(wanted[start : start + BATCH_SIZE])

    def _batch(self, keys: Sequence[str]) -> Iterator[R]:
        request = {self._name: {"Keys": [self._key_of(key) for key in keys], "ConsistentRead": True}}
        for attempt in range(BATCH_ATTEMPTS):
            if attempt:
                time.sleep(BATCH_PAUSE_S * 2 ** (attempt - 1))
            with plain_errors():
                response = self._client.batch_get_item(RequestItems=request)
            yield from (self.record(item) for items in response["Responses"].values() for item in items)
            request = response.get("UnprocessedKeys")
            if not request:
                return
        raise UnavailableError("The record store is overloaded: try again in a minute.")

    def _key_of(self, key: str) -> Item:
        return _attributes({self._key: key})

    def record(self, attributes: Mapping[str, Any]) -> R:
        """Return the record of DynamoDB's typed attributes."""
        return self._record_type.from_item(self.item(attributes))

    def item(self, attributes: Mapping[str, Any]) -> Item:
        """Return the item of DynamoDB's typed attributes."""
        item = {name: _DESERIALIZER.deserialize(value) for name, value in attributes.items()}
        if item.pop("NoSlideID", False):
            item.pop("SlideID", None)
        for name, kind in number_types(self._record_type).items():
            if name in item:  # DynamoDB returns every number as a Decimal
                item[name] = kind(item[name])
        return item


def _attributes(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item's values with DynamoDB's types; floats as their shortest exact decimal."""
    exact = {name: Decimal(repr(v)) if isinstance(v, float) else v for name, v in item.items()}
    return {name: _SERIALIZER.serialize(value) for name, value in exact.items()}


def _expressions(condition: str, values: Mapping[str, Any], update: str | None = None) -> dict[str, Any]:
    """Return the arguments of a conditional write in whose expressions every name has a ``#``."""
    # Many field names (Status, State, Size, Error) are reserved words of DynamoDB.
    aliases = re.findall(r"#\w+", f"{condition} {update}")
    arguments: dict[str, Any] = {
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {alias: alias[1:] for alias in aliases},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    if values:
        named = {f":{name}": value for name, value in values.items()}
        arguments["ExpressionAttributeValues"] = _attributes(named)
    return arguments | ({"UpdateExpression": update} if update else {})


@contextmanager
def plain_errors() -> Iterator[None]:
    """Convert boto3's errors to the domain's: boto3's messages contain ARNs, endpoints and request IDs."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ConditionalCheckFailedException":
            raise RefusedError(error.response.get("Item")) from None
        if code == "TransactionCanceledException":
            raise _cancelled(error.response.get("CancellationReasons", ())) from None
        raise UnavailableError("The record store refuses requests now: try again later.") from error
    except BotoCoreError as error:
        raise UnavailableError("The record store cannot be reached now: try again later.") from error


def _cancelled(reasons: Sequence[Mapping[str, Any]]) -> Exception:
    """Return the error of a cancelled transaction: a condition that did not hold, or another writer."""
    codes = [reason.get("Code") for reason in reasons]
    if "ConditionalCheckFailed" in codes:
        return RefusedError(reasons[codes.index("ConditionalCheckFailed")].get("Item"))
    if {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"} & set(codes):
        return BusyError("another transaction")
    return UnavailableError("The record store refuses this change.")
