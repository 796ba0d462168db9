"""Store records as JSON items in SQLite: find them by key, change them, list them in pages."""

import json
import sqlite3
from typing import Generic, NamedTuple, TypeVar

from vsv.records.items import Item, Storable
from vsv.records.pagination import check_limit, decode_token, encode_token, is_key
from vsv.records.stores import Page

from vsv_local.stores.sqlite_database import Database

R = TypeVar("R", bound=Storable)


class Order(NamedTuple, Generic[R]):
    """An order of a list: a name for its tokens, and SQL that selects the item, then the key to continue after.

    The SQL's parameters are the value looked up, if there is one, then that key, then the number of rows.
    """

    kind: type[R]
    name: str
    key_parts: int
    sql: str


def find(connection: sqlite3.Connection, sql: str, key: str) -> Item | None:
    """Return the item under a key, or None."""
    if not is_key(key):
        return None
    row = connection.execute(sql, (key,)).fetchone()
    item: Item | None = json.loads(row[0]) if row else None
    return item


def changed(item: Item, fields: Item) -> Item:
    """Return the item with some fields changed; None removes a field."""
    return {name: value for name, value in (item | fields).items() if value is not None}


def to_json(item: Item) -> str:
    """Return an item as JSON text for storage."""
    return json.dumps(item, ensure_ascii=False, separators=(",", ":"))


def page(
    database: Database, order: Order[R], lookup: tuple[str, ...], limit: int, token: str | None
) -> Page[R]:
    """Return a page of the rows in an order, starting after the token's key."""
    limit = check_limit(limit)
    query = (order.name, *lookup)
    # No key is empty, so empty keys sort before the first row.
    after = decode_token(token, query, order.key_parts) or ("",) * order.key_parts
    if not all(map(is_key, lookup)):
        return Page(())
    with database.reading() as connection:
        # One row more than the limit shows whether there is a next page.
        rows = connection.execute(order.sql, (*lookup, *after, limit + 1)).fetchall()
    items = tuple(order.kind.from_item(json.loads(row[0])) for row in rows[:limit])
    return Page(items, encode_token(query, rows[limit - 1][1:]) if len(rows) > limit else None)
