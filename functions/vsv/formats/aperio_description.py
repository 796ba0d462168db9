"""Aperio's image descriptions: the scanner's metadata of a scan.

A description is a first line naming the library, a line of geometry, then ``key = value`` pairs between bars.
Source: Aperio, "Digital Slides and Third-Party Data Interchange", and slides seen in archives.
"""

import re

MAX_TAGS, MAX_KEY, MAX_VALUE = 200, 100, 2000
# A number with a decimal point or, from scanners in other languages, a decimal comma.
_NUMBER = re.compile(r"\s*(\+?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?)\s*\Z", re.ASCII)


def is_aperio(description: str) -> bool:
    """Return whether the description of a file's first page makes the file an Aperio slide, as OpenSlide decides."""
    return description.startswith("Aperio")


def parse_tags(description: str) -> dict[str, str]:
    """Return the ``key = value`` pairs of a description; the last of repeated keys counts, as in OpenSlide.

    The lines of library and geometry are stored under "Description". Unprintable characters other than line feeds are
    dropped.
    """
    head, *pairs = description.replace("\r\n", "\n").split("|")
    tags = {}
    for pair in pairs[:MAX_TAGS]:
        key, equals, value = pair.partition("=")
        if equals and key.strip():
            tags[_clean(key, MAX_KEY)] = _clean(value, MAX_VALUE)
    return {**tags, "Description": _clean(head, MAX_VALUE)} if head.strip() else tags


def _clean(text: str, limit: int) -> str:
    printable = "".join(c for c in text if c.isprintable() or c == "\n")
    return printable.strip()[:limit]


def positive_number(text: str | None) -> float | None:
    """Return the positive, finite number that a text spells, None for any other text.

    A decimal comma counts as a point, as in OpenSlide.
    """
    match = _NUMBER.match(text or "")
    value = float(match[1].replace(",", ".")) if match else 0.0
    return value if 1e-9 < value < 1e9 else None  # stores accept no extreme values


def is_like_aperio(description: str) -> bool:
    """Return whether a description has Aperio's form: words, then magnification or pixel size between bars.

    Motic's scanners and programs that cut slides write such descriptions without Aperio's name.
    """
    return not {"AppMag", "MPP"}.isdisjoint(parse_tags(description))
