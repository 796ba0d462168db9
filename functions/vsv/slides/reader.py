"""The interface of slide readers; ``readers`` lists the readers of all formats.

Deep Zoom levels are numbered from 0, a single pixel. A shift is the number of times full resolution is halved; a box
is left, top, right and bottom in the pixels of the requested level. Pixels are (height, width, 3) RGB arrays of
bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # cold start: a passed-through tile needs neither numpy nor Pillow
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    from vsv.slides.deepzoom_grid import Grid
    from vsv.slides.levels import Level
    from vsv.slides.properties import Scan

    Pixels = npt.NDArray[np.uint8]

Box = tuple[int, int, int, int]


class SlideReader(Protocol):
    """One opened slide file."""

    def __hash__(self) -> int:
        """Return a hash by identity: caches use the reader as key for properties of its file."""

    @property
    def may_have_profile(self) -> bool:
        """Whether the file may have an ICC profile; False where its header states that it has none."""

    def grid(self) -> Grid:
        """Return the grid of full resolution, with the size of the slide's own tiles.

        Raise UnreadableSlideError where the file cannot be opened.
        """

    def levels(self, grid: Grid) -> Mapping[int, Level]:
        """Return by Deep Zoom level the levels whose stored tiles this package can read; none for other formats.

        The tiles of a ``JpegLevel`` can be shown as they are stored.
        """

    def halvings(self, shift: int) -> int:
        """Return the number of halvings between the level that ``region`` would read and the requested level."""

    def region(self, shift: int, box: Box) -> Pixels:
        """Return a box of full resolution halved ``shift`` times; raise CorruptTileError where pixels are damaged."""

    def associated_images(self) -> dict[str, Image.Image]:
        """Return label, thumbnail and macro as RGB by name; leave out damaged images."""

    def icc_profile(self, check_size: Callable[[int], object]) -> bytes | None:
        """Return the ICC profile, once ``check_size`` has accepted its size in bytes; None where there is none.

        Raise ValueError where the profile is damaged, or too large.
        """

    def properties(self) -> Scan:
        """Return the file's properties; raise UnreadableSlideError where the file cannot be opened."""

    def check(self) -> tuple[int, int]:
        """Return width and height if the file can be opened; raise UnreadableSlideError with a reason for people."""
