"""Validation of file names, slide IDs and patterns of IDs from outside, before they are used.

A name that is not safe on every supported file system is refused. Each check costs one regular expression match.
"""

from __future__ import annotations

import importlib
import re
from functools import lru_cache

from vsv.errors import InvalidNameError

TYPE_CHECKING = False  # as in typing, whose import takes long
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# The index files of slides of several files, see ``formats.file_set``.
SET_SUFFIXES = (".mrxs", ".vms", ".vmu")
# Formats that OpenSlide opens; the system is made for Aperio's .svs.
# PNG and JPEG files are ordinary images; a TIFF file may be one too.
SLIDE_SUFFIXES = (
    *(".svs", ".tif", ".tiff", ".ndpi", ".scn", ".bif", ".svslide", ".czi", ".png", ".jpg", ".jpeg"),
    *SET_SUFFIXES,
)
ORDINARY_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
MAX_FILENAME = 200
MAX_ID_TEXT = 200  # characters of a text in which IDs are looked for
MAX_ID_PATTERN = 1000  # characters of a laboratory's own pattern
# Before a text is refused, ``re`` tries every way in which a pattern can divide it: ``(a+)+`` and ``a?a?…aa`` have
# exponentially many. A pattern that can need more steps is refused; as many take less than a second.
_MAX_STEPS = 10_000_000
_SINGLE = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN"})
# \Z and not $: a trailing newline is not part of a name.
_IMAGE_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?\Z")
_FILENAME = re.compile(r'[^\x00-\x1f\x7f/\\:*?"<>|.~\s-][^\x00-\x1f\x7f/\\:*?"<>|]*\Z')
# Names that Windows reserves for devices, with any suffix, and with blanks before the suffix.
_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|COM[\d¹²³]|LPT[\d¹²³])\s*(?:\.|\Z)", re.IGNORECASE)

# Bidirectional controls make a text look like another one: "Trojan Source", CVE-2021-42574. Unicode, UAX #9.
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
# Texts and not compiled: ``re`` compiles each at its first use, which is in no tile's cold start.
_UNSHOWABLE = rf"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_BIDI}\u2028\u2029\ud800-\udfff\ufffe\uffff]"
_LINE_ENDS = r"[\t\n\r]"
# Characters without width, by which two IDs look the same; words of some languages need the joiners among them.
_INVISIBLE = r"[\u00ad\u200b-\u200d\u2060\ufeff]"


def is_image_id(text: str) -> bool:
    """Return whether ``text`` is a valid ImageID."""
    return len(text) <= 64 and _is_name(text)


@lru_cache(maxsize=1024)  # a viewer requests hundreds of tiles of one slide
def _is_name(text: str) -> bool:
    return _IMAGE_ID.match(text) is not None and _DEVICE.match(text) is None


def unsupported_character(text: str, *, lines: bool = False, joiners: bool = False) -> str | None:
    """Return the first character that a text may not have, such as ``U+202E``; None where it may be stored.

    ``lines``: the text may have several lines. ``joiners``: the text is not an ID.
    """
    refused = (_UNSHOWABLE, *(() if lines else (_LINE_ENDS,)), *(() if joiners else (_INVISIBLE,)))
    found = next((match for pattern in refused if (match := re.search(pattern, text))), None)
    return None if found is None else f"U+{ord(found[0]):04X}"


def shown(text: str) -> str:
    """Return a text with a mark in place of characters that may change how other text is shown."""
    return re.sub(_UNSHOWABLE, "\ufffd", text)


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
    return is_plain_filename(text) and text.lower().endswith(SLIDE_SUFFIXES)


def is_set_filename(text: str) -> bool:
    """Return whether ``text`` is the name of the index file of a slide of several files."""
    return text.lower().endswith(SET_SUFFIXES)


def check_is_one_file(filename: str) -> None:
    """Raise InvalidNameError for an index file: where files come one by one, its slide cannot come whole."""
    if is_set_filename(filename):
        raise InvalidNameError(
            f"a slide of several files ({' '.join(SET_SUFFIXES)}) cannot be imported on AWS:"
            " convert it to one file, for example to .svs or OME-TIFF"
        )


def is_plain_filename(text: str) -> bool:
    """Return whether ``text`` is one plain file name, safe on every supported file system."""
    return (
        len(text) <= MAX_FILENAME
        and len(text.encode("utf-8", "surrogatepass")) <= MAX_FILENAME
        and _is_unicode(text)
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
    if compiled is None or "case" not in compiled.groupindex:
        raise ValueError(pattern)
    # The parser has no public name since sre_parse was deprecated; only the tree's operations are read.
    _Steps().take(importlib.import_module("re._parser").parse(pattern), [1] + [0] * MAX_ID_TEXT)
    return compiled


class _Steps:
    """Count the steps that ``re`` can need at most; ``ways[n]`` says in how many ways n characters are matched."""

    def __init__(self) -> None:
        self._count = 0

    def take(self, parts: Iterable[tuple[Any, Any]], ways: list[int]) -> list[int]:
        """Return the ways after a sequence of parts; raise ValueError for too many steps or a part unknown here."""
        for operation, value in parts:
            ways = self._take_part(str(operation), value, ways)
        return ways

    def _take_part(self, operation: str, value: Any, ways: list[int]) -> list[int]:
        self._count += sum(ways)
        if self._count > _MAX_STEPS:
            raise ValueError(operation)
        if operation in _SINGLE:
            return [0, *ways[:-1]]
        if operation == "AT":
            return ways
        if operation == "SUBPATTERN":
            return self.take(value[3], ways)
        if operation == "BRANCH":
            return [sum(each) for each in zip(*(self.take(parts, ways) for parts in value[1]), strict=True)]
        if operation in {"MAX_REPEAT", "MIN_REPEAT"}:
            least, most, parts = value
            return self._repeat(int(least), int(most), parts, ways)
        raise ValueError(
            operation
        )  # back-references and look-around: their steps are not counted by characters

    def _repeat(self, least: int, most: int, parts: Iterable[tuple[Any, Any]], ways: list[int]) -> list[int]:
        ended = [0] * len(ways)
        for times in range(most + 1):
            if times >= least:
                ended = [sum(each) for each in zip(ended, ways, strict=True)]
            if times == most or not any(ways):
                break
            following = self.take(parts, ways)
            if following == ways:
                raise ValueError("a repetition of nothing")  # its steps are not counted by characters either
            ways = following
        return ended


def is_id_pattern(pattern: str) -> bool:
    """Return whether a laboratory's pattern of IDs can be used; an empty one stands for none."""
    try:
        return not pattern or compile_id_pattern(pattern) is not None
    except ValueError:
        return False
