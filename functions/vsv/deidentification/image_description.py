"""Image descriptions rebuilt from an allow-list: only words and keys known to be harmless are copied.

Readers need these: OpenSlide (and libvips with it) recognizes a slide as Aperio's where the first description begins
with "Aperio", and reads ``AppMag`` and ``MPP``; QuPath and Bio-Formats read both as well.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from vsv.deidentification.geometry import Geometry, is_possible
from vsv.deidentification.policy import Policy

Sides = tuple[frozenset[int], frozenset[int]]

MAX_FIELDS = 500
MAX_STAGES = 8
UNKNOWN_KEY = "a key that is not Aperio's"
HEAD = "words before the keys"
_LIBRARY = re.compile(
    r"Aperio (?:Image Library|Leica Biosystems GT450(?: DX)?) v\d{1,3}(?:\.\d{1,4}){0,4}(?![\w.])", re.ASCII
)
_PLAIN_LIBRARY = "Aperio Image Library"
# The words of a geometry line: 46000x32914 [0,100 46000x32914] (240x240) -> 1024x768 - JPEG/RGB Q=30
_GEOMETRY = re.compile(
    r"\d{1,7}x\d{1,7}|\[\d{1,7},\d{1,7}[ ,]\d{1,7}x\d{1,7}\]|\(\d{1,4}x\d{1,4}\)|->|-"
    r"|JPEG/(?:RGB|YCC|YCbCr|GRAY)|J2K/(?:KDU|YUV16|RGB|YCC)|Q=\d{1,3}|RGB|J2K",
    re.ASCII,
)
_WORD = re.compile(r"\[[^\]\n]{0,60}\]|\S+")
_NUMBER = re.compile(r"\d{1,7}(?:[.,]\d{1,9})?\Z", re.ASCII)  # a decimal comma, as OpenSlide reads one
_DEPTH = re.compile(r"-?\d{1,3}(?:[.,]\d{1,3}0{0,6})?\Z", re.ASCII)  # of a focal plane, in µm
_SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}\Z", re.ASCII)
_TEXT = re.compile(r"[ -{}~]{1,200}\Z", re.ASCII)  # no bar: it ends a value
_TIME = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?\Z", re.ASCII)
_ZONE = re.compile(r"(?:GMT|UTC)?[+-]\d{2}:?\d{2}\Z", re.ASCII)
_DATE_FORMATS = (
    (re.compile(r"\d{2}/\d{2}/\d{2}\Z", re.ASCII), "%m/%d/%y"),
    (re.compile(r"\d{2}/\d{2}/\d{4}\Z", re.ASCII), "%m/%d/%Y"),
    (re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII), "%Y-%m-%d"),
)
NUMBERS = frozenset(("AppMag", "MPP", "OriginalWidth", "OriginalHeight", "Originalheight"))
# Keys that may be named in a report: any other key might itself be a person's name.
_NAMED = NUMBERS | frozenset(
    ("StripeWidth", "ScanScope ID", "Filename", "Date", "Time", "Time Zone", "User", "Parmset", "Left", "Top",
     "LineCameraSkew", "LineAreaXOffset", "LineAreaYOffset", "Focus Offset", "ImageID", "Filtered", "ICC Profile",
     "Title", "Barcode", "DSR ID", "Exposure Time", "Exposure Scale", "DisplayColor", "SessonMode", "CollectionName",
     "Gamma", "Rack", "Slide", "ScannerType", "SessionMode", "Slide ID", "Case ID", "Patient", "Session ID",
     "OffsetZ", "SlideID", "CaseID", "Patient ID", "Patient Name", "ScannerID", "Procedure", "Serial Number")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """A ``key = value`` of a description."""

    key: str
    value: str

    @property
    def name(self) -> str:
        """Name of the field in a report: its key, if that may be named."""
        return self.key if self.key in _NAMED else UNKNOWN_KEY


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A copy's description; ``kept``, ``shifted`` (dates) and ``removed`` are the fields of the original.

    ``strange`` are the words before the keys that are not on the allow-list, and the pieces that have no key.
    """

    text: str
    kept: tuple[Field, ...]
    shifted: tuple[Field, ...]
    removed: tuple[Field, ...]
    strange: tuple[str, ...]


