"""Confirmation of small pictures: a thumbnail shows the slide, a label and a macro do not.

Files name these pictures wrongly, or not at all. A picture that cannot be confirmed as the slide's is treated as a
label, which not all users may see.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from PIL import Image

from vsv.slides.aperio_reader import AperioReader
from vsv.slides.associated_images import page_image, shows_tissue
from vsv.slides.page_names import is_named
from vsv.slides.pictures import ReadPicture, StoredPicture, image_picture
from vsv.slides.similarity import Place, Verdict, compare, stretched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vsv.formats.tiff import Page
    from vsv.slides.pictures import Box, Picture
    from vsv.slides.reader import Pixels
    from vsv.slides.slide import Slide

LABEL, THUMBNAIL, MACRO = "label", "thumbnail", "macro"
# A picture that the file does not name: its second page, or a page that looks like a level and is none.
UNNAMED = "unnamed"
# A refused page of more pixels is no label.
MAX_REFUSED_PIXELS = 16_000_000
_TURNS = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
# Proportions within this factor are the slide's own: sides are rounded.
_ROUNDING = 1.02
_MARGINS = 1.35


def confirm_images(images: dict[str, Image.Image], slide: Slide | None) -> dict[str, Image.Image]:
    """Return label, thumbnail and macro as what they show; without a slide to compare with, no thumbnail.

    A picture that the file does not name is a label where there is no other.
    """
    found: dict[str, Image.Image] = {}
    if slide is not None and LABEL not in images and (unnamed := _unnamed_image(slide)) is not None:
        images = {**images, UNNAMED: unnamed}
    named = [(name, images[name]) for name in (THUMBNAIL, LABEL, MACRO, UNNAMED) if name in images]
    for name, image in named:
        for true_name in _names(name, image, slide):
            found.setdefault(true_name, image)
    if MACRO in found and LABEL in found and _is_same_picture(found[MACRO], found[LABEL]):
        del found[MACRO]
    return {name: found[name] for name in (LABEL, THUMBNAIL, MACRO) if name in found}


def _unnamed_image(slide: Slide) -> Image.Image | None:
    decoded = (page_image(slide.path, page) for page in _unnamed_pages(slide))
    return next((image for image in decoded if image is not None), None)


def _unnamed_pages(slide: Slide) -> Iterator[Page]:
    """Yield an Aperio slide's second page, if neither named nor a thumbnail, then the pages refused as levels."""
    pages = slide.reader.source.pages if isinstance(slide.reader, AperioReader) else ()
    for page in pages[1:2]:
        if not (page.is_tiled or shows_tissue(pages) or is_named(page)):
            yield page
    for page in pages[1:]:
        is_smaller = (
            page.width_px < pages[0].width_px and page.width_px * page.height_px <= MAX_REFUSED_PIXELS
        )
        if page.index in slide.refused and is_smaller:
            yield page


def _names(name: str, image: Image.Image, slide: Slide | None) -> Iterator[str]:
    """Yield what a picture is taken for: nothing where it shows the slide turned."""
    verdict = Verdict.DIFFERENT if slide is None else verdict_on(image, slide)
    if verdict is Verdict.SAME or (verdict is Verdict.BLANK and name == THUMBNAIL):
        yield THUMBNAIL
    elif slide is None or not _shows_turned(image, slide):
        yield MACRO if name == MACRO else LABEL


def verdict_on(image: Image.Image, slide: Slide) -> Verdict:
    """Return whether a picture shows the slide: all of it, between margins, or without its margins."""
    verdict = Verdict.DIFFERENT
    if not _has_proportions(image, slide):
        return verdict
    candidate, reference = image_picture(image), _reference(slide, image)
    for place in _places(candidate, reference):
        verdict = compare(candidate, reference, place)
        if verdict is not Verdict.DIFFERENT:
            return verdict
    return verdict


def _places(candidate: Picture, reference: Picture) -> Iterator[Place]:
    yield (whole := stretched(candidate, reference))
    scales = sorted((whole.scale_x, whole.scale_y))
    if scales[1] < scales[0] * _ROUNDING:
        return
    for scale, is_centred in product(reversed(scales), (True, False)):
        left = (reference.width_px - candidate.width_px * scale) / 2 if is_centred else 0.0
        top = (reference.height_px - candidate.height_px * scale) / 2 if is_centred else 0.0
        yield Place(scale, scale, left, top)


def _has_proportions(image: Image.Image, slide: Slide) -> bool:
    """Return whether a picture may be the slide's with margins added or cut off: a macro is much longer."""
    ratio = image.width * slide.grid.height_px / (image.height * slide.grid.width_px)
    return 1 / _MARGINS < ratio < _MARGINS


def _shows_turned(image: Image.Image, slide: Slide) -> bool:
    return any(verdict_on(image.transpose(turn), slide) is Verdict.SAME for turn in _TURNS)


def _is_same_picture(one: Image.Image, other: Image.Image) -> bool:
    return compare(image_picture(one), image_picture(other)) is Verdict.SAME


def _reference(slide: Slide, image: Image.Image) -> Picture:
    """Return the coarsest level that has at least the picture's size, else full resolution."""
    wanted = max(image.size)
    fitting = [dz for dz in range(slide.max_level + 1) if max(slide.grid.level_size(dz)) >= wanted]
    stored = [dz for dz in fitting if dz in slide.levels or dz in slide.decoded]
    if stored or slide.max_level in slide.levels or slide.max_level in slide.decoded:
        return StoredPicture(slide.source(stored[0] if stored else slide.max_level))
    level_dz = fitting[0] if fitting else slide.max_level

    def read(box: Box) -> Pixels:
        return slide.reader.region(slide.max_level - level_dz, box)

    return ReadPicture(slide.grid.level_size(level_dz), read)
