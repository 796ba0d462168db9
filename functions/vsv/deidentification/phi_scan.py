"""PHI scan of a published file: its raw bytes are searched for identifying content of the original.

A text is searched for in each form that it may have: ASCII or UTF-8, Latin-1, UTF-16 of either byte order, in any
case. Among gigabytes of coded pixels short texts occur by chance, so those are searched for in all other bytes, and
the shortest as words. The result says how texts were searched for.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from vsv.deidentification.byte_audit import account
from vsv.deidentification.geometry import geometry_of
from vsv.deidentification.identifiers import Value, allowed_texts, identifying_values
from vsv.deidentification.image_description import rebuild
from vsv.deidentification.multi_search import Needles, bare, patterns_of
from vsv.deidentification.page_selection import choose
from vsv.deidentification.policy import Policy
from vsv.deidentification.shown_pages import strange_pages, strange_pictures
from vsv.errors import LeakError
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import Page, read_pages, spans
from vsv.records.models import SlideRecord

_BLOCK = 4 << 20
_SHORTEST = 4
# A text is searched for in coded pixels only if it is expected there by chance less often than this.
_MAX_CHANCE = 1e-4
WINDOW_BYTES = 64
PICTURE = "bytes of a picture that was left out"
_WINDOWS_A_PAGE = 16
_DISTINCT = 32  # coded white paper is the same in many pictures
# Texts that every copy holds, of any patient.
_VOCABULARY = (
    "aperio image library", "leica biosystems gt450 dx", "jpeg/rgb q", "jpeg/ycc q", "j2k/kdu q", "j2k/yuv16 q",
    "appmag", "originalwidth", "originalheight", "scanscope id", "time zone", "slide scanner", "none",
    "label", "macro", "thumbnail",
)  # fmt: skip
_WORD = re.compile(r"[^\s|=;,]+")


class How(StrEnum):
    """Part of the file in which a text was searched for."""

    EVERYWHERE = "in all bytes"
    OUTSIDE = "in all bytes but the coded pixels"
    WORDS = "as a word of the texts"


@dataclass(frozen=True, slots=True)
class Checked:
    """Result of a scan: names of ``leaks``; ``searched`` counts texts by ``How``, ``short`` names the shortest."""

    leaks: tuple[str, ...]
    searched: Mapping[How, int]
    short: tuple[str, ...] = ()

    def to_item(self) -> dict[str, Any]:
        """Return the result as JSON."""
        searched = {str(how): count for how, count in self.searched.items()}
        return {"leaks": list(self.leaks), "searched": searched, "short": list(self.short)}

    def text(self) -> str:
        """Return the result as text for people."""
        counts = ", ".join(f"{number} {how}" for how, number in self.searched.items())
        words = f" (as words: {', '.join(self.short)})" if self.short else ""
        leaks = "".join(f"\nLEAK: {name}" for name in self.leaks) or "\nNothing was found"
        return f"Texts searched: {counts or 'none'}{words}{leaks}"


def check(original: Path, published: Path, policy: Policy, record: SlideRecord | None = None) -> Checked:
    """Search a published file for the identifying texts of its original and record; raise UnreadableSlideError.

    Each picture of the file, and of a stored copy's folder, is compared with full resolution: a label is a leak.
    """
    values = identifying_values(original, record, policy)
    search = _Search(published, policy, allowed_texts(original, policy))
    result = search.run(values, tuple(windows(original)))
    return replace(result, leaks=(*result.leaks, *strange_pictures(published)))


def require_clean(original: Path, published: Path, policy: Policy, record: SlideRecord) -> Checked:
    """Search as ``check`` does; raise LeakError, which names the leaks without repeating their texts."""
    result = check(original, published, policy, record)
    if result.leaks:
        raise LeakError(f"nothing was published: the copy still holds {', '.join(result.leaks[:20])}")
    return result


def windows(original: Path) -> Iterator[bytes]:
    """Yield samples of the bytes of pages left out, so distinct that other pictures hardly hold the same bytes."""
    file = OpenFile(original)
    strange = strange_pages(original)
    for page, _ in choose(read_pages(file), Policy(), strange).left_out:
        if page.index != 1 or page.index in strange:  # a thumbnail's pixels are the slide's
            yield from _sample_page(file, page)


def _sample_page(file: OpenFile, page: Page) -> Iterator[bytes]:
    blocks = [(at, length) for at, length in spans(file, page) if length >= WINDOW_BYTES]
    step = max(1, len(blocks) // _WINDOWS_A_PAGE)
    for at, length in blocks[::step]:
        start = at + max(0, length - WINDOW_BYTES) * 2 // 3  # behind the headers, which many pictures share
        window = file.read(start, WINDOW_BYTES)
        if len(set(window)) >= _DISTINCT:
            yield window


class _Search:
    """Search of a published file."""

    def __init__(self, path: Path, policy: Policy, allowed: Iterable[str]) -> None:
        self.file, self.policy = OpenFile(path), policy
        self.account = account(self.file, policy)
        self.size = self.file.size()
        self.allowed = [text.lower() for text in (*allowed, *_VOCABULARY)]

    def run(self, values: tuple[Value, ...], samples: tuple[bytes, ...]) -> Checked:
        by_how: dict[How, list[Value]] = {how: [] for how in How}
        for value in values:
            by_how[self._choose_how(value)].append(value)
        leaks = dict.fromkeys(self.account.problems)
        needles = Needles({p: v.name for v in by_how[How.EVERYWHERE] for p in patterns_of(v.text)})
        leaks |= self._search_all_bytes(needles, Needles(dict.fromkeys(samples, PICTURE)))
        outside_pixels = bare(b"\xff".join(self.file.read(at, length) for at, length in self.account.texts))
        for value in by_how[How.OUTSIDE]:
            if any(pattern in outside_pixels for pattern in patterns_of(value.text)):
                leaks[value.name] = None
        words = self._unexplained_words()
        leaks |= {v.name: None for v in by_how[How.WORDS] if not words.isdisjoint(_words_of(v.text))}
        counts = {how: len(group) for how, group in by_how.items() if group}
        return Checked(tuple(leaks), counts, tuple(dict.fromkeys(v.name for v in by_how[How.WORDS])))

    def _choose_how(self, value: Value) -> How:
        text = value.text.lower()
        if len(text) < _SHORTEST or any(text in allowed for allowed in self.allowed):
            return How.WORDS
        return max((self._choose_by_chance(pattern) for pattern in patterns_of(text)), key=list(How).index)

    def _choose_by_chance(self, pattern: bytes) -> How:
        letters = sum(chr(byte).isalpha() for byte in pattern if byte < 0x80)
        chance = self.size * 2.0**letters / 256.0 ** len(pattern)
        return How.EVERYWHERE if chance < _MAX_CHANCE else How.OUTSIDE

    def _search_all_bytes(self, needles: Needles, samples: Needles) -> dict[str, None]:
        overlap = 4 * max(needles.longest, samples.longest)
        names: dict[str, None] = {}
        for at in range(0, self.size, _BLOCK):
            raw = self.file.read(at, _BLOCK + overlap)
            names |= dict.fromkeys(needles.found_in(bare(raw)))
            names |= dict.fromkeys(samples.found_in(raw))
        return names

    def _unexplained_words(self) -> set[str]:
        """Return the words of the descriptions that neither the allow-list nor the policy explains."""
        days = 0 if self.policy.dates == "shift" else None
        words = set[str]()
        pages = read_pages(self.file)
        for page in pages:
            rebuilt = rebuild(page.description, self.policy, days, geometry_of(pages))
            words |= {word for text in rebuilt.strange for word in _words_of(text)}
            words |= {word for field in rebuilt.removed for word in _words_of(f"{field.key} {field.value}")}
        return words


def _words_of(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
