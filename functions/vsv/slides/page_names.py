"""What a page of an Aperio slide is called: by its description, or by its subfile type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vsv.formats.aperio_description import is_aperio
from vsv.slides.levels import matching_level, native_grid, tiled

if TYPE_CHECKING:  # cold start
    from vsv.formats.tiff import Page

# Aperio's NewSubfileType values: GT450 slides give their label and macro pages no description.
NAMES_BY_SUBFILE_TYPE = {1: "label", 9: "macro"}


def described_name(page: Page) -> str | None:
    """Return the name in a page's description, None where the description names none."""
    match = re.search(r"\b(label|macro)\b", page.description, re.IGNORECASE)
    return None if match is None else match[1].lower()


def is_named(page: Page) -> bool:
    """Return whether a page's description, or a strip page's subfile type, names the page a label or macro."""
    if described_name(page) is not None:
        return True
    return not page.is_tiled and page.subfile_type in NAMES_BY_SUBFILE_TYPE


def is_described(page: Page) -> bool:
    """Return whether a page's description, which Aperio's software has written, makes the page a level."""
    return is_aperio(page.description) and not is_named(page)


def undescribed_levels(pages: tuple[Page, ...]) -> frozenset[int]:
    """Return the numbers of an Aperio slide's pages that have a level's size alone: they may be a label."""
    undescribed = [page for page in tiled(pages)[1:] if not is_described(page)]
    if not undescribed:
        return frozenset()
    grid = native_grid(pages)
    return frozenset(page.index for page in undescribed if matching_level(grid, page) is not None)
