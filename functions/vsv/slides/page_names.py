"""What a page of an Aperio slide is called: by its description, or by its subfile type."""

import re

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
