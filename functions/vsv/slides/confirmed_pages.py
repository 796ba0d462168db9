"""Confirmation of pages: a page is a level only where it shows what full resolution shows.

Some slides hold the patient's label as a page whose size and place are a level's. Levels are compared from fine to
coarse, each with the nearest finer level that was confirmed, so that little is read of a large slide.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from openslide import OpenSlide, OpenSlideError

from vsv.errors import CorruptTileError
from vsv.slides.aperio_reader import (
    AperioJpeg2000Reader,
    AperioJpegReader,
    AperioReader,
    has_decoder,
    has_planes,
)
from vsv.slides.focal_planes import depth, focal_planes, middle
from vsv.slides.levels import (
    can_decode,
    can_pass_through,
    jpeg2000_level,
    jpeg_level,
    matching_level,
    native_grid,
    tiled,
)
from vsv.slides.openslide_handles import open_shared, read_with_retry
from vsv.slides.openslide_reader import OpenSlideReader, background_color, over_background
from vsv.slides.page_names import is_described
from vsv.slides.pictures import Picture, ReadPicture, StoredPicture
from vsv.slides.readers import reader_of
from vsv.slides.similarity import Place, Verdict, compare, has_pixels
from vsv.slides.slide import Slide, open_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from PIL import Image

    from vsv.formats.random_access import OpenFile
    from vsv.formats.tiff import Page
    from vsv.slides.deepzoom_grid import Grid
    from vsv.slides.levels import Level
    from vsv.slides.reader import Box, Pixels, SlideReader
    from vsv.slides.source import Source

# Focal planes are pages of a level's size, too. More pages than these of one level are not compared, and not shown.
MAX_PAGES_A_LEVEL = 4
MAX_PAGES = 64


def open_confirmed(path: Path) -> Slide:
    """Open a slide's file alone, each page that looks like a level compared; raise UnreadableSlideError."""
    missing = path.with_name("none")
    return open_slide(path, missing, missing, find_refused(reader_of(path)))


def find_refused(reader: SlideReader) -> frozenset[int]:
    """Return the numbers of pages that look like levels and show something else than full resolution.

    Numbers of TIFF pages for Aperio slides, of OpenSlide's levels for slides that only OpenSlide reads.
    """
    if isinstance(reader, AperioJpegReader):
        return _refused_stored(reader.source, can_pass_through, jpeg_level)
    if isinstance(reader, AperioJpeg2000Reader):
        return _refused_stored(reader.source, can_decode, jpeg2000_level)
    if isinstance(reader, AperioReader):
        pages = tiled(reader.source.pages)
        levels = _refused_by_openslide(reader.source.path)
        return frozenset(page.index for level, page in enumerate(pages) if level in levels)
    return _refused_by_openslide(reader.path) if isinstance(reader, OpenSlideReader) else frozenset()


def _refused_stored(
    source: Source, usable: Callable[[Page], bool], prepare: Callable[[OpenFile, Page], Level]
) -> frozenset[int]:
    if has_planes(source.pages):
        return _refused_in_planes(source, lambda page: _stored_picture(source.file, page, prepare))
    first, *others = tiled(source.pages)
    grid = native_grid(source.pages)
    candidates = [page for page in others if usable(page) and matching_level(grid, page) is not None]
    if not candidates:
        return frozenset()
    full = _stored_picture(source.file, first, prepare)
    if full is None or not has_pixels(full):
        # Such a slide is not imported; if its file was damaged since, the levels that are left are shown.
        return frozenset(page.index for page in candidates if not is_described(page))
    compared = _first_of_each_level(grid, candidates)
    pictures = ((page.index, _stored_picture(source.file, page, prepare)) for page in compared)
    left = frozenset(page.index for page in candidates if page not in compared)
    return left | _refused(full, [(index, picture) for index, picture in pictures if picture is not None])


def _refused_in_planes(source: Source, picture_of: Callable[[Page], Picture | None]) -> frozenset[int]:
    """Return the numbers of pages that do not show what full resolution of their own focal plane shows.

    A plane whose depth is not described is one only where it shows what the first page shows.
    """
    refused, first = set[int](), picture_of(source.pages[0])
    for number, (page, *reduced) in enumerate(focal_planes(tiled(source.pages))):
        full = picture_of(page) if number < MAX_PAGES else None
        if full is None or first is None or not _is_plane(page, full, first):
            refused |= {page.index, *(other.index for other in reduced)} - {0}
            continue
        pictures = [(other.index, picture) for other in reduced if (picture := picture_of(other)) is not None]
        refused |= _refused(full, pictures)
    return frozenset(refused)


