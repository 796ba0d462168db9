"""Label, thumbnail and macro: the small pictures that come with a slide."""

import io
import re
from pathlib import Path

from openslide import OpenSlideError
from PIL import Image, TiffImagePlugin

from vsv.errors import CorruptTileError, UnreadableSlideError
from vsv.formats.aperio_description import is_aperio
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import Page, read_pages
from vsv.rendering.regions import region
from vsv.slides.image_reader import is_plain
from vsv.slides.openslide_reader import opened
from vsv.slides.slide import Slide
from vsv.storage.slide_files import ASSOCIATED

# A label or macro is a snapshot; what claims more is damaged and would cost memory.
MAX_PIXELS = 64_000_000
THUMBNAIL_SIDE_PX = 1024
_QUALITY = 90
# Aperio's NewSubfileType values: GT450 slides give their label and macro pages no description.
NAMES_BY_SUBFILE_TYPE = {1: "label", 9: "macro"}


def read_associated(path: Path) -> dict[str, Image.Image]:
    """Give the associated images that the slide has, by name, as RGB; damaged ones are left out."""
    if is_plain(path):
        return {}
    pages = _aperio_pages(path)
    names = (name for name in ASSOCIATED if name != "thumbnail" or shows_tissue(pages))
    found = {name: image for name in names if (image := _from_openslide(path, name)) is not None}
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


def _aperio_pages(path: Path) -> tuple[Page, ...]:
    """Give the pages of an Aperio slide; none elsewhere, where the format itself names its pictures."""
    try:
        pages = read_pages(OpenFile(path))
    except UnreadableSlideError:
        return ()
    return pages if is_aperio(pages[0].description) else ()


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


def make_thumbnail(slide: Slide) -> Image.Image:
    """Make a thumbnail of at most ``THUMBNAIL_SIDE_PX`` from the slide's own pixels."""
    level_dz = min(slide.max_level, THUMBNAIL_SIDE_PX.bit_length() - 1)
    width_px, height_px = slide.grid.level_size(level_dz)
    try:
        return Image.fromarray(region(slide, level_dz, (0, 0, width_px, height_px)))
    except CorruptTileError:
        return Image.new("RGB", (width_px, height_px), "white")


def encode(image: Image.Image) -> bytes:
    """Encode an associated image as JPEG."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY, subsampling=0)
    return out.getvalue()
