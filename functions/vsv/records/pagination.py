"""Opaque pagination tokens: where the last page of one query ended.

A token is not signed. A forged token only changes where in the same query a page starts. Its content is therefore
checked for type and length before a store sees it, and nothing else depends on the token.
"""

import base64
import hashlib
import json
import re
from collections.abc import Sequence

from vsv.errors import InvalidQueryError, InvalidTokenError

MAX_LIMIT = 1000
MAX_TOKEN_CHARS = 1024
# Two keys of this size, the query's digest and the JSON around them still fit a token, base64 included.
MAX_KEY_BYTES = 340

_TOKEN = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_TOKEN_CHARS}}}")


def is_key(value: object) -> bool:
    """Return whether a value can be a record's key: text, not empty, at most MAX_KEY_BYTES as JSON."""
    if not isinstance(value, str) or not value:
        return False
    try:
        # A token holds the key as JSON, where control characters take six bytes.
        return len(_compact(value)) - len('""') <= MAX_KEY_BYTES
    except UnicodeEncodeError:  # half a surrogate pair: no store can hold it
        return False


def check_limit(limit: object) -> int:
    """Return the page size; raise InvalidQueryError unless ``limit`` is a whole number from 1 to MAX_LIMIT."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_LIMIT:
        raise InvalidQueryError(f"limit must be a whole number from 1 to {MAX_LIMIT}.")
    return limit


def encode_token(query: Sequence[str], last_key: Sequence[str]) -> str:
    """Return the token that continues ``query`` after the row with ``last_key``."""
    content = _compact({"q": _digest(query), "k": list(last_key)})
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


def decode_token(token: object, query: Sequence[str], parts: int) -> tuple[str, ...] | None:
    """Return the last key, of ``parts`` texts, that the token holds; None for no token (the first page).

    Raise InvalidTokenError for any token that ``encode_token`` did not return for the same query.
    """
    if token is None:
        return None
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise InvalidTokenError("nextToken was not issued by this list.")
    key = _last_key(token)
    # Encoding the key again verifies the query's digest and the token's spelling in one comparison.
    if len(key) != parts or not all(map(is_key, key)) or encode_token(query, key) != token:
        raise InvalidTokenError("nextToken belongs to another list, or is not valid.")
    return key


def _last_key(token: str) -> tuple[str, ...]:
    try:
        content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, RecursionError):
        return ()
    key = content.get("k") if isinstance(content, dict) else None
    return tuple(key) if isinstance(key, list) else ()


def _digest(query: Sequence[str]) -> str:
    # A digest, because a query's values (a case ID, for example) may be long and a token may not.
    return hashlib.sha256(json.dumps(list(query)).encode()).hexdigest()[:16]


def _compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