def rebuild(description: str, policy: Policy, days: int | None, geometry: Geometry | None = None) -> Rebuilt:
    """Return a description rebuilt; ``days`` is by how many days dates are shifted to earlier, None drops dates.

    With the file's geometry, numbers are kept only where they agree with it.
    """
    head, *pieces = description.split("|")
    lines, strange, sides = _rebuild_head(head, geometry)
    fields, without_key = _parse_fields(pieces)
    written = [(field, _rebuild_value(field, policy, days, sides)) for field in fields]
    texts = [f"{field.key} = {value}" for field, value in written if value is not None]
    return Rebuilt(
        "|".join((lines, *texts)),
        tuple(field for field, value in written if value == field.value),
        tuple(field for field, value in written if value not in {None, field.value}),
        tuple(field for field, value in written if value is None),
        (*strange, *without_key),
    )


def _parse_fields(pieces: list[str]) -> tuple[list[Field], list[str]]:
    """Return the fields of the pieces between bars, and the pieces beyond ``MAX_FIELDS`` or without a key."""
    fields, rest = [], [piece.strip() for piece in pieces[MAX_FIELDS:]]
    for piece in pieces[:MAX_FIELDS]:
        key, equals, value = piece.partition("=")
        if equals and key.strip():
            fields.append(Field(key.strip(), value.strip()))
        else:
            rest.append(piece.strip())
    return fields, [text for text in rest if text]


def _rebuild_head(head: str, geometry: Geometry | None) -> tuple[str, list[str], Sides | None]:
    """Return the library and geometry lines with only the allowed words, the words left out, and sides of pictures.

    A slide that was cut from another slide has the lines of both, with a semicolon between them.
    """
    stages, strange = head.split(";"), []
    lines, kept = list[str](), list[str]()
    for number, stage in enumerate(stages):
        library = _LIBRARY.match(stage.strip())
        rest = stage.strip()[library.end() :] if library else stage
        words = _WORD.findall(rest)
        known = [word for word in words if _GEOMETRY.fullmatch(word)] if number < MAX_STAGES else []
        known = known if geometry is None else geometry.known_words(known)
        kept += known
        strange += [word for word in words if word not in known and word not in _PLAIN_LIBRARY.split()]
        if known or library or number == 0:
            lines.append(f"{library[0] if library else _PLAIN_LIBRARY} \r\n{' '.join(known)}")
    return ";".join(lines), strange, None if geometry is None else geometry.sides_in(kept)


def _rebuild_value(field: Field, policy: Policy, days: int | None, sides: Sides | None) -> str | None:
    """Return a field's value in the copy; None where the field is removed."""
    for key, may_keep, pattern in _rules(policy):
        if field.key == key:
            is_kept = may_keep and pattern.match(field.value) and _is_possible(field, sides)
            return field.value if is_kept else None
    if field.key == "Date":
        return None if days is None else shifted_date(field.value, days)
    return field.value if field.key in policy.keep_keys and _TEXT.match(field.value) else None


def _is_possible(field: Field, sides: Sides | None) -> bool:
    """Return whether a number agrees with the file's geometry, where that is known; other values are no numbers."""
    if sides is None or field.key not in NUMBERS:
        return True
    return is_possible(field.key, float(field.value.replace(",", ".")), sides)


def _rules(policy: Policy) -> Iterator[tuple[str, bool, re.Pattern[str]]]:
    yield from ((key, True, _NUMBER) for key in NUMBERS)
    yield "OffsetZ", True, _DEPTH  # tells which of the pages are one focal plane's
    # An hour without its day reveals little; with a shifted day, only how long a rack took.
    yield "Time", policy.time == "keep", _TIME
    yield "Time Zone", policy.time == "keep", _ZONE
    yield "ScanScope ID", policy.scanner_serial == "keep", _SERIAL


def shifted_date(text: str, days: int) -> str | None:
    """Return a date shifted to earlier by some days, in the same format; None for a text that is no date."""
    for pattern, form in _DATE_FORMATS:
        if pattern.match(text):
            try:
                return (datetime.strptime(text, form) - timedelta(days)).strftime(form)
            except (ValueError, OverflowError):
                return None
    return None
