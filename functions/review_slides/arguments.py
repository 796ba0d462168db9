"""Read the arguments of fields, within bounds: AppSync and the standalone server check types, not lengths."""

from collections.abc import Mapping
from typing import Any

from vsv.errors import InvalidQueryError
from vsv.identifiers import checked_image_id, unsupported_character
from vsv.records.models import JobKind, Status
from vsv.records.review_index import moment

Arguments = Mapping[str, Any]

DEFAULT_LIMIT = 20
MAX_SEARCH = 200
MAX_UPDATES = 100
MAX_IDS = 1000
# In characters; IDs and names also have to fit an index.
MAX_TEXT = {"CaseID": 200, "SlideID": 200, "Reviewer": 100, "Note": 2000, "text": 200}
_IDS = frozenset({"CaseID", "SlideID", "text"})
_ATTRIBUTES = {"CaseID": "case_id", "SlideID": "slide_id", "Reviewer": "reviewer", "Note": "note"}


def limit(args: Arguments) -> int:
    """Return the page's size; the store checks its bounds."""
    value = args.get("limit")
    return DEFAULT_LIMIT if value is None else value


def token(args: Arguments) -> str | None:
    """Return the token of the page's beginning; ``nextToken: null`` and no ``nextToken`` mean the first page."""
    return args.get("nextToken")


def image_id(args: Arguments, name: str = "ImageID") -> str:
    """Return an ImageID; raises InvalidNameError where the value cannot be an ImageID."""
    return checked_image_id(args.get(name))


def image_ids(args: Arguments) -> list[str]:
    """Return the requested IDs, nulls left out."""
    values = args.get("ImageIDs") or []
    if not isinstance(values, list) or len(values) > MAX_IDS:
        raise InvalidQueryError(f"ImageIDs must be at most {MAX_IDS}.")
    return [value for value in values if isinstance(value, str)]


def status(text: object, name: str = "status") -> Status | None:
    """Return a status, None for null; raises InvalidQueryError that names every status."""
    if text is None:
        return None
    if text not in list(Status):
        raise InvalidQueryError(f"{name} must be one of {', '.join(Status)}.")
    return Status(str(text))


def job_kind(args: Arguments) -> JobKind:
    """Return a kind of job; raises InvalidQueryError that names every kind."""
    kind = args.get("kind")
    if kind not in list(JobKind):
        raise InvalidQueryError(f"kind must be one of {', '.join(JobKind)}.")
    return JobKind(str(kind))


def search_text(args: Arguments) -> str:
    """Return the text to search for."""
    value = args.get("text") or ""
    if not isinstance(value, str) or len(value) > MAX_SEARCH:
        raise InvalidQueryError(f"text must be at most {MAX_SEARCH} characters.")
    return value


def scan_date(args: Arguments, name: str) -> str | None:
    """Return a date as the index stores it; raises InvalidQueryError for anything else."""
    value = args.get(name)
    if value is None:
        return None
    if (date := moment(value)) is None:
        raise InvalidQueryError(f"{name} must be a date and time, such as 2026-11-21T00:00:00Z.")
    return date


def expected_version(args: Arguments) -> int | None:
    """Return the version that a change is based on, None where the client sent none."""
    version = args.get("expectedVersion")
    if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
        raise InvalidQueryError("expectedVersion must be a whole number.")
    return version


def slide_changes(args: Arguments) -> dict[str, Any]:
    """Return the attributes to change: text trimmed; null and empty text remove; attributes left out stay."""
    changes: dict[str, Any] = {
        attribute: text(args[name], name) for name, attribute in _ATTRIBUTES.items() if name in args
    }
    if "Status" in args:
        changes["status"] = status(args["Status"], "Status")
    return changes


def text(value: object, name: str) -> str | None:
    """Return a trimmed text, None for an empty one.

    Raises InvalidQueryError where the text is too long, or has a control character, or one that reorders text.
    """
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_TEXT[name]:
        raise InvalidQueryError(f"{name} must be text of at most {MAX_TEXT[name]} characters.")
    trimmed = value.strip()
    character = unsupported_character(trimmed, lines=name == "Note", joiners=name not in _IDS)
    if character is not None:
        raise InvalidQueryError(f"{name} has a character that is not supported ({character}): remove it.")
    return trimmed or None
