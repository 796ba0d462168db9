"""``TableSlideFilterInput``: what DynamoDB's filter expressions mean, on slides as clients see them.

As there, a value that a slide does not have is equal to nothing and contains nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any

from vsv.errors import InvalidQueryError

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

Test = Callable[[Fields], bool]


def read_filter(given: object) -> Test:
    """Give the test that a filter means; raises InvalidQueryError for what is none."""
    if given is None:
        return lambda _fields: True
    if not isinstance(given, Mapping):
        raise InvalidQueryError("filter must be an object of fields.")
    tests = [
        _test(name, op, operand) for name, ops in given.items() for op, operand in _operators(ops).items()
    ]
    return lambda fields: all(test(fields) for test in tests)


def _operators(given: object) -> Mapping[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise InvalidQueryError("A field of a filter must be an object of operators.")
    return given or {}


def case_wanted(given: object) -> str | None:
    """Give the one CaseID that a filter asks for, if it does: its slides need no look at the others."""
    operators = given.get("CaseID") if isinstance(given, Mapping) else None
    found = operators.get("eq") if isinstance(operators, Mapping) else None
    return found if isinstance(found, str) else None


def _test(name: str, operator: str, operand: Any) -> Test:
    if name not in _FIELDS or operator not in _OPERATORS or (name in _NUMBERS and operator == "beginsWith"):
        raise InvalidQueryError("filter has a field or an operator that is not known.")
    if operand is None:
        return lambda _fields: True
    _check_operand(operator, operand, (int, float) if name in _NUMBERS else (str,))
    holds = _OPERATORS[operator]
    return lambda fields: holds(fields.get(name), operand)


def _check_operand(operator: str, operand: Any, kinds: tuple[type, ...]) -> None:
    values = operand if operator == "between" else [operand]
    if operator == "between" and (not isinstance(values, list) or len(values) != 2):
        raise InvalidQueryError("between needs two values.")
    for value in values:
        if not isinstance(value, kinds) or (isinstance(value, str) and len(value) > MAX_OPERAND):
            raise InvalidQueryError(
                f"filter has a value of a wrong type, or of over {MAX_OPERAND} characters."
            )
