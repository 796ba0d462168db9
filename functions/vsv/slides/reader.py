"""What a reader of one kind of slide file answers; ``readers.py`` lists the kinds.

Deep Zoom levels are counted from 0, a single pixel. A shift says how often full resolution is halved; a box is left,
top, right and bottom in the pixels of the level that is wanted. Pixels are (height, width, 3) RGB arrays of bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # cold start: a passed-through tile needs neither numpy nor Pillow
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    from vsv.formats.random_access import OpenFile
    from vsv.formats.tiff import Page
    from vsv.slides.deepzoom_grid import Grid
    from vsv.slides.levels import Level
    from vsv.slides.properties import Scan

    Pixels = npt.NDArray[np.uint8]

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Source:
    """A file as detection sees it: where it lies, and its pages where it is a TIFF."""

    path: Path
    file: OpenFile
    pages: tuple[Page, ...]


class SlideReader(Protocol):
    """One opened slide file."""

    def __hash__(self) -> int:
        """Return a hash of this very reader: what is known of a file is cached by the reader."""

    @property
    def may_have_profile(self) -> bool:
        """Whether there may be an ICC profile; False where the file's header says that there is none."""

    def grid(self) -> Grid:
        """Return the size of full resolution and the side of the slide's own tiles.

        Raise UnreadableSlideError where the file does not open.
        """

    def levels(self, grid: Grid) -> Mapping[int, Level]:
        """Return the levels whose stored tiles can be read here, by Deep Zoom level; none for other kinds.

        Those of ``JpegLevel`` are verbatim: their tiles can be shown as they are stored.
        """

    def halvings(self, shift: int) -> int:
        """Return how many halvings lie between the level that ``region`` would read and the one wanted."""

    def region(self, shift: int, box: Box) -> Pixels:
        """Return a box of full resolution halved ``shift`` times; raise CorruptTileError where that is damaged."""

    def associated_images(self) -> dict[str, Image.Image]:
        """Return label, thumbnail and macro as RGB, by name; damaged ones are left out."""

    def icc_profile(self, check_size: Callable[[int], object]) -> bytes | None:
        """Return the ICC profile, once ``check_size`` has accepted its size in bytes; None where there is none.

        Raise ValueError where the profile is damaged, or too large.
        """

    def properties(self) -> Scan:
        """Return what the file says about itself; raise UnreadableSlideError where it does not open."""

    def check(self) -> tuple[int, int]:
        """Return width and height once the file has opened; raise UnreadableSlideError with a reason for people."""
