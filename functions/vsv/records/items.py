"""Stored items: checks and conversions that all stores share.

If one store accepted values that another refuses, the standalone server would succeed where AWS fails.
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
    """A record of any kind, as generic code sees it."""

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Build the record from a stored item."""


# Half of DynamoDB's limit for one item, so that a record still fits after its fields were changed.
MAX_ITEM_BYTES = 200_000
# DynamoDB's numbers range from 1e-130 to 1e126.
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
    """Return the plain class of a field's type hint: Mapping for ``Mapping[str, str] | None``."""
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
    """Return the item that stores a record; raise InvalidQueryError for values that cannot be stored."""
    item = record.to_item()
    for field in _FIELDS[type(record)].values():
        if field.name in item:
            item[field.name] = _check_value(field, item[field.name])
        elif field.default is dataclasses.MISSING:
            raise InvalidQueryError(f"{field.name} is missing.")
    _check_size(item)
    return item


def slide_changes(changes: Mapping[str, Any], by: str) -> Item:
    """Return the fields to write for a slide's changed attributes, with author and time; None removes a field.

    Raise InvalidQueryError for unknown attributes, for attributes that only the store sets, and for wrong values.
    """
    author = _check_value(_FIELDS[SlideRecord]["modified_by"], by)
    return _changed_fields(SlideRecord, changes) | {"ModifiedBy": author, "lastModified": now_utc()}


def import_changes(changes: Mapping[str, Any]) -> Item:
    """Return the fields to write for an import's changed attributes, as ``slide_changes`` does for slides.

    Progress counts within one state: a change of state removes the progress.
    """
    reset = {"Progress": None} if "state" in changes else {}
    return reset | _changed_fields(ImportRecord, changes) | {"UpdatedAt": now_utc()}


def job_changes(changes: Mapping[str, Any]) -> Item:
    """Return the fields to write for a job's changed attributes, as ``slide_changes`` does for slides."""
    return _changed_fields(JobRecord, changes) | {"UpdatedAt": now_utc()}


def number_types(record_type: RecordType) -> Mapping[str, type]:
    """Return int or float by stored field name, for stores that have only one number type."""
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
        return _check_value(field, value)
    if field.default is dataclasses.MISSING:
        raise InvalidQueryError(f"{field.name} cannot be removed.")
    # Status is never absent: a slide without a status would be in no list. Removing the status makes the slide NEW.
    return None if field.default is None else _check_value(field, field.default)


def _check_value(field: _Field, value: Any) -> Any:
    if not _has_type(value, field.kind):
        raise InvalidQueryError(f"{field.name} has a wrong value.")
    if field.name in _INDEXED and not is_key(value):
        raise InvalidQueryError(f"{field.name} must be 1 to {MAX_KEY_BYTES} bytes of text.")
    return _plain(value, field.kind)


def _has_type(value: Any, kind: type) -> bool:
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
