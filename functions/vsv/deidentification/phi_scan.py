"""Does a published file hold anything of its original that tells a person? Its raw bytes are searched.

A text is searched in every way that it may be written: ASCII or UTF-8, Latin-1, UTF-16 of either order, whatever its
case. Among gigabytes of coded pixels short texts occur by chance, so those are searched in all the rest, and the
shortest as words. How each was searched is part of the answer.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from vsv.deidentification.byte_audit import account
from vsv.deidentification.identifiers import Value, identifying_values, on_purpose
from vsv.deidentification.image_description import rebuild
from vsv.deidentification.multi_search import Needles, bare, patterns_of
from vsv.deidentification.page_selection import choose
from vsv.deidentification.policy import Policy
from vsv.errors import LeakError
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import Page, read_pages, spans
from vsv.records.models import SlideRecord

_BLOCK = 4 << 20
_SHORTEST = 4
# How often a text may be expected in the coded pixels by chance for it to be searched there.
_MAX_CHANCE = 1e-4
WINDOW_BYTES = 64
PICTURE = "bytes of a picture that was left out"
_WINDOWS_A_PAGE = 16
_DISTINCT = 32  # white paper, coded, looks alike everywhere
# What every copy says, whoever it shows.
_VOCABULARY = (
    "aperio image library", "leica biosystems gt450 dx", "jpeg/rgb q", "jpeg/ycc q", "j2k/kdu q", "j2k/yuv16 q",
    "appmag", "originalwidth", "originalheight", "scanscope id", "time zone", "slide scanner", "none",
    "label", "macro", "thumbnail",
)  # fmt: skip
_WORD = re.compile(r"[^\s|=;,]+")


class How(StrEnum):
    """Where a text was searched."""

    EVERYWHERE = "in all bytes"
    OUTSIDE = "in all bytes but the coded pixels"
    WORDS = "as a word of the texts"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a search found: the names of ``leaks``; ``searched`` counts texts by how, ``short`` names the shortest."""

    leaks: tuple[str, ...]
    searched: Mapping[How, int]
    short: tuple[str, ...] = ()

    def to_item(self) -> dict[str, Any]:
        """Give the result as JSON has it."""
        searched = {str(how): count for how, count in self.searched.items()}
        return {"leaks": list(self.leaks), "searched": searched, "short": list(self.short)}

    def text(self) -> str:
        """Give the result for people."""
        counts = ", ".join(f"{number} {how}" for how, number in self.searched.items())
        words = f" (as words: {', '.join(self.short)})" if self.short else ""
        found = "".join(f"\nLEAK: {name}" for name in self.leaks) or "\nNothing was found"
        return f"Texts searched: {counts or 'none'}{words}{found}"


def check(original: Path, published: Path, policy: Policy, record: SlideRecord | None = None) -> Checked:
    """Search a published file for what its original, and that one's record, say; raises UnreadableSlideError."""
    values = identifying_values(original, record, policy)
    return _Search(published, policy, on_purpose(original, policy)).run(values, tuple(windows(original)))


def require_clean(original: Path, published: Path, policy: Policy, record: SlideRecord) -> Checked:
    """Search as ``check`` does; raises LeakError, which names what was found and does not repeat it."""
    found = check(original, published, policy, record)
    if found.leaks:
        raise LeakError(f"nothing was published: the copy still holds {', '.join(found.leaks[:20])}")
    return found


def windows(original: Path) -> Iterator[bytes]:
    """Give samples of the pages' bytes that are left out, such as hardly occur twice in the world."""
    file = OpenFile(original)
    for page, _ in choose(read_pages(file), Policy()).left_out:
        if page.index != 1:  # a thumbnail's pixels are the slide's
            yield from _of_page(file, page)


def _of_page(file: OpenFile, page: Page) -> Iterator[bytes]:
    stretches = [(at, length) for at, length in spans(file, page) if length >= WINDOW_BYTES]
    step = max(1, len(stretches) // _WINDOWS_A_PAGE)
    for at, length in stretches[::step]:
        place = at + max(0, length - WINDOW_BYTES) * 2 // 3  # behind the headers, which many pictures share
        window = file.read(place, WINDOW_BYTES)
        if len(set(window)) >= _DISTINCT:
            yield window


class _Search:
    """One published file that is searched."""

    def __init__(self, path: Path, policy: Policy, on_purpose: Iterable[str]) -> None:
        self.file, self.policy = OpenFile(path), policy
        self.account = account(self.file, policy)
        self.size = self.file.size()
        self.on_purpose = [text.lower() for text in (*on_purpose, *_VOCABULARY)]

    def run(self, values: tuple[Value, ...], samples: tuple[bytes, ...]) -> Checked:
        by_how: dict[How, list[Value]] = {how: [] for how in How}
        for value in values:
            by_how[self._how(value)].append(value)
        found = dict.fromkeys(self.account.problems)
        needles = Needles({p: v.name for v in by_how[How.EVERYWHERE] for p in patterns_of(v.text)})
        found |= self._in_all_bytes(needles, Needles(dict.fromkeys(samples, PICTURE)))
        everything_else = bare(b"\xff".join(self.file.read(at, length) for at, length in self.account.texts))
        for value in by_how[How.OUTSIDE]:
            if any(pattern in everything_else for pattern in patterns_of(value.text)):
                found[value.name] = None
        words = self._words()
        found |= {v.name: None for v in by_how[How.WORDS] if not words.isdisjoint(_words_of(v.text))}
        counts = {how: len(some) for how, some in by_how.items() if some}
        return Checked(tuple(found), counts, tuple(dict.fromkeys(v.name for v in by_how[How.WORDS])))

    def _how(self, value: Value) -> How:
        text = value.text.lower()
        if len(text) < _SHORTEST or any(text in kept for kept in self.on_purpose):
            return How.WORDS
        return max((self._how_far(pattern) for pattern in patterns_of(text)), key=list(How).index)

    def _how_far(self, pattern: bytes) -> How:
        letters = sum(chr(byte).isalpha() for byte in pattern if byte < 0x80)
        chance = self.size * 2.0**letters / 256.0 ** len(pattern)
        return How.EVERYWHERE if chance < _MAX_CHANCE else How.OUTSIDE

    def _in_all_bytes(self, needles: Needles, samples: Needles) -> dict[str, None]:
        overlap = 4 * max(needles.longest, samples.longest)
        found: dict[str, None] = {}
        for at in range(0, self.size, _BLOCK):
            raw = self.file.read(at, _BLOCK + overlap)
            found |= dict.fromkeys(needles.found_in(bare(raw)))
            found |= dict.fromkeys(samples.found_in(raw))
        return found

    def _words(self) -> set[str]:
        """Give the words of the descriptions that stand there for no reason that is known."""
        days = 0 if self.policy.dates == "shift" else None
        found = set[str]()
        for page in read_pages(self.file):
            rebuilt = rebuild(page.description, self.policy, days)
            found |= {word for text in rebuilt.strange for word in _words_of(text)}
            found |= {word for field in rebuilt.removed for word in _words_of(f"{field.key} {field.value}")}
        return found


def _words_of(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
