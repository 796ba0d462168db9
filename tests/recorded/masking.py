"""What is recorded of an answer: status, headers, the body's checksum and, where it is text, the body itself.

Volatile values are replaced by these rules, and by no others:

``moment``: a time to the microsecond that is not stored in the data (it is when the request was answered);
``run``: the random name of an import's or a job's run in a table, unless it is stored in the data;
``request``: the random number of the request in an internal error;
``written``: in a tag, the modification time of a file that was written since the data was unpacked;
``order``: the keys of a resolver's value are sorted: they come from a set, and AppSync orders them by the query;
``page``: of the page's own files, which are no protocol, the body, its length and tag are left out.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from tests.recorded.fixed_data import MOMENT, items, stored_moments

Json = dict[str, Any]
_REQUEST = re.compile(r"internal error, request [0-9a-f]{16}")
_FILE_TIME = re.compile(
    r"(?<=-)(?!17979cfe362a0000)[0-9a-f]{16}(?=-)"
)  # in ns; that one is of all packed files
_RUN = re.compile(r'(?<="RunID": {"S": ")[0-9a-f]{32}')
_TEXTS = ("application/json", "application/ld+json", "application/xml", "text/")
_OF_PAGES = {"content-length", "etag"}


def masked(text: str) -> str:
    """Return a text without what differs from one run to the next."""
    text = MOMENT.sub(lambda found: found[0] if found[0] in stored_moments() else "<moment>", text)
    text = _FILE_TIME.sub("<written>", text) if text.startswith('"') else text
    return _REQUEST.sub("internal error, request <request>", text)


def of_http(
    status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, *, as_page: bool = False
) -> Json:
    """Return what is recorded of an HTTP answer."""
    named = [[name.decode("latin-1"), masked(value.decode("latin-1"))] for name, value in headers]
    if as_page:
        return {"status": status, "headers": [pair for pair in named if pair[0] not in _OF_PAGES]}
    kind = next((value for name, value in named if name == "content-type"), "")
    if kind.startswith(_TEXTS):
        return {"status": status, "headers": named, **_text(body.decode("utf-8"))}
    return {"status": status, "headers": named, "sha256": hashlib.sha256(body).hexdigest()}


def of_value(value: Any) -> Json:
    """Return what is recorded of a value that a resolver gives."""
    return _text(json.dumps(value, ensure_ascii=False, sort_keys=True))


def of_error(error: Exception) -> Json:
    """Return what is recorded of an error that a resolver raises."""
    return {"raised": type(error).__name__, **_text(str(error))}


def of_table(name: str, stored: Sequence[Json]) -> Json:
    """Return what is recorded of a table's items."""
    text = json.dumps(stored, ensure_ascii=False, sort_keys=True)
    known = set(_RUN.findall(json.dumps(items())))
    return {"table": name, **_text(_RUN.sub(lambda found: found[0] if found[0] in known else "<run>", text))}


def _text(text: str) -> Json:
    shown = masked(text)
    return {"sha256": hashlib.sha256(shown.encode()).hexdigest(), "text": shown}
