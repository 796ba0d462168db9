"""Arguments of fields, within bounds: AppSync and the standalone server check types, not lengths."""

from collections.abc import Mapping
from typing import Any

from vsv.errors import InvalidQueryError
from vsv.identifiers import checked_image_id
from vsv.records.models import Status
from vsv.records.review_index import moment

Arguments = Mapping[str, Any]

DEFAULT_LIMIT = 20
MAX_SEARCH = 200
MAX_UPDATES = 100
MAX_IDS = 1000
# In characters; what names a slide also has to fit an index.
MAX_TEXT = {"CaseID": 200, "SlideID": 200, "Reviewer": 100, "Note": 2000}
_ATTRIBUTES = {"CaseID": "case_id", "SlideID": "slide_id", "Reviewer": "reviewer", "Note": "note"}


def limit(given: Arguments) -> int:
    """Give the page's size; the store checks its bounds."""
    found = given.get("limit")
    return DEFAULT_LIMIT if found is None else found


def token(given: Arguments) -> str | None:
    """Give where the page begins; ``nextToken: null`` and no ``nextToken`` are the first page."""
    return given.get("nextToken")


def image_id(given: Arguments, name: str = "ImageID") -> str:
    """Give an ImageID; raises InvalidNameError where it could not be one."""
    return checked_image_id(given.get(name))


def image_ids(given: Arguments) -> list[str]:
    """Give the IDs asked for, nulls left out."""
    found = given.get("ImageIDs") or []
    if not isinstance(found, list) or len(found) > MAX_IDS:
        raise InvalidQueryError(f"ImageIDs must be at most {MAX_IDS}.")
    return [one for one in found if isinstance(one, str)]


def status(text: object, name: str = "status") -> Status | None:
    """Give a status, None for none; raises InvalidQueryError that names all there are."""
    if text is None:
        return None
    if text not in list(Status):
        raise InvalidQueryError(f"{name} must be one of {', '.join(Status)}.")
    return Status(str(text))


def search_text(given: Arguments) -> str:
    """Give the text to search for."""
    found = given.get("text") or ""
    if not isinstance(found, str) or len(found) > MAX_SEARCH:
        raise InvalidQueryError(f"text must be at most {MAX_SEARCH} characters.")
    return found


def scan_date(given: Arguments, name: str) -> str | None:
    """Give a date as the index holds it; raises InvalidQueryError for what is none."""
    found = given.get(name)
    if found is None:
        return None
    if (read := moment(found)) is None:
        raise InvalidQueryError(f"{name} must be a date and time, such as 2026-11-21T00:00:00Z.")
    return read


def expected_version(given: Arguments) -> int | None:
    """Give the version that a change was decided on, if it was told."""
    found = given.get("expectedVersion")
    if found is not None and (isinstance(found, bool) or not isinstance(found, int)):
        raise InvalidQueryError("expectedVersion must be a whole number.")
    return found


def slide_changes(given: Arguments) -> dict[str, Any]:
    """Give the attributes to change: text trimmed, null and empty text remove, what is left out stays."""
    changes: dict[str, Any] = {
        attribute: text(given[name], name) for name, attribute in _ATTRIBUTES.items() if name in given
    }
    if "Status" in given:
        changes["status"] = status(given["Status"], "Status")
    return changes


def text(value: object, name: str) -> str | None:
    """Give a trimmed text, None for an empty one; raises InvalidQueryError where it is too long."""
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_TEXT[name]:
        raise InvalidQueryError(f"{name} must be text of at most {MAX_TEXT[name]} characters.")
    return value.strip() or None
