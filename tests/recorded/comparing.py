"""Recorded answers held against those of the code at hand; texts that were changed on purpose stand in a table."""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from tests.recorded.fixed_data import HERE

Json = dict[str, Any]
_CODES = {"errorType", "state", "State", "Status", "Kind"}  # for programs: no text of a table changes them
TABLE = HERE.parent / "texts_changed.json"


def texts_changed() -> list[tuple[str, str]]:
    """Return the texts that were changed on purpose, old and new."""
    if not TABLE.exists():
        return []
    return [(row["old"], row["new"]) for row in json.loads(TABLE.read_text(encoding="utf-8"))]


def recorded(name: str) -> list[Json]:
    """Return the answers that the code before gave to a set of requests."""
    found: list[Json] = json.loads((HERE / "answers" / f"{name}.json").read_text(encoding="utf-8"))
    return found


def expected(answer: Json, changed: Sequence[tuple[str, str]]) -> Json:
    """Return a recorded answer with the changed texts, and the headers that are computed from the body."""
    old = answer.get("text")
    if old is None:
        return answer
    new = _with_texts(old, changed)
    if new == old:
        return answer
    headers = [[name, _computed(name, value, old, new)] for name, value in answer.get("headers", [])]
    return (
        answer
        | ({"headers": headers} if "headers" in answer else {})
        | {"text": new, "sha256": hashlib.sha256(new.encode()).hexdigest()}
    )


def _with_texts(text: str, changed: Sequence[tuple[str, str]]) -> str:
    """Return a body with the changed texts: in the strings of JSON, never in its keys, else anywhere."""
    try:
        content = json.loads(text)
    except ValueError:
        kind = re.match(r"\w+: |", text)  # a resolver's error begins with its type
        assert kind is not None
        return kind[0] + _replaced(text[kind.end() :], changed)
    new = _in_strings(content, changed)
    if new == content:
        return text
    way = next((way for way in _WAYS if json.dumps(content, **way) == text), {})
    return json.dumps(new, **way)


# How the product writes JSON: as json.dumps does, and without spaces, or with letters of all scripts.
_WAYS: tuple[dict[str, Any], ...] = (
    {},
    {"separators": (",", ":")},
    {"ensure_ascii": False},
    {"ensure_ascii": False, "sort_keys": True},
    {"ensure_ascii": False, "separators": (",", ":")},
)


def _in_strings(content: Any, changed: Sequence[tuple[str, str]]) -> Any:
    if isinstance(content, dict):
        return {
            key: value if key in _CODES else _in_strings(value, changed) for key, value in content.items()
        }
    if isinstance(content, list):
        return [_in_strings(value, changed) for value in content]
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


def differences(requests: Sequence[Json], before: Sequence[Json], after: Sequence[Json]) -> list[str]:
    """Return a line for each answer that is another one than recorded, with what differs in it."""
    changed = texts_changed()
    asked = [*requests, *({"table": answer.get("table")} for answer in before[len(requests) :])]
    lines = []
    for request, old, new in zip(asked, before, after, strict=True):
        wanted = expected(old, changed)
        parts = [part for part in wanted.keys() | new.keys() if wanted.get(part) != new.get(part)]
        shown = [f"{part}: {wanted.get(part)!r} → {new.get(part)!r}" for part in sorted(parts)]
        lines += (
            [f"{json.dumps(request, ensure_ascii=False)[:300]}\n    " + "\n    ".join(shown)] if shown else []
        )
    return lines
