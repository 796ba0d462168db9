"""Validation of file names, slide IDs and patterns of IDs from outside, before they are used.

A name that is not safe on every supported file system is refused. Each check costs one regular expression match.
"""

from __future__ import annotations

import importlib
import re
from functools import lru_cache
from math import prod

from vsv.errors import InvalidNameError

TYPE_CHECKING = False  # as in typing, whose import takes long
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# Single-file formats that OpenSlide opens; the system is made for Aperio's .svs.
# PNG and JPEG files are ordinary images; a TIFF file may be one too.
SLIDE_SUFFIXES = (".svs", ".tif", ".tiff", ".ndpi", ".scn", ".bif", ".svslide", ".png", ".jpg", ".jpeg")
ORDINARY_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
MAX_FILENAME = 200
MAX_ID_TEXT = 200  # characters of a text in which IDs are looked for
MAX_ID_PATTERN = 1000  # characters of a laboratory's own pattern
# ``re`` tries every way in which a pattern can divide a text before the text is refused: ``(a+)+`` and ``a?a?…aa``
# have exponentially many. A pattern is refused where an upper bound of these ways is higher.
_MAX_WAYS = 1_000_000
_SINGLE = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN", "AT"})
# \Z and not $: a trailing newline is not part of a name.
_IMAGE_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?\Z")
_FILENAME = re.compile(r'[^\x00-\x1f\x7f/\\:*?"<>|.~\s-][^\x00-\x1f\x7f/\\:*?"<>|]*\Z')
# Names that Windows reserves for devices, with any suffix, and with blanks before the suffix.
_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|COM[\d¹²³]|LPT[\d¹²³])\s*(?:\.|\Z)", re.IGNORECASE)


def is_image_id(text: str) -> bool:
    """Return whether ``text`` is a valid ImageID."""
    return len(text) <= 64 and _is_name(text)


@lru_cache(maxsize=1024)  # a viewer requests hundreds of tiles of one slide
def _is_name(text: str) -> bool:
    return _IMAGE_ID.match(text) is not None and _DEVICE.match(text) is None


def checked_image_id(text: object) -> str:
    """Return ``text`` where it is a valid ImageID; raise InvalidNameError otherwise."""
    if not isinstance(text, str) or not is_image_id(text):
        raise InvalidNameError("an ImageID is 1 to 64 letters, digits, dots, dashes or underscores")
    return text


def checked_run_id(text: object) -> str:
    """Return ``text`` where it is a valid ID of an import run, safe in a path; raise InvalidNameError otherwise."""
    if not isinstance(text, str) or not is_image_id(text):
        raise InvalidNameError("this is not the ID of an import's run")
    return text


def is_slide_filename(text: str) -> bool:
    """Return whether ``text`` is one plain file name of a slide."""
    return (
        len(text) <= MAX_FILENAME
        and len(text.encode("utf-8", "surrogatepass")) <= MAX_FILENAME
        and _is_unicode(text)
        and text.lower().endswith(SLIDE_SUFFIXES)
        and _FILENAME.match(text) is not None
        and _DEVICE.match(text) is None
    )


def checked_filename(text: object) -> str:
    """Return ``text`` where it is one plain file name of a slide; raise InvalidNameError otherwise."""
    if not isinstance(text, str) or not is_slide_filename(text):
        raise InvalidNameError("filename must be the plain name of a slide file, such as 12345.svs")
    return text


def _is_unicode(text: str) -> bool:
    """Return whether a text has no lone surrogates, which can be neither stored nor sent."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


@lru_cache(maxsize=8)
def compile_id_pattern(pattern: str) -> re.Pattern[str]:
    """Return the compiled pattern; raise ValueError for one without the group ``case``, or that can take long."""
    try:
        compiled = re.compile(pattern) if 0 < len(pattern) <= MAX_ID_PATTERN else None
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(pattern) from error
    if compiled is None or "case" not in compiled.groupindex or _ways_of(pattern) > _MAX_WAYS:
        raise ValueError(pattern)
    return compiled


def _ways_of(pattern: str) -> int:
    """Return in how many ways, at most, a pattern can divide a text of MAX_ID_TEXT characters."""
    # The parser has no public name since sre_parse was deprecated; only the tree's operations are read.
    tree = importlib.import_module("re._parser").parse(pattern)
    return _ways(tree)


def _ways(tree: Iterable[tuple[Any, Any]]) -> int:
    return min(prod(_ways_of_part(str(operation), value) for operation, value in tree), _MAX_WAYS + 1)


def _ways_of_part(operation: str, value: Any) -> int:
    if operation in _SINGLE:
        return 1
    if operation == "SUBPATTERN":
        return _ways(value[3])
    if operation == "BRANCH":
        return sum(map(_ways, value[1]))
    if operation in {"MAX_REPEAT", "MIN_REPEAT"}:
        return _ways_of_repeat(*value)
    # Back-references and look-around: their cost is not bounded by what they match.
    return _MAX_WAYS + 1


def _ways_of_repeat(least: int, most: int, part: Iterable[tuple[Any, Any]]) -> int:
    each, total = _ways(part), 0
    for times in range(int(least), min(int(most), max(MAX_ID_TEXT, int(least))) + 1):
        total += each ** min(times, MAX_ID_TEXT)
        if total > _MAX_WAYS:
            return _MAX_WAYS + 1
    return total


def is_id_pattern(pattern: str) -> bool:
    """Return whether a laboratory's pattern of IDs can be used; an empty one stands for none."""
    try:
        return not pattern or compile_id_pattern(pattern) is not None
    except ValueError:
        return False
