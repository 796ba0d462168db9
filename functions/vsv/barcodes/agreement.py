"""Agreement of reads: which texts of a label's codes are certain, and in which order they are returned.

A wrong text files a slide under the wrong patient, whereas without a text a person only has to type one. Therefore a
text is certain only when enough independent reads agree.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

# The order of the codes of one label: those with error correction first, those without a check character last.
RANK = ("Data Matrix", "QR", "Aztec", "PDF417", "Code 128", "Code 93", "Code 39", "ITF", "Codabar")
# Matrix codes and PDF417 have error correction: a read with correction to spare counts two votes. Code 128 has one
# check character, which one in 103 wrong reads of blurred labels passes; Code 93 has two. Code 39, ITF and Codabar
# have none, and a part of an ITF code can look like a whole one.
VOTES_NEEDED = {
    "Data Matrix": 2,
    "QR": 2,
    "Aztec": 2,
    "PDF417": 2,
    "Code 128": 2,
    "Code 93": 2,
    "Code 39": 3,
    "ITF": 4,
    "Codabar": 4,
}
MAX_TEXT = 100
MIN_TEXT = 3  # two characters are more likely noise than an identifier
LEAST_DIGITS = 5  # of a text that a lone reader is believed
# Bars at random are read as short ITF or Codabar texts: six digits, for Codabar with its two frame characters.
MIN_LENGTHS = {"ITF": 6, "Codabar": 8}
LINEAR_CHARACTERS = frozenset(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz -./:;_,#+()$%*&=@^~|"
)
LINEAR = frozenset({"Code 128", "Code 93", "Code 39", "ITF", "Codabar"})


@dataclass(frozen=True)
class Barcode:
    """A barcode's text, its format, and the library that read the text."""

    text: str
    format: str
    reader: str


@dataclass(frozen=True)
class Read:
    """One code read in one picture: ``area`` and ``centre`` in pixels of the label, ``votes`` the read's weight."""

    text: str
    format: str
    votes: int
    area: float
    centre: tuple[float, float]


def clean_text(text: str, kind: str) -> str | None:
    """Return the text without surrounding separators, None where the text cannot be an identifier.

    Group separators inside are dropped, as hand scanners do, and a tab is a blank; a text with other control
    characters is refused.
    """
    text = text.strip("\x1c\x1d\x1e\x1f\x04\x00 \t\r\n").replace("\x1d", "").replace("\t", " ")
    if not MIN_LENGTHS.get(kind, MIN_TEXT) <= len(text) <= MAX_TEXT:
        return None
    if not text.isprintable() or "\ufffd" in text:
        return None
    return text if kind not in LINEAR or LINEAR_CHARACTERS.issuperset(text) else None


def is_plausible(text: str) -> bool:
    """Return whether a text has the characters of an accession number: a number, with letters and separators."""
    is_plain = re.fullmatch(r"[A-Z0-9][A-Z0-9 ._;/&+-]{5,}", text, re.ASCII) is not None
    return is_plain and sum(map(str.isdigit, text)) >= LEAST_DIGITS


def distinct(reads: Sequence[Read]) -> list[Read]:
    """Return the largest read of each text: a text counts once per attempt, in however many regions it was read."""
    largest: dict[tuple[str, str], Read] = {}
    for read in sorted(reads, key=lambda read: read.area):
        largest[read.format, read.text] = read
    return list(largest.values())


def choose(reads: Sequence[Read]) -> Barcode | None:
    """Return the first of the certain codes, None while no text has enough votes."""
    return next(iter(certain_codes(reads)), None)


def certain_codes(reads: Sequence[Read]) -> list[Barcode]:
    """Return the codes that enough reads agree on, each text once: by format, then by size, then by position."""
    texts = {(read.format, read.text) for read in reads}
    certain = sorted(
        (text for text in texts if _is_certain(text, reads)), key=lambda text: _order(text, reads)
    )
    codes = [Barcode(text, kind, "zxing-cpp") for kind, text in certain]
    return list({code.text: code for code in reversed(codes)}.values())[::-1]


def uncertain_texts(reads: Sequence[Read]) -> frozenset[str]:
    """Return the texts that were read, but not often enough."""
    return frozenset({read.text for read in reads} - {code.text for code in certain_codes(reads)})


def _is_certain(text: tuple[str, str], reads: Sequence[Read]) -> bool:
    """Return whether a text has enough votes: two more for each vote for another text in the same place."""
    own = [read for read in reads if (read.format, read.text) == text]
    rivals = [r for r in reads if (r.format, r.text) != text and any(_same_place(r, read) for read in own)]
    needed = VOTES_NEEDED[text[0]] + 2 * sum(read.votes for read in rivals)
    return sum(read.votes for read in own) >= needed


def _same_place(first: Read, second: Read) -> bool:
    return math.dist(first.centre, second.centre) < math.sqrt(max(first.area, second.area)) / 2


def _order(text: tuple[str, str], reads: Sequence[Read]) -> tuple[int, float, float, float, str]:
    """Return the sort key that puts the first code first: format, then size, then position."""
    first = next(read for read in reads if (read.format, read.text) == text)
    return RANK.index(first.format), -first.area, first.centre[1], first.centre[0], first.text
