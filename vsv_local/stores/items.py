"""Records as JSON items in SQLite: found by key, changed, listed in pages."""

import json
import sqlite3
from typing import Generic, NamedTuple, TypeVar

from vsv.records.items import Item, Storable
from vsv.records.pagination import check_limit, decode_token, encode_token, is_key
from vsv.records.stores import Page

from vsv_local.stores.sqlite_database import Database

R = TypeVar("R", bound=Storable)


class Order(NamedTuple, Generic[R]):
    """An order to list in: a name for its tokens, and SQL that gives the item, then the key to go on after.

    The SQL's parameters are what is looked up, if anything, then that key, then how many rows.
    """

    kind: type[R]
    name: str
    key_parts: int
    sql: str


def find(connection: sqlite3.Connection, sql: str, key: str) -> Item | None:
    """Give the item under a key, or None."""
    if not is_key(key):
        return None
    row = connection.execute(sql, (key,)).fetchone()
    item: Item | None = json.loads(row[0]) if row else None
    return item


def changed(item: Item, fields: Item) -> Item:
    """Give the item with some fields changed; None removes one."""
    return {name: value for name, value in (item | fields).items() if value is not None}


def to_json(item: Item) -> str:
    """Give an item as it is written."""
    return json.dumps(item, ensure_ascii=False, separators=(",", ":"))


def page(
    database: Database, order: Order[R], wanted: tuple[str, ...], limit: int, token: str | None
) -> Page[R]:
    """Give a page of the rows in an order, after what the token says."""
    limit = check_limit(limit)
    query = (order.name, *wanted)
    # No key is empty, so empty ones lie before the first row.
    after = decode_token(token, query, order.key_parts) or ("",) * order.key_parts
    if not all(map(is_key, wanted)):
        return Page(())
    with database.reading() as connection:
        # One row more than asked for tells whether there is a next page.
        rows = connection.execute(order.sql, (*wanted, *after, limit + 1)).fetchall()
    items = tuple(order.kind.from_item(json.loads(row[0])) for row in rows[:limit])
    return Page(items, encode_token(query, rows[limit - 1][1:]) if len(rows) > limit else None)
