"""Apply ``TableSlideFilterInput`` as DynamoDB's filter expressions work, to slides as clients see them.

As in DynamoDB, an attribute that a slide does not have equals nothing and contains nothing. Unlike there, scan dates
are compared as moments, as the review index orders them: ``10:00+02:00`` is before ``09:00Z``.
"""

from collections.abc import Callable, Mapping
from typing import Any

from vsv.errors import InvalidQueryError
from vsv.records.review_index import moment

from review_slides.serializers import Fields

MAX_OPERAND = 1000
_NUMBERS = frozenset({"MPP"})
_FIELDS = frozenset({"CaseID", "ImageID", "SlideID", "ScanDate", "AppMag"}) | _NUMBERS

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "ne": lambda value, operand: value is None or value != operand,
    "eq": lambda value, operand: value == operand,
    "le": lambda value, operand: value is not None and value <= operand,
    "lt": lambda value, operand: value is not None and value < operand,
    "ge": lambda value, operand: value is not None and value >= operand,
    "gt": lambda value, operand: value is not None and value > operand,
    "contains": lambda value, operand: isinstance(value, str) and operand in value,
    "notContains": lambda value, operand: not (isinstance(value, str) and operand in value),
    "between": lambda value, operand: value is not None and operand[0] <= value <= operand[1],
    "beginsWith": lambda value, operand: isinstance(value, str) and value.startswith(operand),
}

_ORDERING = frozenset({"ne", "eq", "le", "lt", "ge", "gt", "between"})

Test = Callable[[Fields], bool]


def read_filter(filter_input: object) -> Test:
    """Return the test that a filter describes; raises InvalidQueryError for anything else."""
    if filter_input is None:
        return lambda _fields: True
    if not isinstance(filter_input, Mapping):
        raise InvalidQueryError("filter must be an object of fields.")
    tests = [
        _test(name, op, operand)
        for name, ops in filter_input.items()
        for op, operand in _operators(ops).items()
    ]
    return lambda fields: all(test(fields) for test in tests)


def _operators(operators: object) -> Mapping[str, Any]:
    if operators is not None and not isinstance(operators, Mapping):
        raise InvalidQueryError("A field of a filter must be an object of operators.")
    return operators or {}


def required_case(filter_input: object) -> str | None:
    """Return the CaseID that a filter requires, None where it requires none: only that case's slides need reading."""
    operators = filter_input.get("CaseID") if isinstance(filter_input, Mapping) else None
    case_id = operators.get("eq") if isinstance(operators, Mapping) else None
    return case_id if isinstance(case_id, str) else None


def _test(name: str, operator: str, operand: Any) -> Test:
    if name not in _FIELDS or operator not in _OPERATORS or (name in _NUMBERS and operator == "beginsWith"):
        raise InvalidQueryError("filter has a field or an operator that is not known.")
    if operand is None:
        return lambda _fields: True
    _check_operand(operator, operand, (int, float) if name in _NUMBERS else (str,))
    holds = _OPERATORS[operator]
    if name == "ScanDate" and operator in _ORDERING:
        operands = [_sortable(part) for part in operand] if operator == "between" else _sortable(operand)
        return lambda fields: holds(_sortable(fields.get(name)), operands)
    return lambda fields: holds(fields.get(name), operand)


def _sortable(text: str | None) -> str | None:
    """Return a moment as the review index orders it; a text that is no moment, such as ``2026-11``, as it is."""
    return moment(text) or text


def _check_operand(operator: str, operand: Any, kinds: tuple[type, ...]) -> None:
    values = operand if operator == "between" else [operand]
    if operator == "between" and (not isinstance(values, list) or len(values) != 2):
        raise InvalidQueryError("between needs two values.")
    for value in values:
        if not isinstance(value, kinds) or (isinstance(value, str) and len(value) > MAX_OPERAND):
            raise InvalidQueryError(
                f"filter has a value of a wrong type, or of over {MAX_OPERAND} characters."
            )
