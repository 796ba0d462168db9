"""Windows of channels: the stored values that are shown as dark and as full, measured once and stored.

A window reaches from the 1st to the 99.9th percentile of a channel's values, so that few bright outliers do not make
the rest dark. It is stored beside the original, so that all tiles, processes and protocols agree; the same file
always has the same windows.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vsv.errors import CorruptTileError
from vsv.formats.tiff_samples import Samples
from vsv.slides.sample_level import SampleLevel

LOWEST_PERCENT, HIGHEST_PERCENT = 1.0, 99.9
# Pixels of a channel that are measured, in blocks spread over the image; all pixels where it has no more.
MAX_PIXELS, MAX_WIDE_PIXELS = 1 << 27, 1 << 24
MAX_SAMPLES = 1 << 30  # of all channels


@dataclass(frozen=True, slots=True)
class Window:
    """The values of a channel shown as dark and as full, and its lowest and highest value."""

    start: float
    end: float
    low: float
    high: float


def measure(levels: Sequence[tuple[SampleLevel, int]], *, together: bool) -> list[Window]:
    """Return the window of each channel, a level and a sample; ``together``: one window for all, as for RGB."""
    groups = [levels] if together else [[level] for level in levels]
    dtype = levels[0][0].page.dtype
    windows = [
        window_of((part for pair in group for part in _parts(*pair, len(levels))), dtype) for group in groups
    ]
    return windows * len(levels) if together else windows


def window_of(parts: Iterable[Samples], dtype: np.dtype[np.generic]) -> Window:
    """Return the window of values, of which there may be none; ``dtype`` is their type."""
    bits = 8 * dtype.itemsize
    lowest = -(1 << bits - 1) if dtype.kind == "i" else 0
    limits = lowest, lowest + (1 << bits) - 1
    if dtype.itemsize > 2:
        values = np.concatenate([part.ravel() for part in parts] or [np.zeros(1, dtype)])
        start, end = np.percentile(values, (LOWEST_PERCENT, HIGHEST_PERCENT))
        return _widen(float(start), float(end), float(values.min()), float(values.max()), limits)
    counts = np.zeros(1 << bits, np.int64)
    for part in parts:
        counts += np.bincount(part.ravel().astype(np.int64) - lowest, minlength=len(counts))
    start, end, low, high = (value + lowest for value in _of_counts(counts))
    return _widen(start, end, low, high, limits)


def _of_counts(counts: "np.typing.NDArray[np.int64]") -> tuple[float, float, float, float]:
    """Return the two percentiles, interpolated as numpy does, and the lowest and highest value that occurs."""
    present = np.flatnonzero(counts)
    if len(present) == 0:
        return 0.0, 0.0, 0.0, 0.0
    total, below = int(counts.sum()), np.cumsum(counts)

    def percentile(percent: float) -> float:
        place = percent / 100 * (total - 1)
        lower, upper = (
            int(np.searchsorted(below, rank, side="right")) for rank in (int(place), math.ceil(place))
        )
        return lower + (upper - lower) * (place - int(place))

    return percentile(LOWEST_PERCENT), percentile(HIGHEST_PERCENT), float(present[0]), float(present[-1])


def _widen(start: float, end: float, low: float, high: float, limits: tuple[int, int]) -> Window:
    """Return a window that is not empty: of all values where nearly all are one, of the type's where all are one."""
    if start >= end:
        start, end = (low, high) if low < high else limits
    return Window(start, end, low, high)


def _parts(level: SampleLevel, sample: int, share: int) -> Iterator[Samples]:
    """Yield the values of blocks of a level, all of them or an even selection; damaged blocks are left out.

    ``share`` is the number of channels that are measured, of which many are measured less closely.
    """
    most = MAX_PIXELS if level.page.dtype.itemsize <= 2 else MAX_WIDE_PIXELS
    step = max(1, math.ceil(level.width_px * level.height_px / min(most, MAX_SAMPLES // share)))
    for box in level.selected_blocks(step):
        try:
            yield level.read(sample, box)
        except CorruptTileError:
            continue
