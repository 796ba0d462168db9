"""Is every byte of a copy one that a copy may have? Tags, pages, tiles and what lies between them are looked through.

This knows nothing of the original: whatever a copy holds that has no business there is found, known or not.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from vsv.deidentification import scrub_icc, scrub_jpeg, scrub_jpeg2000
from vsv.deidentification.image_description import rebuild
from vsv.deidentification.page_selection import JPEG2000, MAX_TILES, choose
from vsv.deidentification.policy import Policy
from vsv.deidentification.tag_allowlist import ALLOWED, DESCRIPTION, PLACES, PROFILE, TABLES, tag_name
from vsv.errors import UnreadableSlideError
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import Page, read_pages, spans
from vsv.formats.tiff_directories import MAX_PAGES, Entry, Reader
from vsv.slides.levels import MAX_TILE_BYTES

_MAX_GAP = 7  # structures begin at multiples of eight
_MAX_VALUE = 8 << 20


@dataclass
class Account:
    """What was found: ``problems`` by name; ``texts`` are stretches that are neither tiles nor where they lie."""

    problems: dict[str, None] = field(default_factory=dict)
    texts: list[tuple[int, int]] = field(default_factory=list)
    starts: "array[int]" = field(default_factory=lambda: array("Q"))
    ends: "array[int]" = field(default_factory=lambda: array("Q"))

    def add(self, at: int, length: int) -> None:
        """Note that a stretch belongs to something; what follows the one before lengthens it."""
        if length and self.ends and self.ends[-1] == at:
            self.ends[-1] += length
        elif length:
            self.starts.append(at)
            self.ends.append(at + length)


def account(file: OpenFile, policy: Policy, *, pyramid: bool = False) -> Account:
    """Look through a copy, or the pyramid beside one; raises UnreadableSlideError where it is no TIFF at all."""
    reader, pages, found = Reader(file), read_pages(file), Account()
    found.add(0, 16 if reader.big else 8)
    if sum(page.offsets.count for page in pages) > MAX_TILES:
        raise UnreadableSlideError("damaged TIFF: its levels claim more tiles than any slide has")
    for page, entries in zip(pages, _directories(reader, found), strict=True):
        found.problems |= dict.fromkeys(map(tag_name, sorted(entries.keys() - ALLOWED)))
        found.problems |= dict.fromkeys(_wrong_values(reader, page, entries, policy))
        for at, length in spans(file, page):
            found.add(at, length)
            found.problems |= dict.fromkeys(_wrong_block(reader, page, at, length))
    if not pyramid:
        found.problems |= dict.fromkeys(name for _, name in choose(pages, Policy()).left_out)
    found.problems |= dict.fromkeys(_wrong_gaps(reader, found))
    return found


def _directories(reader: Reader, found: Account) -> Iterator[dict[int, Entry]]:
    at = reader.first_page
    for _ in range(MAX_PAGES):
        if at == 0:
            return
        (count,) = reader.unpack("Q" if reader.big else "H", at)
        length = 16 + 20 * count if reader.big else 6 + 12 * count
        entries, following = reader.directory(at)
        if len(entries) != count:
            found.problems["a tag twice"] = None
        found.add(at, length)
        found.texts.append((at, length))
        for tag, entry in entries.items():
            if entry.length > (8 if reader.big else 4):
                found.add(entry.at, entry.length)
                found.texts += [] if tag in PLACES else [(entry.at, entry.length)]
        yield entries
        at = following


def _wrong_values(reader: Reader, page: Page, entries: dict[int, Entry], policy: Policy) -> Iterator[str]:
    days = 0 if policy.dates == "shift" else None
    stored = _bytes(reader, entries, DESCRIPTION)
    if stored and stored != rebuild(page.description, policy, days).text.encode() + b"\0":
        yield "words of the description"
    try:
        tables = _bytes(reader, entries, TABLES)
        if tables and scrub_jpeg.cleaned(tables, tables=True)[0] != tables:
            yield tag_name(TABLES)
        profile = _bytes(reader, entries, PROFILE)
        if profile and scrub_icc.rebuilt(profile) != profile:
            yield tag_name(PROFILE)
    except (ValueError, UnreadableSlideError):
        yield "a tag that cannot be read"


def _bytes(reader: Reader, entries: dict[int, Entry], tag: int) -> bytes:
    entry = entries.get(tag)
    return b"" if entry is None else reader.read(entry.at, min(entry.length, _MAX_VALUE))


def _wrong_block(reader: Reader, page: Page, at: int, length: int) -> Iterator[str]:
    if not 0 < length <= MAX_TILE_BYTES:
        if length:
            yield "a tile of impossible length"
        return
    block = reader.read(at, length)
    clean = scrub_jpeg2000.cleaned if page.compression in JPEG2000 else scrub_jpeg.cleaned
    try:
        kept, removed = clean(block)
    except UnreadableSlideError:
        yield "a tile that is not understood"
        return
    yield from removed or ([] if kept == block else ["bytes in a tile"])


def _wrong_gaps(reader: Reader, found: Account) -> Iterator[str]:
    """Find what belongs to nothing, and what belongs to two things."""
    starts, ends = (
        np.frombuffer(places, np.uint64).astype(np.int64) for places in (found.starts, found.ends)
    )
    order = np.argsort(starts, kind="stable")
    before = np.append(0, ends[order])
    gaps = np.append(starts[order], reader.size) - before
    if (gaps < 0).any():
        yield "parts that overlap"
    if (gaps > _MAX_GAP).any():
        yield "bytes that belong to nothing"
    for index in np.flatnonzero((gaps > 0) & (gaps <= _MAX_GAP)):
        if reader.read(int(before[index]), int(gaps[index])).strip(b"\0"):
            yield "bytes that belong to nothing"
