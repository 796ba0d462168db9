"""Focal planes of a slide: tiled pages of the same size that show the tissue at different depths (a z-stack).

Aperio stores each plane's levels as further pages, with the depth as ``OffsetZ`` in their descriptions. Deep Zoom and
IIIF know one plane and show the middle one; OMERO's webgateway counts planes as z, from the lowest. OpenSlide refuses
such slides, because it takes all tiled pages for levels of one plane.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from vsv.formats.aperio_description import parse_tags
from vsv.slides.levels import Jpeg2000Level, JpegLevel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vsv.formats.tiff import Page
    from vsv.slides.aperio_reader import StoredLevelsReader
    from vsv.slides.slide import Slide

    Planes = tuple[tuple[Page, ...], ...]


_opened: WeakKeyDictionary[StoredLevelsReader, dict[int, Slide]] = WeakKeyDictionary()


def focal_planes(pages: Sequence[Page]) -> Planes:
    """Return the tiled pages of each focal plane, the lowest plane first; full resolution is a plane's first page.

    Without a depth for each plane, planes are in the order in which they are stored: the first pages of each size are
    the first plane's, the second pages the second's.
    """
    full = [page for page in pages if _size(page) == _size(pages[0])]
    depths = {page.index: depth(page) for page in pages}
    if len({depths[page.index] for page in full} - {None}) < len(full):
        return _as_stored(pages, len(full))
    full.sort(key=lambda page: depths[page.index] or 0.0)
    return tuple(tuple(page for page in pages if depths[page.index] == depths[top.index]) for top in full)


def _as_stored(pages: Sequence[Page], count: int) -> Planes:
    seen = Counter[tuple[int, int]]()
    planes: list[list[Page]] = [[] for _ in range(count)]
    for page in pages:
        if seen[_size(page)] < count:
            planes[seen[_size(page)]].append(page)
        seen[_size(page)] += 1
    return tuple(map(tuple, planes))


def _size(page: Page) -> tuple[int, int]:
    return page.width_px, page.height_px


def depth(page: Page) -> float | None:
    """Return the depth in µm that a page's description states, None where it states none."""
    try:
        number = float(parse_tags(page.description).get("OffsetZ", "").replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def middle(planes: Planes) -> int:
    """Return the index of the middle plane; of two, that which is nearer to the nominal focus, a depth of 0.

    Else it is the upper of the two, as in OMERO.
    """
    lower, upper = (len(planes) - 1) // 2, len(planes) // 2
    near, far = (abs(depth(planes[at][0]) or 0.0) for at in (lower, upper))
    return lower if near < far else upper


def at_plane(slide: Slide, reader: StoredLevelsReader, plane: int) -> Slide:
    """Return the slide of this reader at another of its focal planes; only the original's levels show that plane.

    It is kept with the reader: further requests neither read its directories again nor its ICC profile.
    """
    opened = _opened.setdefault(reader, {})
    if plane not in opened:
        opened[plane] = _open_plane(slide, reader, plane)
    return opened[plane]


def _open_plane(slide: Slide, reader: StoredLevelsReader, plane: int) -> Slide:
    other = reader.at_plane(plane)
    stored = other.levels(slide.grid)
    return replace(
        slide,
        levels={dz: level for dz, level in stored.items() if isinstance(level, JpegLevel)},
        native=frozenset(dz for dz, level in stored.items() if isinstance(level, JpegLevel)),
        decoded={dz: level for dz, level in stored.items() if isinstance(level, Jpeg2000Level)},
        stamp=f"{slide.stamp}-z{plane}",
        reader=other,
    )
