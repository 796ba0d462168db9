"""A slide file as the detection of its kind sees the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # cold start
    from pathlib import Path

    from vsv.formats.random_access import OpenFile
    from vsv.formats.tiff import Page


class Source:
    """A file as format detection sees it: its path, and its pages if it is a TIFF.

    ``refused`` are the numbers of pages, or of OpenSlide's levels, that are not shown as levels.

    No dataclass: that would cost half a millisecond of each cold start.
    """

    __slots__ = ("file", "pages", "path", "refused")

    def __init__(
        self, path: Path, file: OpenFile, pages: tuple[Page, ...], refused: frozenset[int] = frozenset()
    ) -> None:
        self.path = path
        self.file = file
        self.pages = pages
        self.refused = refused

    @property
    def shown_pages(self) -> tuple[Page, ...]:
        """The pages that may be levels."""
        return tuple(page for page in self.pages if page.index not in self.refused)
