"""Choice of the reader of a slide file. A new format needs a module with its reader, and a line in ``KINDS``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vsv.errors import UnreadableSlideError
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import (
    COMPRESSION_JPEG,
    COMPRESSION_JPEG2000_RGB,
    COMPRESSION_JPEG2000_YCBCR,
    PHOTOMETRIC_RGB,
    PHOTOMETRIC_YCBCR,
    read_pages,
)
from vsv.formats.tiff_directories import is_tiff
from vsv.identifiers import is_set_filename
from vsv.slides.aperio_reader import AperioJpeg2000Reader, AperioJpegReader, AperioReader
from vsv.slides.levels import COMPLETE
from vsv.slides.source import Source

if TYPE_CHECKING:  # cold start
    from collections.abc import Callable
    from pathlib import Path

    from vsv.formats.tiff import Page
    from vsv.slides.properties import Scan
    from vsv.slides.reader import SlideReader

COLOUR_CODINGS = {COMPRESSION_JPEG, COMPRESSION_JPEG2000_YCBCR, COMPRESSION_JPEG2000_RGB}


def _opened(source: Source) -> Path:
    """Return the file that is read: of a slide of several files its index, which may be a JPEG image itself."""
    if source.pages:
        return source.path
    from vsv.storage.set_folder import opened  # noqa: PLC0415  cold start: most slides are one TIFF

    return opened(source.path)


def _image(source: Source) -> SlideReader | None:
    if is_set_filename(_opened(source).name):
        return None
    from vsv.slides.image_reader import ImageReader  # noqa: PLC0415  cold start: most slides are Aperio slides

    return ImageReader.of(source)


def _channels(source: Source) -> SlideReader | None:
    if not source.pages or _is_colour_jpeg(source.pages[0]):
        return None
    from vsv.slides.channel_reader import ChannelReader  # noqa: PLC0415  cold start

    return ChannelReader.of(source)


def _is_colour_jpeg(page: Page) -> bool:
    """Return whether a page holds what most slides hold: 8-bit RGB or YCbCr in JPEG or JPEG 2000."""
    is_colour = page.photometric in {PHOTOMETRIC_RGB, PHOTOMETRIC_YCBCR}
    return is_colour and page.bits_per_sample == 8 and page.compression in COLOUR_CODINGS


def _openslide(source: Source) -> SlideReader:
    from vsv.slides.openslide_reader import OpenSlideReader  # noqa: PLC0415  a fifth of a cold start

    page = source.pages[0] if source.pages else None
    return OpenSlideReader(_opened(source), page, refused=source.refused)


# The first that returns a reader is used; OpenSlide is last and raises an error itself for files it cannot open.
KINDS: tuple[Callable[[Source], SlideReader | None], ...] = (
    AperioJpegReader.of,
    AperioJpeg2000Reader.of,
    _channels,
    AperioReader.of,
    _image,
    _openslide,
)


def reader_of(path: Path, *, strict: bool = True, refused: frozenset[int] = frozenset()) -> SlideReader:
    """Return the reader of a slide's file, without the ``refused`` pages as levels; raise FileMissingError.

    ``strict``: raise UnreadableSlideError where a TIFF is damaged, because OpenSlide would trust such a file and
    allocate gigabytes. Otherwise OpenSlide reads the file.
    """
    source = _source(path, strict=strict)
    source.refused = refused
    return _reader(source)


def _reader(source: Source) -> SlideReader:
    return next(reader for kind in KINDS if (reader := kind(source)) is not None)


def _source(path: Path, *, strict: bool) -> Source:
    """Return a file as format detection sees it; raise the errors of ``reader_of``."""
    file = OpenFile(path)
    try:
        return Source(path, file, read_pages(file) if is_tiff(file) else ())
    except UnreadableSlideError:
        if strict:
            raise
        return Source(path, file, ())


def read_scan(path: Path) -> Scan:
    """Return the properties of a slide, or of the slide of a complete pyramid; raise UnreadableSlideError."""
    source = _source(path, strict=False)
    if source.pages and source.pages[0].description.startswith(COMPLETE):
        from vsv.slides.properties import aperio_properties  # noqa: PLC0415  cold start

        return aperio_properties(source.pages[0])
    return _reader(source).properties()
