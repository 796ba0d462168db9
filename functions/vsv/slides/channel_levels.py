"""Stored levels of a layout's channels: full resolution, and the smaller ones that OME-TIFF keeps in SubIFDs."""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from vsv.errors import CorruptTileError, UnreadableSlideError
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff_samples import SamplePage, Samples, sub_pages
from vsv.slides.channel_layout import Layout
from vsv.slides.deepzoom_grid import shrunk
from vsv.slides.levels import LEVEL_TOLERANCE_PX
from vsv.slides.reader import Box
from vsv.slides.sample_level import SampleLevel

MAX_HALVINGS = 22
STRIP_SAMPLES = 1 << 22
# Smaller levels are reduced from finer ones: the tolerance would be a large part of them.
MIN_LEVEL_PX = 16
# A level is compared in so many blocks of at most this side, as means of cells of 16 × 16 pixels: levels are reduced
# in several ways, and rounded down or up. Cells differ by at most this part of a channel's range.
MAX_COMPARED, COMPARED_PX, CELL_SHIFT, MAX_DIFFERENCE = 8, 256, 4, 0.04


class ChannelLevels:
    """The levels of a file's channels by the number of halvings; each level has an entry for every channel."""

    def __init__(self, file: OpenFile, layout: Layout) -> None:
        self._layout = layout
        pages = [place.page for place in layout.channels]
        self._levels = {0: _sample_levels(file, pages)}
        with suppress(UnreadableSlideError):  # without its levels the image is reduced from full resolution
            smaller = {page: sub_pages(file, page) for page in dict.fromkeys(pages)}
            for alike in zip(*(smaller[page] for page in pages), strict=False):
                shift = self._shift_of(alike)
                if shift is not None:
                    self._levels.setdefault(shift, _sample_levels(file, alike))

    def read_opacity(self, shift: int, box: Box) -> Samples | None:
        """Return the opacity of RGB pixels as ``read`` returns channels, None where they have none."""
        if self._layout.alpha is None:
            return None
        stored = self.stored_shift(shift)
        return self._read_at(stored, len(self._layout.channels), shift - stored, box)

    def matching(self, spans: Sequence[float]) -> list[int]:
        """Return the halvings of the levels that show what full resolution shows; ``spans`` are the channels' ranges.

        A level is compared with the next finer one that matches, in a few blocks of each channel.
        """
        found = [0]
        for shift in sorted(self._levels.keys() - {0}):
            if all(self._matches(shift, found[-1], index, span) for index, span in enumerate(spans)):
                found.append(shift)
        return found

    def _matches(self, shift: int, finer: int, index: int, span: float) -> bool:
        level, sample = self._levels[shift][index], self._layout.channels[index].sample
        for left, top, right, bottom in level.selected_blocks(-(-level.block_count // MAX_COMPARED)):
            box = left, top, min(right, left + COMPARED_PX), min(bottom, top + COMPARED_PX)
            try:
                stored = mean_of(level.read(sample, box), CELL_SHIFT)
                below = self._read_at(finer, index, shift - finer, box)
            except CorruptTileError:
                return False
            expected = mean_of(below, shift - finer + CELL_SHIFT)
            if np.abs(stored.astype(float) - expected).mean() > MAX_DIFFERENCE * span:
                return False
        return True

    def keep(self, shifts: Sequence[int]) -> None:
        """Forget all levels but these."""
        self._levels = {shift: self._levels[shift] for shift in shifts if shift in self._levels}

    def full(self) -> list[tuple[SampleLevel, int]]:
        """Return the level of full resolution and the sample of each channel."""
        return [
            (level, place.sample) for level, place in zip(self._levels[0], self._layout.channels, strict=True)
        ]

    def stored_shift(self, shift: int) -> int:
        """Return the halvings of the coarsest stored level that is at least as fine as the requested one."""
        return max(stored for stored in self._levels if stored <= shift)

    def read(self, shift: int, chosen: Sequence[int], box: Box) -> list[Samples]:
        """Return channels' samples in a box of the level halved ``shift`` times, from the stored level beneath.

        The samples are those of the stored level: more than the box has pixels where it is finer. Raise
        CorruptTileError where a block is damaged.
        """
        stored = self.stored_shift(shift)
        return [self._read_at(stored, index, shift - stored, box) for index in chosen]

    def means(self, shift: int, index: int, box: Box) -> Samples:
        """Return a channel's samples in a box of the level halved ``shift`` times, as means of the stored ones.

        They are read in strips, so that memory is bounded by the box and not by its source.
        """
        stored, (left, top, right, bottom) = self.stored_shift(shift), box
        halvings = shift - stored
        rows = max(1, STRIP_SAMPLES // (right - left << 2 * halvings))
        strips = ((left, y, right, min(y + rows, bottom)) for y in range(top, bottom, rows))
        return np.concatenate(
            [mean_of(self._read_at(stored, index, halvings, strip), halvings) for strip in strips]
        )

    def _read_at(self, stored: int, index: int, halvings: int, box: Box) -> Samples:
        """Return a channel's samples of a stored level in a box of the level ``halvings`` coarser."""
        left, top, right, bottom = (edge << halvings for edge in box)
        width_px, height_px = self._size(stored)
        return self._read_channel(stored, index, (left, top, min(right, width_px), min(bottom, height_px)))

    def _read_channel(self, stored: int, index: int, box: Box) -> Samples:
        """Return a channel's samples of a stored level; the last ones are repeated where it was rounded down."""
        left, top, right, bottom = box
        channels, alpha = self._layout.channels, self._layout.alpha
        is_channel = index < len(channels)
        level = self._levels[stored][index if is_channel else 0]  # opacity is a sample of the same page
        x, y = min(left, level.width_px - 1), min(top, level.height_px - 1)
        inner = x, y, max(x + 1, min(right, level.width_px)), max(y + 1, min(bottom, level.height_px))
        plane = level.read(channels[index].sample if is_channel else alpha or 0, inner)
        missing = bottom - top - plane.shape[0], right - left - plane.shape[1]
        return np.pad(plane, ((0, missing[0]), (0, missing[1])), mode="edge") if any(missing) else plane

    def _shift_of(self, pages: Sequence[SamplePage]) -> int | None:
        """Return how often full resolution is halved to these pages, one a channel; None where they do not fit."""
        first, full = pages[0], self._layout.first
        size = first.page.width_px, first.page.height_px
        is_alike = all(page.problem() is None and _kind(page) == _kind(full) for page in pages)
        if not is_alike or any((page.page.width_px, page.page.height_px) != size for page in pages):
            return None
        for shift in range(1, MAX_HALVINGS):
            expected = self._size(shift)
            apart = max(abs(expected[0] - size[0]), abs(expected[1] - size[1]))
            if apart <= LEVEL_TOLERANCE_PX and min(expected) >= MIN_LEVEL_PX:
                return shift
        return None

    def _size(self, shift: int) -> tuple[int, int]:
        page = self._layout.first.page
        return shrunk(page.width_px, shift), shrunk(page.height_px, shift)


def _sample_levels(file: OpenFile, pages: Sequence[SamplePage]) -> list[SampleLevel]:
    """Return a level for each page; channels of the same page share it."""
    made = {page: SampleLevel(file, page) for page in dict.fromkeys(pages)}
    return [made[page] for page in pages]


def _kind(page: SamplePage) -> tuple[object, ...]:
    return page.page.samples, page.page.photometric, page.dtype


def mean_of(plane: Samples, shift: int) -> Samples:
    """Return the means of blocks of 2^shift × 2^shift samples; a far edge's incomplete blocks have fewer."""
    if shift == 0:
        return plane
    step, (height, width) = 1 << shift, plane.shape
    down, across = np.arange(0, height, step), np.arange(0, width, step)
    total = np.add.reduceat(np.add.reduceat(plane.astype(np.float64), down, axis=0), across, axis=1)
    counts = np.minimum(step, height - down)[:, None] * np.minimum(step, width - across)
    means: Samples = np.floor(total / counts + 0.5).astype(plane.dtype)
    return means
