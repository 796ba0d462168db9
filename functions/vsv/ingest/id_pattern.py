"""Case, slide, block and stain of a slide's text: a barcode, a scanner's tag or a filename.

Two patients in one case are worse than one patient in two: a text that does not fit the pattern as a whole is its own
case and is not confirmed. The default pattern is one grammar of accession numbers; a laboratory can set its own.
"""

import re
from dataclasses import dataclass

from vsv.identifiers import MAX_ID_TEXT, compile_id_pattern

_SEPARATOR = r"[-._;/\x20]"
_YEAR = r"(?:19\d\d|20\d\d|\d\d)"
# The sequence number is glued to the year only where letters show that the digits are an accession number. Three
# digits are a sequence number only between separators, as in HP19.754.A5.
_NUMBER = rf"""
    (?P<letters>[A-Z]{{1,6}}){_SEPARATOR}?{_YEAR}{_SEPARATOR}?(?P<middle>[A-Z]{{1,3}})?{_SEPARATOR}?\d{{4,8}}
  | (?P<three>[A-Z]{{1,6}}){_SEPARATOR}?{_YEAR}{_SEPARATOR}\d{{3}}
  | {_YEAR}{_SEPARATOR}?(?P<type>[A-Z]{{1,3}}){_SEPARATOR}?\d{{4,8}}
  | {_YEAR}{_SEPARATOR}\d{{4,8}}
"""
# A letter that stands alone at the number belongs to the number: 14-9999S and 14-9999C are two cases.
_LETTER = "(?:[A-Z](?![A-Z0-9]))?"
_WORD = "[A-Z0-9&+]{1,12}"
_STAIN = rf"{_WORD}(?:{_SEPARATOR}{_WORD}){{0,2}}"
_ACCESSION = re.compile(
    rf"""(?P<case>(?:{_NUMBER}){_LETTER})
         (?:{_SEPARATOR}?(?P<block>[A-Z]{{1,2}}\d{{0,2}})(?:{_SEPARATOR}(?P<stain>{_STAIN}))?)?""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
# The Cancer Genome Atlas: project, tissue source site and participant, then sample, portion and slide.
_TCGA = re.compile(
    r"(?P<case>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})(?:-\d{2}[A-Z]?(?:-\d{2}[A-Z]?(?:-[A-Z0-9]{2,4}){0,2})?)?",
    re.ASCII,
)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_LONG_DIGITS = re.compile(r"\d{4,}", re.ASCII)
_MONTHS = "JAN FEB MAR MRZ APR MAY MAI JUN JUL AUG SEP SEPT OCT OKT NOV DEC DEZ JUNE JULY MARCH APRIL AUGUST"
_OTHERS = "LOT REF EXP BATCH GTIN UDI HTTP HTTPS WWW DATE SCAN IMG IMAGE SLIDE TEST"
_NO_PREFIX = frozenset([*_MONTHS.split(), *_OTHERS.split()])


@dataclass(frozen=True, slots=True)
class SlideIds:
    """The IDs of a text; ``confirmed`` says whether the text fits the pattern, otherwise the text is its own case."""

    slide: str
    case: str
    block: str | None = None
    stain: str | None = None
    confirmed: bool = False


def parse_ids(text: str, pattern: str = "") -> SlideIds:
    """Return the IDs of a text by a laboratory's pattern, by the default grammar without one."""
    if len(text) > MAX_ID_TEXT:
        return SlideIds(text, text)
    match = compile_id_pattern(pattern).fullmatch(text) if pattern else _match_default(text)
    parts = match.groupdict() if match else {}
    if not parts.get("case"):
        return SlideIds(text, text)
    return SlideIds(
        parts.get("slide") or text,
        parts["case"],
        parts.get("block") or None,
        parts.get("stain") or None,
        True,
    )


def _match_default(text: str) -> re.Match[str] | None:
    if match := _TCGA.fullmatch(text):
        return match
    match = _ACCESSION.fullmatch(text)
    if match is None or _UUID.fullmatch(text) or _is_no_case(match):
        return None
    return None if _has_long_digits(match["stain"]) else match


def _has_long_digits(stain: str | None) -> bool:
    """Return whether a stain holds four digits in a row, which may be the true sequence number."""
    return stain is not None and _LONG_DIGITS.search(stain) is not None


def _is_no_case(match: re.Match[str]) -> bool:
    """Return whether what seems a case is a date, the number of a product, or a program's name for a file."""
    words = {(match[name] or "").upper() for name in ("letters", "three", "middle", "type")}
    if words & _NO_PREFIX:
        return True
    has_letters = any(words)
    digits = re.findall(r"\d+", match["case"] if has_letters else re.sub(r"[^0-9]", "", match["case"]))
    return any(len(number) == 8 and _is_day(number) for number in digits)


def _is_day(digits: str) -> bool:
    """Return whether eight digits are a day of 1900 to 2099, with the year first or last."""
    first, last = (digits[:4], digits[4:6], digits[6:]), (digits[4:], digits[:2], digits[2:4])
    return any(
        1900 <= int(year) < 2100 and 1 <= min(int(a), int(b)) <= 12 and 1 <= max(int(a), int(b)) <= 31
        for year, a, b in (first, last)
    )
