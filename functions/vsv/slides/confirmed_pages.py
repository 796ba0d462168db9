"""Confirmation of pages: a page is a level only where it shows what full resolution shows.

Some slides hold the patient's label as a page whose size and place are a level's. Levels are compared from fine to
coarse, each with the nearest finer level that was confirmed, so that little is read of a large slide.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from vsv.errors import CorruptTileError
from vsv.formats.aperio_description import is_aperio
from vsv.slides.aperio_reader import AperioJpeg2000Reader, AperioJpegReader, AperioReader, has_decoder
from vsv.slides.levels import (
    can_decode,
    can_pass_through,
    jpeg2000_level,
    jpeg_level,
    matching_level,
    native_grid,
    tiled,
)
from vsv.slides.page_names import is_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from vsv.formats.random_access import OpenFile
    from vsv.formats.tiff import Page
    from vsv.slides.levels import Level
    from vsv.slides.pictures import Picture, StoredPicture
    from vsv.slides.reader import SlideReader
    from vsv.slides.source import Source


def find_refused(reader: SlideReader, *, trusts_descriptions: bool = False) -> frozenset[int]:
    """Return the numbers of pages that look like levels and show something else than full resolution.

    Numbers of TIFF pages for Aperio slides, of OpenSlide's levels for slides that only OpenSlide reads.
    ``trusts_descriptions``: pages that Aperio's software has described as no label are not compared.
    """
    if isinstance(reader, AperioJpegReader):
        candidates = _candidates(reader.source, can_pass_through, trusts_descriptions)
        return _refused_stored(reader.source, candidates, jpeg_level)
    if isinstance(reader, AperioJpeg2000Reader):
        candidates = _candidates(reader.source, can_decode, trusts_descriptions)
        return _refused_stored(reader.source, candidates, jpeg2000_level)
    if isinstance(reader, AperioReader):
        pages = tiled(reader.source.pages)
        levels = _refused_by_openslide(reader.source.path)
        return frozenset(page.index for level, page in enumerate(pages) if level in levels)
    from vsv.slides.openslide_reader import OpenSlideReader  # noqa: PLC0415  a fifth of a cold start

    return _refused_by_openslide(reader.path) if isinstance(reader, OpenSlideReader) else frozenset()


def _candidates(source: Source, usable: Callable[[Page], bool], trusts_descriptions: bool) -> list[Page]:
    """Return the pages that look like levels and are to be compared."""
    grid = native_grid(source.pages)
    pages = [
        page for page in tiled(source.pages)[1:] if usable(page) and matching_level(grid, page) is not None
    ]
    return [page for page in pages if not (trusts_descriptions and _is_described(page))]


def _refused_stored(
    source: Source, candidates: list[Page], prepare: Callable[[OpenFile, Page], Level]
) -> frozenset[int]:
    if not candidates:
        return frozenset()
    from vsv.slides.similarity import has_pixels  # noqa: PLC0415  cold start: numpy

    full = _stored_picture(source.file, tiled(source.pages)[0], prepare)
    if full is None or not has_pixels(full):
        return frozenset(page.index for page in candidates if not _is_described(page))
    pictures = ((page.index, _stored_picture(source.file, page, prepare)) for page in candidates)
    return _refused(full, [(index, picture) for index, picture in pictures if picture is not None])


def _is_described(page: Page) -> bool:
    """Return whether a page's description makes the page a level, where its pixels are not compared.

    That is so until a slide has its note, and where full resolution has no pixels. Such a slide is not imported; if
    its file was damaged since, the levels that are left are shown.
    """
    return is_aperio(page.description) and not is_named(page)


def unconfirmed_pages(full: Source, source: Source) -> frozenset[int]:
    """Return the numbers of tiled pages that do not show what the first page of ``full`` shows, reduced.

    Pages of any size are compared, except the first page of the same file; those that cannot be read are returned.
    """
    first = full.pages[0]
    pages = [page for page in tiled(source.pages) if source is not full or page.index != first.index]
    whole = _picture_of(full.file, first)
    if whole is None:
        return frozenset(page.index for page in pages)
    pictures = {page.index: _picture_of(source.file, page) for page in pages}
    readable = [(index, picture) for index, picture in pictures.items() if picture is not None]
    return frozenset(pictures.keys() - dict(readable).keys()) | _refused(whole, readable)


def _picture_of(file: OpenFile, page: Page) -> StoredPicture | None:
    if can_pass_through(page):
        return _stored_picture(file, page, jpeg_level)
    return _stored_picture(file, page, jpeg2000_level) if can_decode(page) and has_decoder() else None


def _stored_picture(
    file: OpenFile, page: Page, prepare: Callable[[OpenFile, Page], Level]
) -> StoredPicture | None:
    from vsv.slides.pictures import StoredPicture  # noqa: PLC0415  cold start: numpy

    try:
        return StoredPicture(prepare(file, page))
    except CorruptTileError:
        return None  # such a page is no level: the level is rendered from the others


def _refused_by_openslide(path: Path) -> frozenset[int]:
    from vsv.slides.openslide_handles import open_shared  # noqa: PLC0415  a fifth of a cold start
    from vsv.slides.openslide_reader import read_level  # noqa: PLC0415
    from vsv.slides.pictures import ReadPicture  # noqa: PLC0415

    sizes = open_shared(path).level_dimensions
    pictures = [ReadPicture(size, partial(read_level, path, level)) for level, size in enumerate(sizes)]
    return _refused(pictures[0], list(enumerate(pictures))[1:])


def _refused(full: Picture, candidates: Iterable[tuple[int, Picture]]) -> frozenset[int]:
    """Return the numbers of the candidates that are not confirmed."""
    from vsv.slides.similarity import Verdict, compare  # noqa: PLC0415  cold start: numpy

    refused = set[int]()
    confirmed = [full]
    for number, picture in sorted(candidates, key=lambda item: -item[1].width_px):
        verdict = compare(picture, confirmed[-1])
        if verdict is Verdict.DIFFERENT:
            refused.add(number)
        elif verdict is not Verdict.NOTHING:  # a page without pixels shows nothing: finer levels fill it
            confirmed.append(picture)
    return frozenset(refused)