def _is_plane(page: Page, full: Picture, first: Picture) -> bool:
    return page.index == 0 or depth(page) is not None or _verdict(full, first) is not Verdict.DIFFERENT


def _first_of_each_level(grid: Grid, pages: list[Page]) -> list[Page]:
    """Return the first pages that look like each level: the first one that is confirmed is shown."""
    by_level: dict[int | None, list[Page]] = {}
    for page in pages:
        by_level.setdefault(matching_level(grid, page), []).append(page)
    return [page for same in by_level.values() for page in same[:MAX_PAGES_A_LEVEL]]


def unconfirmed_pages(full: Source, source: Source) -> frozenset[int]:
    """Return the numbers of tiled pages that do not show what the first page of ``full`` shows, reduced.

    Pages of any size are compared, except the first page of the same file; those that cannot be read are returned.
    """
    if source is full and has_planes(full.pages):
        return _refused_in_planes(full, partial(_picture_of, full.file))
    first = _shown_page(full)
    pages = [page for page in tiled(source.pages) if source is not full or page.index != first.index]
    whole = _picture_of(full.file, first)
    if whole is None:
        return frozenset(page.index for page in pages)
    compared = sorted(pages, key=lambda page: page.index)[:MAX_PAGES]
    pictures = {page.index: _picture_of(source.file, page) for page in compared}
    readable = [(index, picture) for index, picture in pictures.items() if picture is not None]
    left = frozenset(page.index for page in pages) - dict(readable).keys()
    return left | _refused(whole, readable)


def _shown_page(source: Source) -> Page:
    """Return the first page, of a slide of focal planes full resolution of the plane that is shown."""
    if not has_planes(source.pages):
        return source.pages[0]
    planes = focal_planes(tiled(source.pages))
    return planes[middle(planes)][0]


def _picture_of(file: OpenFile, page: Page) -> StoredPicture | None:
    if can_pass_through(page):
        return _stored_picture(file, page, jpeg_level)
    return _stored_picture(file, page, jpeg2000_level) if can_decode(page) and has_decoder() else None


def _stored_picture(
    file: OpenFile, page: Page, prepare: Callable[[OpenFile, Page], Level]
) -> StoredPicture | None:
    try:
        return StoredPicture(prepare(file, page))
    except CorruptTileError:
        return None  # such a page is no level: the level is rendered from the others


def _refused_by_openslide(path: Path) -> frozenset[int]:
    sizes = open_shared(path).level_dimensions
    pictures = [ReadPicture(size, partial(_read_level, path, level)) for level, size in enumerate(sizes)]
    return _refused(pictures[0], list(enumerate(pictures))[1:])


def _read_level(path: Path, level: int, box: Box) -> Pixels:
    """Return a box of one of OpenSlide's levels, in that level's pixels; raise CorruptTileError."""
    left, top, right, bottom = box

    def read(slide: OpenSlide) -> Image.Image:
        downsample = slide.level_downsamples[level]
        corner = round(left * downsample), round(top * downsample)
        region = slide.read_region(corner, level, (right - left, bottom - top))
        return over_background(region, background_color(slide))

    try:
        return np.asarray(read_with_retry(path, read))
    except OpenSlideError as error:
        raise CorruptTileError("OpenSlide cannot read this part of the slide") from error


def _refused(full: Picture, candidates: Iterable[tuple[int, Picture]]) -> frozenset[int]:
    """Return the numbers of the candidates that are not confirmed."""
    refused = set[int]()
    confirmed = [full]
    for number, picture in sorted(candidates, key=lambda item: -item[1].width_px):
        verdict = _verdict(picture, confirmed[-1])
        if verdict is Verdict.DIFFERENT:
            refused.add(number)
        elif verdict is not Verdict.NOTHING:  # a page without pixels shows nothing: finer levels fill it
            confirmed.append(picture)
    return frozenset(refused)


def _verdict(picture: Picture, finer: Picture) -> Verdict:
    """Return whether a level shows what a finer one shows; some formats pad levels at the right and bottom."""
    verdict = compare(picture, finer)
    if verdict is not Verdict.DIFFERENT:
        return verdict
    halvings = math.log2(max(1.0, finer.width_px / picture.width_px, finer.height_px / picture.height_px))
    scale = 2.0 ** round(halvings)
    return compare(picture, finer, Place(scale, scale))
