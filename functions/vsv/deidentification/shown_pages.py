"""What a file's pages show: only pages that show the slide's tissue may be in a published copy."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from PIL import Image

from vsv.errors import FileMissingError, UnreadableSlideError
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import Page, read_pages
from vsv.slides.associated_images import openslide_images, page_image
from vsv.slides.confirmed_images import verdict_on
from vsv.slides.confirmed_pages import open_confirmed, unconfirmed_pages
from vsv.slides.similarity import Verdict
from vsv.slides.slide import Slide
from vsv.slides.source import Source
from vsv.storage.slide_files import SLIDE

STRANGE = "which does not show the slide: it may be a label"
PYRAMID, THUMBNAIL = "pyramid.tif", "thumbnail.jpeg"


def source_of(path: Path) -> Source:
    """Return a TIFF with its pages; raise UnreadableSlideError."""
    file = OpenFile(path)
    return Source(path, file, read_pages(file))


def strange_pages(path: Path) -> frozenset[int]:
    """Return the numbers of a TIFF's pages, of any kind, that do not show what its first page shows.

    Raises UnreadableSlideError where the file cannot be read.
    """
    source = source_of(path)
    small = [page for page in source.pages[1:] if not page.is_tiled]
    slide = open_confirmed(path) if small else None
    return unconfirmed_pages(source, source) | {
        page.index for page in small if slide is None or not _is_shown(_image_of(path, page), slide)
    }


def strange_levels(copy: Path, pyramid: Path) -> frozenset[int]:
    """Return the numbers of a pyramid's pages that do not show what the slide's file shows."""
    return unconfirmed_pages(source_of(copy), source_of(pyramid))


def strange_pictures(published: Path) -> Iterator[str]:
    """Yield names of what a published file, or a file in its folder, shows besides the slide."""
    try:
        yield from (f"page {number}, {STRANGE}" for number in sorted(strange_pages(published)))
        if published.name == SLIDE:
            yield from _strange_files(published)
    except UnreadableSlideError:
        yield f"a page that cannot be read, {STRANGE}"


def _strange_files(published: Path) -> Iterator[str]:
    with suppress(FileMissingError):
        levels = strange_levels(published, published.with_name(PYRAMID))
        yield from (f"page {number} of the rendered levels, {STRANGE}" for number in sorted(levels))
    thumbnail = published.with_name(THUMBNAIL)
    if thumbnail.exists() and not _is_shown(_read(thumbnail), open_confirmed(published)):
        yield f"the thumbnail, {STRANGE}"


def _is_shown(image: Image.Image | None, slide: Slide) -> bool:
    return image is not None and verdict_on(image, slide) in {Verdict.SAME, Verdict.BLANK}


def _image_of(path: Path, page: Page) -> Image.Image | None:
    """Return a small page's pixels; OpenSlide takes the second page for the thumbnail, and knows Aperio's colours."""
    if page.index == 1:
        with suppress(UnreadableSlideError):  # OpenSlide cannot read a classic TIFF of the other byte order
            if images := openslide_images(path, ("thumbnail",)):
                return images["thumbnail"]
    return page_image(path, page)


def _read(path: Path) -> Image.Image | None:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except OSError:
        return None
