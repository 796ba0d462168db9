"""Label, thumbnail and macro: the small pictures that a slide file holds."""

import re
from pathlib import Path

from openslide import OpenSlideError
from PIL import Image, TiffImagePlugin

from vsv.formats.tiff import Page
from vsv.slides.openslide_handles import opened

NAMES = ("label", "thumbnail", "macro")
# A label or macro is a snapshot; what claims more is damaged and would cost memory.
MAX_PIXELS = 64_000_000
# Aperio's NewSubfileType values: GT450 slides give their label and macro pages no description.
NAMES_BY_SUBFILE_TYPE = {1: "label", 9: "macro"}


def openslide_images(path: Path, names: tuple[str, ...] = NAMES) -> dict[str, Image.Image]:
    """Return those of these images that OpenSlide names and can read, as RGB; raise UnreadableSlideError."""
    return {name: image for name in names if (image := _from_openslide(path, name)) is not None}


def aperio_images(path: Path, pages: tuple[Page, ...]) -> dict[str, Image.Image]:
    """Return an Aperio slide's images, by name, as RGB; raise UnreadableSlideError.

    OpenSlide's thumbnail is left out where it shows something else; images that only their subfile type names are
    added.
    """
    names = tuple(name for name in NAMES if name != "thumbnail" or shows_tissue(pages))
    found = openslide_images(path, names)
    for name, page in _unnamed_pages(pages).items():
        if name not in found and (image := _from_page(path, page)) is not None:
            found[name] = image
    return found


def _from_openslide(path: Path, name: str) -> Image.Image | None:
    slide = opened(path)
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
    """Tell whether what OpenSlide takes for an Aperio slide's thumbnail is one.

    It takes the second page, whatever it shows. Where a slide has no thumbnail that is its label, which would
    then be shown to everybody.
    """
    if len(pages) < 2:
        return True
    first, page = pages[:2]
    named = re.search(r"\b(label|macro)\b", page.description, re.IGNORECASE)
    ratio = page.width_px * first.height_px / (page.height_px * first.width_px)
    return named is None and page.subfile_type not in NAMES_BY_SUBFILE_TYPE and 0.95 < ratio < 1.05


def _unnamed_pages(pages: tuple[Page, ...]) -> dict[str, Page]:
    """Give the pages of an Aperio slide whose subfile type says label or macro; elsewhere it says another thing."""
    named = {NAMES_BY_SUBFILE_TYPE.get(p.subfile_type): p for p in pages if not p.is_tiled}
    return {name: page for name, page in named.items() if name is not None}


def _from_page(path: Path, page: Page) -> Image.Image | None:
    if page.width_px * page.height_px > MAX_PIXELS:
        return None
    try:
        # Not Image.open: it would judge the size of the whole slide, which is the first page.
        with TiffImagePlugin.TiffImageFile(path) as image:
            image.seek(page.index)
            return image.convert("RGB")
    except (OSError, ValueError, EOFError, SyntaxError, Image.DecompressionBombError):
        return None
