"""Store the review index and the feed of changes in SQLite; ``vsv.records.review_index`` defines the rows.

The feed numbers every change of every record, whichever process made the change; readers resume at their last number.
Only the feed's end is stored: a reader that was away for longer reads the records again.
"""

import json
import sqlite3

from vsv.records.items import Item
from vsv.records.review_index import Writes, checksums, writes
from vsv.records.review_queries import Span

FEED_LENGTH = 10_000

_COLUMNS = "SELECT place, item, count FROM review WHERE set_name = ?"
# One bound at each end: with two at one end SQLite would start at the wrong bound, and scan through the set.
_FORWARDS = f"{_COLUMNS} AND place >= ? AND place <= ? ORDER BY place LIMIT ?"
_FORWARDS_AFTER = f"{_COLUMNS} AND place > ? AND place <= ? ORDER BY place LIMIT ?"
_BACKWARDS = f"{_COLUMNS} AND place >= ? AND place <= ? ORDER BY place DESC LIMIT ?"
_BACKWARDS_AFTER = f"{_COLUMNS} AND place >= ? AND place < ? ORDER BY place DESC LIMIT ?"


def apply(connection: sqlite3.Connection, changes: Writes) -> None:
    """Write a change to the index, in the caller's transaction."""
    connection.executemany("DELETE FROM review WHERE set_name = ? AND place = ?", changes.delete)
    connection.executemany(
        "REPLACE INTO review (set_name, place, item) VALUES (?, ?, ?)",
        [(*row, _json(item)) for row, item in changes.put.items()],
    )
    connection.executemany(
        "INSERT INTO review (set_name, place, count) VALUES (?, ?, ?) "
        "ON CONFLICT DO UPDATE SET count = count + excluded.count",
        [(*row, count) for row, count in changes.add.items()],
    )


def rows(
    connection: sqlite3.Connection, set_name: str, span: Span, after: str | None, limit: int
) -> list[tuple[str, Item]]:
    """Return rows of a set within a span, after a place."""
    low, high = span.low, span.high
    if span.newest:
        sql, high = (_BACKWARDS, high) if after is None else (_BACKWARDS_AFTER, after)
    else:
        sql, low = (_FORWARDS, low) if after is None else (_FORWARDS_AFTER, after)
    selected = connection.execute(sql, (set_name, low, high, limit))
    return [(place, _item(item, count)) for place, item, count in selected]


def announce(connection: sqlite3.Connection, kind: str, key: str) -> None:
    """Add a numbered change to the feed, in the caller's transaction."""
    cursor = connection.execute("INSERT INTO feed (kind, key) VALUES (?, ?)", (kind, key))
    connection.execute("DELETE FROM feed WHERE seq <= ?", ((cursor.lastrowid or 0) - FEED_LENGTH,))


def changes_since(connection: sqlite3.Connection, seq: int | None) -> tuple[int, list[tuple[str, str]]]:
    """Return the newest number and the kind and key of each record changed after ``seq``; of none for None."""
    if seq is None:
        (newest,) = connection.execute("SELECT coalesce(max(seq), 0) FROM feed").fetchone()
        return newest, []
    changes = connection.execute(
        "SELECT seq, kind, key FROM feed WHERE seq > ? ORDER BY seq", (seq,)
    ).fetchall()
    return (changes[-1][0] if changes else seq), list(dict.fromkeys((kind, key) for _, kind, key in changes))


def index_stored_slides(connection: sqlite3.Connection) -> None:
    """Build the index of a file that an older version wrote; histories begin now."""
    for (item,) in connection.execute("SELECT item FROM slides").fetchall():
        apply(connection, writes(None, json.loads(item)))


def index_checksums(connection: sqlite3.Connection) -> None:
    """Build the sets of equal files of a file that an older version wrote."""
    for (item,) in connection.execute("SELECT item FROM slides").fetchall():
        rows = checksums(json.loads(item))
        connection.executemany("REPLACE INTO review (set_name, place) VALUES (?, ?)", rows)


def _json(item: Item) -> str | None:
    return json.dumps(item, ensure_ascii=False, separators=(",", ":")) if item else None


def _item(item: str | None, count: int | None) -> Item:
    content: Item = json.loads(item) if item else {}
    return content if count is None else content | {"Count": count}
