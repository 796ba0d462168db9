"""Recorded answers held against those of the code at hand; texts that were changed on purpose stand in a table."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.recorded.fixed_data import HERE

Json = dict[str, Any]
_CODES = {"errorType", "state", "State", "Status", "Kind"}  # for programs: no text of a table changes them
_STORED = {"Error", "error"}  # a record holds the text with which an import failed
TABLE, ADDED = HERE / "texts_changed.json", HERE / "keys_added.json"
HEADERS = HERE / "headers_changed.json"


def texts_changed() -> list[tuple[str, str]]:
    """Return the texts that were changed on purpose, old and new."""
    if not TABLE.exists():
        return []
    return [(row["old"], row["new"]) for row in json.loads(TABLE.read_text(encoding="utf-8"))]


def headers_changed() -> dict[str, Json]:
    """Return by address the headers that were changed on purpose, with their values of today."""
    rows = json.loads(HEADERS.read_text(encoding="utf-8"))
    return {row["path"]: row["headers"] for row in rows}


def _with_headers(answer: Json, request: Json, changed: Mapping[str, Json]) -> Json:
    """Return a recorded answer with the headers that were changed on purpose at its address."""
    new = changed.get(request.get("path", ""))
    if new is None or "headers" not in answer:
        return answer
    return answer | {"headers": [[name, new.get(name, value)] for name, value in answer["headers"]]}


def recorded(name: str) -> list[Json]:
    """Return the answers that the code before gave to a set of requests."""
    found: list[Json] = json.loads((HERE / "answers" / f"{name}.json").read_text(encoding="utf-8"))
    return found


def expected(answer: Json, changed: Sequence[tuple[str, str]], found: str | None = None) -> Json:
    """Return a recorded answer with the changed texts, and the headers that are computed from the body.

    ``found`` is today's body: a reason of failure that a record holds since before stays as it was written.
    """
    old = answer.get("text")
    if old is None:
        return answer
    new = _with_texts(old, changed, found)
    if new == old:
        return answer
    return _with_body(answer, old, new)


def _with_body(answer: Json, old: str, new: str) -> Json:
    """Return an answer with another body, and with the headers that are computed from the body."""
    headers = [[name, _computed(name, value, old, new)] for name, value in answer.get("headers", [])]
    return (
        answer
        | ({"headers": headers} if "headers" in answer else {})
        | {"text": new, "sha256": hashlib.sha256(new.encode()).hexdigest()}
    )


def _with_texts(text: str, changed: Sequence[tuple[str, str]], found: str | None) -> str:
    """Return a body with the changed texts: in the strings of JSON, never in its keys, else anywhere."""
    try:
        content = json.loads(text)
    except ValueError:
        kind = re.match(r"\w+: |", text)  # a resolver's error begins with its type
        assert kind is not None
        return kind[0] + _replaced(text[kind.end() :], changed)
    new = _in_strings(content, changed, _parsed(found))
    if new == content:
        return text
    return _written_alike(text, content, new)


# How the product writes JSON: as json.dumps does, and without spaces, or with letters of all scripts.
_WAYS: tuple[dict[str, Any], ...] = (
    {},
    {"separators": (",", ":")},
    {"ensure_ascii": False},
    {"ensure_ascii": False, "sort_keys": True},
    {"ensure_ascii": False, "separators": (",", ":")},
)


def _written_alike(text: str, content: Any, other: Any) -> str:
    """Return other JSON, written as ``text`` writes its content."""
    return json.dumps(other, **next((way for way in _WAYS if json.dumps(content, **way) == text), {}))


def _parsed(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except ValueError:
        return None


def _in_strings(content: Any, changed: Sequence[tuple[str, str]], found: Any) -> Any:
    if isinstance(content, dict):
        there = found if isinstance(found, dict) else {}
        return {
            key: value
            if key in _CODES or (key in _STORED and value == there.get(key))
            else _in_strings(value, changed, there.get(key))
            for key, value in content.items()
        }
    if isinstance(content, list):
        there = found if isinstance(found, list) and len(found) == len(content) else [None] * len(content)
        return [_in_strings(*pair) for pair in zip(content, [changed] * len(content), there, strict=True)]
    return _replaced(content, changed) if isinstance(content, str) else content


def _replaced(text: str, changed: Sequence[tuple[str, str]]) -> str:
    for old, new in changed:
        text = text.replace(old, new)
    return text


def _computed(name: str, value: str, old: str, new: str) -> str:
    """Return a header's value with the changed body: its length changes with it, and a tag that is its checksum."""
    if name == "content-length":  # by the difference: what is masked may have another length
        return str(int(value) + len(new.encode()) - len(old.encode()))
    return _tag(new) if value == _tag(old) else value


def _tag(text: str) -> str:
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:24]}"'


def _with_length_of_get(answer: Json, request: Json, asked: Sequence[Json], after: Sequence[Json]) -> Json:
    """Return the expected answer to a HEAD with the length of the same GET, which is compared by itself."""
    get = {key: value for key, value in request.items() if key != "method"}
    if request.get("method") != "HEAD" or get not in asked or "headers" not in answer:
        return answer
    lengths = dict(map(tuple, after[asked.index(get)].get("headers", [])))
    headers = [
        [name, lengths.get(name, value) if name == "content-length" else value]
        for name, value in answer["headers"]
    ]
    return answer | {"headers": headers}


def _without_added(answer: Json) -> Json:
    """Return an answer of today without the keys that were added since, and with the headers of what is left."""
    added, text = set(json.loads(ADDED.read_text(encoding="utf-8"))), answer.get("text")
    content = _parsed(text)
    rest = _cut(content, added)
    if text is None or rest == content:
        return answer
    left = _written_alike(text, content, rest)
    return _with_body(answer, text, left)


def _cut(content: Any, added: set[str]) -> Any:
    """Return JSON without these keys, and without the elements of lists that describe fields of these names."""
    if isinstance(content, dict):
        return {key: _cut(value, added) for key, value in content.items() if key not in added}
    if isinstance(content, list):
        kept = (value for value in content if not (isinstance(value, dict) and value.get("name") in added))
        return [_cut(value, added) for value in kept]
    return content


def differences(requests: Sequence[Json], before: Sequence[Json], after: Sequence[Json]) -> list[str]:
    """Return a line for each answer that is another one than recorded, with what differs in it."""
    changed, after = texts_changed(), [_without_added(answer) for answer in after]
    headers = headers_changed()
    asked = [*requests, *({"table": answer.get("table")} for answer in before[len(requests) :])]
    lines = []
    for request, old, new in zip(asked, before, after, strict=True):
        before_today = _with_headers(old, request, headers)
        wanted = expected(before_today, changed, new.get("text"))
        wanted = _with_length_of_get(wanted, request, asked, after)
        parts = [part for part in wanted.keys() | new.keys() if wanted.get(part) != new.get(part)]
        shown = [f"{part}: {wanted.get(part)!r} → {new.get(part)!r}" for part in sorted(parts)]
        lines += (
            [f"{json.dumps(request, ensure_ascii=False)[:300]}\n    " + "\n    ".join(shown)] if shown else []
        )
    return lines
