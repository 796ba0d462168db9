"""Writing of a slide's de-identified copy: pixels are copied unchanged, all other content by allow-lists.

Tiles are copied one after the other; memory holds only the tiles' offsets, whatever the slide's size.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from vsv.deidentification import scrub_icc, scrub_jpeg, scrub_jpeg2000
from vsv.deidentification.geometry import geometry_of
from vsv.deidentification.image_description import HEAD, rebuild
from vsv.deidentification.page_selection import JPEG2000, Ranges, choose, pictures_left_out
from vsv.deidentification.policy import Policy
from vsv.deidentification.report import Findings, Report
from vsv.deidentification.shown_pages import strange_pages
from vsv.deidentification.tag_allowlist import (
    ALLOWED,
    DESCRIPTION,
    PROFILE,
    TABLES,
    structure,
    tag_name,
    value,
)
from vsv.errors import CorruptTileError, UnavailableError, UnreadableSlideError
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import MAX_TABLES_BYTES, Page, read_pages, spans
from vsv.formats.tiff_directories import Entry, Reader, directories
from vsv.formats.tiff_writer import Tags, TiffWriter
from vsv.rendering.icc import MAX_BYTES
from vsv.slides.levels import MAX_TILE_BYTES
from vsv.storage import atomic_write

_ASCII, _UNDEFINED = 2, 7
SHARED = "the slide's tiles share bytes with its label, macro or texts: it cannot be published without these"


def write_copy(source: Path, target: Path, policy: Policy, days: int | None) -> Report:
    """Write a slide without PHI into ``target`` by an atomic write; return the report of what was removed.

    ``days`` is by how many days dates are shifted to earlier; None drops dates. Raises UnsupportedError for slides
    that are not Aperio's, UnreadableSlideError for damaged slides, UnavailableError where the disk refuses.
    """
    original = _Original(source, policy, days)
    try:
        with atomic_write.replacing(target) as part, part.open("wb") as file:
            tiff = TiffWriter(file)
            for page in original.chosen.kept:
                tiff.write_tagged(original.tags(page), original.blocks(page), tiled=page.is_tiled)
    except OSError as error:
        raise UnavailableError("the copy could not be written: is the disk full or read only?") from error
    return original.findings.report()


class _Original:
    """Original that is copied: the content of the copy, and the findings about content left out."""

    def __init__(self, path: Path, policy: Policy, days: int | None) -> None:
        self.file, self.policy, self.days = OpenFile(path), policy, days
        self.reader, pages = Reader(self.file), read_pages(self.file)
        self.entries = list(directories(self.reader))
        self.chosen = choose(pages, policy, strange_pages(path))
        self.geometry = geometry_of(self.chosen.kept)
        self.forbidden = Ranges((*pictures_left_out(self.file, self.chosen), *self._text_ranges()))
        self.room = self.reader.size
        self.findings = Findings()
        self.findings.note("pages", (name for _, name in self.chosen.left_out))

    def _text_ranges(self) -> Iterator[tuple[int, int]]:
        """Yield offset and length of the values of tags that are not copied unchanged."""
        for entries in self.entries:
            for tag, entry in entries.items():
                if tag == DESCRIPTION or tag not in ALLOWED:
                    yield entry.at, entry.length

    def tags(self, page: Page) -> Tags:
        """Return the tags of a page of the copy."""
        entries = self.entries[page.index]
        self.findings.note("tags", map(tag_name, sorted(entries.keys() - ALLOWED)))
        tags = structure(self.reader, entries)
        if text := self._rebuild_description(page):
            tags[DESCRIPTION] = _ASCII, text.encode("ascii") + b"\0"
        if TABLES in entries and (tables := self._clean_tables(entries[TABLES])):
            tags[TABLES] = _UNDEFINED, tables
        if PROFILE in entries and (profile := self._rebuild_profile(entries[PROFILE])):
            tags[PROFILE] = _UNDEFINED, profile
        return tags

    def _rebuild_description(self, page: Page) -> str:
        if not page.description:
            return ""
        description = rebuild(page.description, self.policy, self.days, self.geometry)
        self.findings.note("keys", (field.name for field in description.removed))
        self.findings.note("keys", [HEAD] if description.strange else ())
        self.findings.note("changed", (f"{field.name} (shifted)" for field in description.shifted))
        self.findings.note("kept", (field.name for field in description.kept))
        return description.text

    def _clean_tables(self, entry: Entry) -> bytes:
        self._check_is_free(entry.at, entry.length)
        try:
            tables, removed = scrub_jpeg.clean(value(self.reader, entry, MAX_TABLES_BYTES), tables=True)
        except CorruptTileError as error:
            raise UnreadableSlideError(f"the slide's JPEG tables cannot be copied: {error}") from error
        self.findings.note("coded", removed)
        return tables

    def _rebuild_profile(self, entry: Entry) -> bytes:
        self._check_is_free(entry.at, entry.length)
        try:
            if self.policy.icc == "drop" or entry.length > MAX_BYTES:
                raise ValueError("not wanted")
            profile = scrub_icc.rebuild_profile(value(self.reader, entry, MAX_BYTES))
        except ValueError:
            self.findings.note("tags", [tag_name(PROFILE)])
            return b""
        self.findings.note("changed", ["ICC profile (names, makers and dates removed)"])
        return profile

    def blocks(self, page: Page) -> Iterator[bytes]:
        """Yield a page's tiles or strips, cleaned, in file order."""
        count = page.columns * page.rows if page.is_tiled else page.offsets.count
        for index, (at, length) in zip(range(count), spans(self.file, page), strict=False):
            yield self._clean_block(page, index, at, length) if length else b""

    def _clean_block(self, page: Page, index: int, at: int, length: int) -> bytes:
        if length > MAX_TILE_BYTES:
            _refuse(page, index, "its length is impossible")
        self._check_is_free(at, length)
        self.room -= length
        if self.room < 0:
            raise UnreadableSlideError(
                "damaged TIFF: its tiles overlap, together they are larger than the file"
            )
        try:
            clean = scrub_jpeg2000.clean if page.compression in JPEG2000 else scrub_jpeg.clean
            block, removed = clean(self.reader.read(at, length))
        except UnreadableSlideError as error:
            _refuse(page, index, str(error), error)
        self.findings.note("coded", removed)
        return block

    def _check_is_free(self, at: int, length: int) -> None:
        if self.forbidden.touches(at, length):
            raise UnreadableSlideError(SHARED)


def _refuse(page: Page, index: int, why: str, cause: Exception | None = None) -> NoReturn:
    place = f"tile {index}" if page.is_tiled else f"strip {index}"
    raise UnreadableSlideError(f"{place} of page {page.index} cannot be copied: {why}") from cause
