"""Audit of every byte of a copy against the allow-lists: its tags, pages, tiles and the gaps between them.

The audit does not read the original: any content that is not allowed is found, whether known as PHI or not.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from vsv.deidentification import scrub_icc, scrub_jpeg, scrub_jpeg2000
from vsv.deidentification.geometry import Geometry, geometry_of
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
    """Result of an audit: ``problems`` by name; ``texts`` are the byte ranges that hold no tiles and no tile offsets.

    ``starts`` and ``ends`` are the byte ranges that belong to a structure of the file.
    """

    problems: dict[str, None] = field(default_factory=dict)
    texts: list[tuple[int, int]] = field(default_factory=list)
    starts: "array[int]" = field(default_factory=lambda: array("Q"))
    ends: "array[int]" = field(default_factory=lambda: array("Q"))

    def add(self, at: int, length: int) -> None:
        """Add a byte range that belongs to a structure; a range that continues the last one extends that range."""
        if length and self.ends and self.ends[-1] == at:
            self.ends[-1] += length
        elif length:
            self.starts.append(at)
            self.ends.append(at + length)


def account(file: OpenFile, policy: Policy, *, pyramid: bool = False) -> Account:
    """Return the audit of a copy, or of a copy's pyramid; raise UnreadableSlideError for a file that is no TIFF."""
    reader, pages, result = Reader(file), read_pages(file), Account()
    result.add(0, 16 if reader.big else 8)
    if sum(page.offsets.count for page in pages) > MAX_TILES:
        raise UnreadableSlideError("damaged TIFF: its levels claim more tiles than any slide has")
    geometry = geometry_of(pages)
    for page, entries in zip(pages, _read_directories(reader, result), strict=True):
        result.problems |= dict.fromkeys(map(tag_name, sorted(entries.keys() - ALLOWED)))
        result.problems |= dict.fromkeys(_find_wrong_words(reader, page, entries, policy, geometry))
        result.problems |= dict.fromkeys(_find_wrong_values(reader, entries))
        for at, length in spans(file, page):
            result.add(at, length)
            result.problems |= dict.fromkeys(_find_wrong_bytes(reader, page, at, length))
    if not pyramid:
        result.problems |= dict.fromkeys(name for _, name in choose(pages, Policy()).left_out)
    result.problems |= dict.fromkeys(_find_wrong_gaps(reader, result))
    return result


def _read_directories(reader: Reader, result: Account) -> Iterator[dict[int, Entry]]:
    at = reader.first_page
    for _ in range(MAX_PAGES):
        if at == 0:
            return
        (count,) = reader.unpack("Q" if reader.big else "H", at)
        length = 16 + 20 * count if reader.big else 6 + 12 * count
        entries, following = reader.directory(at)
        if len(entries) != count:
            result.problems["a tag twice"] = None
        result.add(at, length)
        result.texts.append((at, length))
        for tag, entry in entries.items():
            if entry.length > (8 if reader.big else 4):
                result.add(entry.at, entry.length)
                result.texts += [] if tag in PLACES else [(entry.at, entry.length)]
        yield entries
        at = following


def _find_wrong_words(
    reader: Reader, page: Page, entries: dict[int, Entry], policy: Policy, geometry: Geometry
) -> Iterator[str]:
    days = 0 if policy.dates == "shift" else None
    stored = _read_value(reader, entries, DESCRIPTION)
    if stored and stored != rebuild(page.description, policy, days, geometry).text.encode() + b"\0":
        yield "words of the description"


def _find_wrong_values(reader: Reader, entries: dict[int, Entry]) -> Iterator[str]:
    try:
        tables = _read_value(reader, entries, TABLES)
        if tables and scrub_jpeg.clean(tables, tables=True)[0] != tables:
            yield tag_name(TABLES)
        profile = _read_value(reader, entries, PROFILE)
        if profile and scrub_icc.rebuild_profile(profile) != profile:
            yield tag_name(PROFILE)
    except (ValueError, UnreadableSlideError):
        yield "a tag that cannot be read"


def _read_value(reader: Reader, entries: dict[int, Entry], tag: int) -> bytes:
    entry = entries.get(tag)
    return b"" if entry is None else reader.read(entry.at, min(entry.length, _MAX_VALUE))


def _find_wrong_bytes(reader: Reader, page: Page, at: int, length: int) -> Iterator[str]:
    if not 0 < length <= MAX_TILE_BYTES:
        if length:
            yield "a tile of impossible length"
        return
    block = reader.read(at, length)
    clean = scrub_jpeg2000.clean if page.compression in JPEG2000 else scrub_jpeg.clean
    try:
        cleaned, removed = clean(block)
    except UnreadableSlideError:
        yield "a tile that is not understood"
        return
    yield from removed or ([] if cleaned == block else ["bytes in a tile"])


def _find_wrong_gaps(reader: Reader, result: Account) -> Iterator[str]:
    """Yield the names of bytes that belong to no structure, and of byte ranges that overlap."""
    starts, ends = (
        np.frombuffer(offsets, np.uint64).astype(np.int64) for offsets in (result.starts, result.ends)
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
