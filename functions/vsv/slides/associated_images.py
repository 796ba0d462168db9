"""Associated images of a slide file: label, thumbnail and macro."""

import logging
from pathlib import Path

from openslide import OpenSlideError
from PIL import Image, TiffImagePlugin

from vsv.errors import UnreadableSlideError
from vsv.formats.tiff import Page
from vsv.slides.openslide_handles import open_shared
from vsv.slides.page_names import NAMES_BY_SUBFILE_TYPE, described_name, is_named

log = logging.getLogger(__name__)

NAMES = ("label", "thumbnail", "macro")
# A label or macro is a snapshot; an image of more pixels is damaged and would take too much memory.
MAX_PIXELS = 64_000_000


def openslide_images(path: Path, names: tuple[str, ...] = NAMES) -> dict[str, Image.Image]:
    """Return by name, as RGB, the images that OpenSlide finds and can read; raise UnreadableSlideError."""
    return {name: image for name in names if (image := _from_openslide(path, name)) is not None}


def aperio_images(path: Path, pages: tuple[Page, ...]) -> dict[str, Image.Image]:
    """Return an Aperio slide's images by name, as RGB.

    OpenSlide's thumbnail is left out where it shows something else; images that only the subfile type identifies are
    added, and the named ones of a slide that OpenSlide does not open. Names are the file's: ``confirmed_images``
    compares what the images show.
    """
    names = tuple(name for name in NAMES if name != "thumbnail" or shows_tissue(pages))
    more = _unnamed_pages(pages)
    try:
        images = openslide_images(path, names)
    except UnreadableSlideError:
        images, more = {}, more | _named_pages(pages, names)
    for name, page in more.items():
        if name not in images and (image := page_image(path, page)) is not None:
            images[name] = image
    return images


def _from_openslide(path: Path, name: str) -> Image.Image | None:
    slide = open_shared(path)
    width_px = int(slide.properties.get(f"openslide.associated.{name}.width", 0))
    height_px = int(slide.properties.get(f"openslide.associated.{name}.height", 0))
    if not 0 < width_px * height_px <= MAX_PIXELS:
        return None
    try:
        image = slide.associated_images[name]
    except (OpenSlideError, KeyError):
        return None
    flat = Image.new("RGB", image.size, "white")
    flat.paste(image, mask=image.getchannel("A"))
    return flat


def shows_tissue(pages: tuple[Page, ...]) -> bool:
    """Return whether the page that OpenSlide takes for an Aperio slide's thumbnail shows the tissue.

    OpenSlide takes the second page, whatever the page shows. In a slide without a thumbnail that page is the label,
    which would then be shown to all users.
    """
    if len(pages) < 2:
        return True
    first, page = pages[:2]
    ratio = page.width_px * first.height_px / (page.height_px * first.width_px)
    return not is_named(page) and 0.95 < ratio < 1.05


def _unnamed_pages(pages: tuple[Page, ...]) -> dict[str, Page]:
    """Return an Aperio slide's label and macro pages by subfile type, whose meaning is specific to Aperio."""
    pages_by_name = {NAMES_BY_SUBFILE_TYPE.get(p.subfile_type): p for p in pages if not p.is_tiled}
    return {name: page for name, page in pages_by_name.items() if name is not None}


def _named_pages(pages: tuple[Page, ...], names: tuple[str, ...]) -> dict[str, Page]:
    """Return label, macro and thumbnail as OpenSlide finds them: by description, the thumbnail as the second page."""
    small = [page for page in pages[1:] if not page.is_tiled]
    found = {name: page for page in small if (name := described_name(page)) is not None}
    if small and small[0].index == 1 and "thumbnail" in names:
        found["thumbnail"] = small[0]
    return found


def page_image(path: Path, page: Page) -> Image.Image | None:
    """Return a page's pixels as RGB; None where the page is too large, damaged or of an unknown kind."""
    if page.width_px * page.height_px > MAX_PIXELS:
        return None
    try:
        # Not Image.open: it would check the size of the first page, which is the whole slide.
        with TiffImagePlugin.TiffImageFile(path) as image:
            image.seek(page.index)
            return image.convert("RGB")
    except (
        Exception
    ):  # damaged and unknown pages make Pillow raise any exception; the slide is whole without them
        log.warning("the image on page %d is damaged and left out", page.index)
        return None
