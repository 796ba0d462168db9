"""The review index in DynamoDB: one table with hash key ``Set`` and range key ``Place``.

Its rows are written in the transaction that writes the record (``TransactWriteItems``), and read consistently.
``vsv.records.review_index`` defines the rows. A set is one partition key: DynamoDB splits a large or busy partition
by range.
"""

from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from vsv.aws.dynamodb.table import plain_errors
from vsv.records.items import Item
from vsv.records.review_index import Row, Writes
from vsv.records.review_queries import Span
from vsv.timestamps import now_utc

_SERIALIZER = TypeSerializer()
_DESERIALIZER = TypeDeserializer()


class ReviewTable:
    """The rows of the review table, and the requests that write them in a transaction."""

    def __init__(self, name: str, client: Any) -> None:
        self._name = name
        self._client = client

    def requests(self, index_writes: Writes) -> list[Item]:
        """Return the transaction requests for a change's writes to the index."""
        puts = [
            {"Put": {"TableName": self._name, "Item": _key(row) | _typed(item)}}
            for row, item in index_writes.put.items()
        ]
        deletes = [
            {"Delete": {"TableName": self._name, "Key": _key(row)}} for row in sorted(index_writes.delete)
        ]
        return [*puts, *deletes, *(self._addition(row, count) for row, count in index_writes.add.items())]

    def _addition(self, row: Row, count: int) -> Item:
        return {
            "Update": {
                "TableName": self._name,
                "Key": _key(row),
                "UpdateExpression": "ADD #count :count",
                "ExpressionAttributeNames": {"#count": "Count"},
                "ExpressionAttributeValues": {":count": {"N": str(count)}},
            }
        }

    def signal(self, row: Row) -> None:
        """Write a row that holds nothing but the time, and remove it: the table's stream tells of it."""
        with plain_errors():
            self._client.put_item(TableName=self._name, Item=_key(row) | _typed({"At": now_utc()}))
            self._client.delete_item(TableName=self._name, Key=_key(row))

    def rows(self, set_name: str, span: Span, after: str | None, limit: int) -> list[tuple[str, Item]]:
        """Return at most ``limit`` rows of a set within a span, after a place."""
        request: dict[str, Any] = {
            "TableName": self._name,
            "KeyConditionExpression": "#set = :set AND #place BETWEEN :low AND :high",
            "ExpressionAttributeNames": {"#set": "Set", "#place": "Place"},
            "ExpressionAttributeValues": _typed({":set": set_name, ":low": span.low, ":high": span.high}),
            "ScanIndexForward": not span.newest,
            "ConsistentRead": True,
        }
        rows: list[tuple[str, Item]] = []
        start = None if after is None else _key((set_name, after))
        while len(rows) < limit:
            if start:
                request["ExclusiveStartKey"] = start
            with plain_errors():
                response = self._client.query(Limit=limit - len(rows), **request)
            rows += map(_row, response["Items"])
            # Only a missing key means that there are no more rows: a page also ends at 1 MB.
            if (start := response.get("LastEvaluatedKey")) is None:
                break
        return rows


def _key(row: Row) -> Item:
    return _typed({"Set": row[0], "Place": row[1]})


def _typed(item: Mapping[str, Any]) -> Item:
    return {name: _SERIALIZER.serialize(value) for name, value in item.items()}


def _row(attributes: Mapping[str, Any]) -> tuple[str, Item]:
    item = {name: _DESERIALIZER.deserialize(value) for name, value in attributes.items()}
    place = item.pop("Place")
    for name in {"Count", "Version"} & item.keys():  # DynamoDB returns every number as a Decimal
        item[name] = int(item[name])
    return place, item
