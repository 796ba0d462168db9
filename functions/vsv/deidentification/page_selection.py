"""Selection of the pages that go into a slide's copy: the levels, and a genuine thumbnail."""

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from vsv.deidentification.policy import Policy
from vsv.errors import UnreadableSlideError, UnsupportedError
from vsv.formats.aperio_description import is_aperio
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import (
    COMPRESSION_JPEG,
    COMPRESSION_JPEG2000_RGB,
    COMPRESSION_JPEG2000_YCBCR,
    Page,
    spans,
)
from vsv.slides.associated_images import shows_tissue
from vsv.slides.page_names import NAMES_BY_SUBFILE_TYPE

JPEG2000 = frozenset((COMPRESSION_JPEG2000_YCBCR, COMPRESSION_JPEG2000_RGB))
CODED = JPEG2000 | {COMPRESSION_JPEG}
# More than any slide has, and few enough to hold the tiles' offsets in memory: 16 bytes a tile.
MAX_TILES = 1 << 22
_NAMED = re.compile(r"\b(label|macro|thumbnail)\b", re.IGNORECASE)
NOT_THE_SLIDE = "page that does not show the slide"
_ONLY_APERIO = (
    "only Aperio slides can be published yet: of another format make an OME-TIFF or DICOM copy with the maker's own "
    "program, and look through it for patient data"
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A slide's pages: the pages that are copied, in order, and the pages left out, with the names of those."""

    kept: tuple[Page, ...]
    left_out: tuple[tuple[Page, str], ...]


def choose(pages: tuple[Page, ...], policy: Policy, strange: Collection[int] = ()) -> Chosen:
    """Return the choice of a copy's pages; raise UnsupportedError for a slide that cannot be published.

    ``strange`` are the numbers of pages that do not show what full resolution shows: none of them is copied.
    """
    _check_is_publishable(pages[0])
    kept, left_out = [], []
    for page in pages:
        name = None if _is_level(page, pages[0]) else _name_if_left_out(page, pages, policy)
        if name in {None, "thumbnail"} and page.index in strange:
            name = NOT_THE_SLIDE
        if name is None:
            kept.append(page)
        else:
            left_out.append((page, name))
    if sum(page.offsets.count for page in kept) > MAX_TILES:
        raise UnreadableSlideError("damaged TIFF: its levels claim more tiles than any slide has")
    return Chosen(tuple(kept), tuple(left_out))


def _check_is_publishable(first: Page) -> None:
    if not is_aperio(first.description) or not first.is_tiled:
        raise UnsupportedError(_ONLY_APERIO)
    if first.compression not in CODED:
        raise UnsupportedError(
            "a slide can be published whose tiles are JPEG or JPEG 2000; this one's are coded in another way"
        )


def _is_level(page: Page, first: Page) -> bool:
    return (
        page.is_tiled
        and page.subfile_type in {0, 1}
        and (page.compression, page.photometric) == (first.compression, first.photometric)
        and (page.samples, page.bits_per_sample, page.planar) == (first.samples, 8, 1)
        and _has_shape_of(page, first)
        and (page.index == 0 or not _NAMED.search(page.description))
    )


def _has_shape_of(page: Page, first: Page) -> bool:
    """Return whether a page has the slide's proportions; the rounding of sides of a few pixels is allowed for."""
    scale = min(first.width_px / page.width_px, first.height_px / page.height_px)
    return (
        page.width_px * scale >= first.width_px - 2 * scale - 0.05 * first.width_px
        and page.height_px * scale >= first.height_px - 2 * scale - 0.05 * first.height_px
    )


def _name_if_left_out(page: Page, pages: tuple[Page, ...], policy: Policy) -> str | None:
    """Return the name of a page that is no level; None for a thumbnail that is kept.

    To Aperio's readers only the second page can be a thumbnail. A thumbnail that is not JPEG may hold more than its
    picture.
    """
    if page.index == 1 and not page.is_tiled and shows_tissue(pages):
        return None if policy.thumbnail == "keep" and _is_plain_jpeg(page) else "thumbnail"
    match = _NAMED.search(page.description)
    return match[1].lower() if match else NAMES_BY_SUBFILE_TYPE.get(page.subfile_type, "page of another kind")


def _is_plain_jpeg(page: Page) -> bool:
    return page.compression == COMPRESSION_JPEG and page.planar == 1


class Ranges:
    """Byte ranges of a file that no copied content may touch."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Merge byte ranges, each as offset and length."""
        merged: list[list[int]] = []
        for start, end in sorted((at, at + length) for at, length in ranges if length):
            if merged and start <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([start, end])
        self._starts = [start for start, _ in merged]
        self._ends = [end for _, end in merged]

    def touches(self, at: int, length: int) -> bool:
        """Return whether a byte range overlaps with any of these ranges."""
        before = bisect_right(self._starts, at + length - 1) - 1
        return length > 0 and before >= 0 and self._ends[before] > at


def pictures_left_out(file: OpenFile, chosen: Chosen) -> Iterator[tuple[int, int]]:
    """Yield offset and length of the pixels of pages left out; raise UnreadableSlideError for too many strips."""
    if sum(page.offsets.count for page, _ in chosen.left_out) > MAX_TILES:
        raise UnreadableSlideError("damaged TIFF: its small pictures claim more strips than any has")
    for page, _ in chosen.left_out:
        yield from spans(file, page)
