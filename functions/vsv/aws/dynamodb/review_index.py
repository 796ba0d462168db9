"""The review index in DynamoDB: one table with hash key ``Set`` and range key ``Place``.

Its rows are written in the transaction that writes the record (``TransactWriteItems``), and read consistently.
``review_index`` says what they mean. A set is one partition key: DynamoDB splits a large or busy one by range.
"""

from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from vsv.aws.dynamodb.table import plain_errors
from vsv.records.items import Item
from vsv.records.review_index import Row, Writes
from vsv.records.review_queries import Span

_SERIALIZER = TypeSerializer()
_DESERIALIZER = TypeDeserializer()


class ReviewTable:
    """The table's rows, and the requests that a transaction needs for them."""

    def __init__(self, name: str, client: Any) -> None:
        self._name = name
        self._client = client

    def requests(self, done: Writes) -> list[Item]:
        """Give a transaction's requests for what a change does to the index."""
        puts = [
            {"Put": {"TableName": self._name, "Item": _key(row) | _typed(i)}} for row, i in done.put.items()
        ]
        deletes = [{"Delete": {"TableName": self._name, "Key": _key(row)}} for row in sorted(done.delete)]
        return [*puts, *deletes, *(self._addition(row, count) for row, count in done.add.items())]

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

    def rows(self, set_name: str, span: Span, after: str | None, limit: int) -> list[tuple[str, Item]]:
        """Give rows of a set within a span, after a place."""
        request: dict[str, Any] = {
            "TableName": self._name,
            "KeyConditionExpression": "#set = :set AND #place BETWEEN :low AND :high",
            "ExpressionAttributeNames": {"#set": "Set", "#place": "Place"},
            "ExpressionAttributeValues": _typed({":set": set_name, ":low": span.low, ":high": span.high}),
            "ScanIndexForward": not span.newest,
            "ConsistentRead": True,
        }
        found: list[tuple[str, Item]] = []
        start = None if after is None else _key((set_name, after))
        while len(found) < limit:
            started = {"ExclusiveStartKey": start} if start else {}
            with plain_errors():
                answer = self._client.query(Limit=limit - len(found), **request, **started)
            found += map(_row, answer["Items"])
            # Only this says that there is no more: a page also ends at 1 MB.
            if (start := answer.get("LastEvaluatedKey")) is None:
                break
        return found


def _key(row: Row) -> Item:
    return _typed({"Set": row[0], "Place": row[1]})


def _typed(item: Mapping[str, Any]) -> Item:
    return {name: _SERIALIZER.serialize(value) for name, value in item.items()}


def _row(attributes: Mapping[str, Any]) -> tuple[str, Item]:
    item = {name: _DESERIALIZER.deserialize(value) for name, value in attributes.items()}
    place = item.pop("Place")
    for name in {"Count", "Version"} & item.keys():  # every number comes as a Decimal
        item[name] = int(item[name])
    return place, item
