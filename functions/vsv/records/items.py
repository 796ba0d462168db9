"""Items as every store writes them: the same checks and the same marks, wherever they are kept.

A store that took what another refuses would make the standalone server pass where AWS fails.
"""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, Self

from vsv.errors import InvalidQueryError
from vsv.records.models import ImportRecord, JobRecord, SlideRecord
from vsv.records.pagination import MAX_KEY_BYTES, is_key
from vsv.timestamps import now_utc

Item = dict[str, Any]
RecordType = type[Any]  # SlideRecord, ImportRecord or JobRecord


class Storable(Protocol):
    """Any kind of record, as generic code sees it."""

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Build the record from a stored item."""


# Half of what DynamoDB takes as one item, so that a record still fits after its fields were changed.
MAX_ITEM_BYTES = 200_000
# DynamoDB's numbers reach from 1e-130 to 1e126.
_FLOAT_LIMIT = 1e100

_INDEXED = frozenset(
    {"ImageID", "SlideID", "CaseID", "Filename", "Status", "State", "UpdatedAt", "JobID", "NextAt"}
)
_SET_BY_STORE: Mapping[RecordType, frozenset[str]] = {
    SlideRecord: frozenset({"image_id", "version", "last_modified", "modified_by"}),
    ImportRecord: frozenset({"filename", "run_id", "updated_at"}),
    JobRecord: frozenset({"job_id", "kind", "image_id", "run_id", "by", "requested_at", "updated_at"}),
}


class _Field(NamedTuple):
    name: str
    kind: type
    default: Any


def _kind(hint: Any) -> type:
    """Give the plain class behind a field's type hint: ``Mapping[str, str] | None`` is a Mapping."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(option for option in typing.get_args(hint) if option is not types.NoneType)
    kind: type = typing.get_origin(hint) or hint
    return kind


def _fields_of(record_type: RecordType) -> dict[str, _Field]:
    hints = typing.get_type_hints(record_type)
    return {
        field.name: _Field(field.metadata["wire"], _kind(hints[field.name]), field.default)
        for field in dataclasses.fields(record_type)
    }


_FIELDS: Mapping[RecordType, Mapping[str, _Field]] = {
    SlideRecord: _fields_of(SlideRecord),
    ImportRecord: _fields_of(ImportRecord),
    JobRecord: _fields_of(JobRecord),
}


def new_item(record: SlideRecord | ImportRecord | JobRecord) -> Item:
    """Give the item that stores a record; raises InvalidQueryError for values that a store cannot keep."""
    item = record.to_item()
    for field in _FIELDS[type(record)].values():
        if field.name in item:
            item[field.name] = _checked(field, item[field.name])
        elif field.default is dataclasses.MISSING:
            raise InvalidQueryError(f"{field.name} is missing.")
    _check_size(item)
    return item


def slide_changes(changes: Mapping[str, Any], by: str) -> Item:
    """Give the fields to write for a slide's changed attributes, who and when included; None means remove.

    Raises InvalidQueryError for unknown attributes, those that only the store sets, and wrong values.
    """
    author = _checked(_FIELDS[SlideRecord]["modified_by"], by)
    return _changed_fields(SlideRecord, changes) | {"ModifiedBy": author, "lastModified": now_utc()}


def import_changes(changes: Mapping[str, Any]) -> Item:
    """Give the fields to write for an import's changed attributes, as ``slide_changes`` does for slides.

    Progress is one within a state: another state begins without it.
    """
    begun = {"Progress": None} if "state" in changes else {}
    return begun | _changed_fields(ImportRecord, changes) | {"UpdatedAt": now_utc()}


def job_changes(changes: Mapping[str, Any]) -> Item:
    """Give the fields to write for a job's changed attributes, as ``slide_changes`` does for slides."""
    return _changed_fields(JobRecord, changes) | {"UpdatedAt": now_utc()}


def number_types(record_type: RecordType) -> Mapping[str, type]:
    """Map each number field's stored name to int or float, for stores that know one kind of number."""
    return {field.name: field.kind for field in _FIELDS[record_type].values() if field.kind in (int, float)}


def _changed_fields(record_type: RecordType, changes: Mapping[str, Any]) -> Item:
    fields = _FIELDS[record_type]
    refused = [attr for attr in changes if attr not in fields or attr in _SET_BY_STORE[record_type]]
    if refused:
        raise InvalidQueryError(f"There is no field {str(refused[0])[:40]!r} that can be changed.")
    changed = {fields[attr].name: _replacement(fields[attr], value) for attr, value in changes.items()}
    _check_size(changed)
    return changed


def _replacement(field: _Field, value: Any) -> Any:
    if value is not None:
        return _checked(field, value)
    if field.default is dataclasses.MISSING:
        raise InvalidQueryError(f"{field.name} cannot be removed.")
    # Status is never absent: a slide without one would be in no list. Removing it makes the slide NEW again.
    return None if field.default is None else _checked(field, field.default)


def _checked(field: _Field, value: Any) -> Any:
    if not _fits(value, field.kind):
        raise InvalidQueryError(f"{field.name} has a wrong value.")
    if field.name in _INDEXED and not is_key(value):
        raise InvalidQueryError(f"{field.name} must be 1 to {MAX_KEY_BYTES} bytes of text.")
    return _plain(value, field.kind)


def _fits(value: Any, kind: type) -> bool:
    if kind is int:
        return type(value) is int and abs(value) < 2**63
    if kind is float:
        return type(value) in (int, float) and _is_storable(value)
    if kind is Mapping:
        return isinstance(value, Mapping) and all(isinstance(s, str) for pair in value.items() for s in pair)
    if issubclass(kind, StrEnum):
        return value in list(kind)
    return isinstance(value, kind)


def _is_storable(number: float) -> bool:
    return math.isfinite(number) and (number == 0 or 1 / _FLOAT_LIMIT < abs(number) < _FLOAT_LIMIT)


def _plain(value: Any, kind: type) -> Any:
    if kind is Mapping:
        return dict(value)
    if kind is float:
        return float(value)
    return str(value) if issubclass(kind, StrEnum) else value


def _check_size(item: Item) -> None:
    try:
        size = len(json.dumps(item, ensure_ascii=False).encode())
    except UnicodeEncodeError as error:
        raise InvalidQueryError("A field holds half a character, which is not text.") from error
    if size > MAX_ITEM_BYTES:
        raise InvalidQueryError(f"The record is larger than {MAX_ITEM_BYTES // 1000} KB.")
