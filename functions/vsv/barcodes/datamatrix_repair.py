"""Repair of square Data Matrix symbols with a damaged finder or damaged modules: each is redrawn for the reader.

Readers follow the solid L of a Data Matrix and fail where a pen stroke or a scratch interrupts the L. This module
matches the whole frame, L and dashed edges, at once, so that a part of the frame may be missing; the modules are then
sampled on the grid that fits best. The reader's error correction decides whether the result is valid.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vsv.barcodes.preprocessing import Floats, local_contrast

COUNTS = (10, 12, 14, 16, 18, 20, 22, 24, 26)  # modules per side, of the symbol sizes with one data region
COARSE_SIDE = 150  # pixels; the frame is first searched at this size
FRAMES = 5  # how many of the coarse matches are refined
MIN_MATCH = 0.45  # of a frame: 1 is perfect, 0 is chance
SHARPENINGS = (0.0, 0.35, 0.7)  # how much of its neighbours' mean is subtracted from each module
DRAWN = 4  # pixels per module of the redrawn picture
QUIET = 2  # modules of white around the redrawn symbol


@dataclass(frozen=True)
class Frame:
    """The place of a possible symbol after ``quarter`` turns: left, top, right and bottom in pixels."""

    match: float
    quarter: int
    box: tuple[float, float, float, float]
    count: int = 0


def redraw_symbols(upright: Image.Image) -> Iterator[Image.Image]:
    """Yield redrawn pictures of the symbols that ``upright`` may hold, the best match first."""
    dark = darkness(local_contrast(upright))
    fits = [fit for frame in _coarse_frames(dark) for fit in _fits(dark, frame)]
    for fit in sorted(fits, key=lambda fit: -fit.match)[: 2 * FRAMES]:
        if fit.match < MIN_MATCH:
            return
        cells = _module_darkness(_sums(np.rot90(dark, fit.quarter)), fit.box, fit.count)
        for amount in SHARPENINGS:
            yield _draw_symbol(_sharpen(cells, amount))


def sampled_modules(picture: Image.Image) -> npt.NDArray[np.bool_]:
    """Return the dark modules of a redrawn picture, without its quiet zone."""
    return np.asarray(np.asarray(picture)[::DRAWN, ::DRAWN][QUIET:-QUIET, QUIET:-QUIET] < 128, np.bool_)


def darkness(flat: Image.Image) -> Floats:
    """Return the darkness of an image of even contrast: 1 for black, -1 for white."""
    return ((128.0 - np.asarray(flat, np.float32)) / 60.0).clip(-1, 1)


def _sums(values: Floats) -> npt.NDArray[np.float64]:
    """Return the summed-area table (sums from the top left corner), for means in constant time."""
    padded = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    padded[1:, 1:] = values.astype(np.float64).cumsum(axis=0).cumsum(axis=1)
    return padded


def _coarse_frames(dark: Floats) -> list[Frame]:
    """Return the frames that most resemble a solid L with light outside."""
    factor = COARSE_SIDE / max(dark.shape)
    size = (max(12, round(dark.shape[1] * factor)), max(12, round(dark.shape[0] * factor)))
    small = np.asarray(Image.fromarray(dark).resize(size, Image.Resampling.BOX))
    candidates = [
        frame
        for quarter in range(4)
        for side in range(30, min(size), 4)
        for frame in _frames_of(np.rot90(small, quarter), quarter, side, factor)
    ]
    distinct: list[Frame] = []
    for frame in sorted(candidates, key=lambda frame: -frame.match):
        if not any(_is_same_frame(frame, other, 6 / factor) for other in distinct):
            distinct.append(frame)
        if len(distinct) == FRAMES:
            break
    return distinct


def _is_same_frame(first: Frame, second: Frame, distance: float) -> bool:
    is_near = all(abs(a - b) < distance for a, b in zip(first.box, second.box, strict=True))
    return first.quarter == second.quarter and is_near


def _frames_of(dark: Floats, quarter: int, side: int, factor: float) -> list[Frame]:
    """Return the three best-matching squares of ``side`` pixels, in pixels of the full picture."""
    strip = max(2, round(side / 16))
    sums = _sums(np.pad(dark, strip, constant_values=-0.5))
    rows, columns = dark.shape[0] - side + 1, dark.shape[1] - side + 1

    def mean(top: int, left: int, height: int, width: int) -> npt.NDArray[np.float64]:
        top, left = top + strip, left + strip
        a, b = slice(top, top + rows), slice(top + height, top + height + rows)
        c, d = slice(left, left + columns), slice(left + width, left + width + columns)
        return np.asarray((sums[b, d] - sums[a, d] - sums[b, c] + sums[a, c]) / (height * width))

    solid = mean(0, 0, side, strip) + mean(side - strip, 0, strip, side)
    outside = mean(0, -strip, side, strip) + mean(side, 0, strip, side)
    dashed = np.abs(mean(0, 0, strip, side)) + np.abs(mean(0, side - strip, side, strip))
    match = (solid - outside - 0.5 * dashed) / 4
    best = np.argsort(match, axis=None)[-3:]
    places = [divmod(int(at), columns) for at in best]
    return [
        Frame(float(match[y, x]), quarter, (x / factor, y / factor, (x + side) / factor, (y + side) / factor))
        for y, x in places
    ]


def _fits(dark: Floats, frame: Frame) -> list[Frame]:
    """Return frames for the two best-fitting numbers of modules, with adjusted sides."""
    sums = _sums(np.rot90(dark, frame.quarter))
    rough = sorted((_move_sides(sums, frame, count, 0.7) for count in COUNTS), key=lambda fit: -fit.match)
    fits = rough[:3]
    for step in (0.35, 0.15):
        fits = [_move_sides(sums, _move_sides(sums, fit, fit.count, step), fit.count, step) for fit in fits]
    return sorted(fits, key=lambda fit: -fit.match)[:2]


def _move_sides(sums: npt.NDArray[np.float64], frame: Frame, count: int, modules: float) -> Frame:
    """Return the frame with each side moved in turn by ``modules`` where that improves the match."""
    box, match = list(frame.box), _match(sums, frame.box, count)
    step = modules * (box[2] - box[0]) / count
    for side in range(4):
        for shift in (-step, step):
            moved = [*box[:side], box[side] + shift, *box[side + 1 :]]
            moved_match = _match(sums, (moved[0], moved[1], moved[2], moved[3]), count)
            if moved_match > match:
                box, match = moved, moved_match
    return Frame(match, frame.quarter, (box[0], box[1], box[2], box[3]), count)


@cache
def _frame_cells(count: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Floats]:
    """Return rows, columns and expected darkness of the frame's cells and of the quiet cells beside the L."""
    along = np.arange(count)
    dashes = np.where(along % 2 == 0, 1, -1)
    low = np.zeros(count, np.intp)
    rows = np.concatenate([along, low + count - 1, low, along, along, low + count])
    columns = np.concatenate([low, along, along, low + count - 1, low - 1, along])
    expected = np.concatenate([low + 1, low + 1, dashes, -dashes, low - 1, low - 1])
    return rows, columns, expected.astype(np.float32)


def _match(sums: npt.NDArray[np.float64], box: tuple[float, float, float, float], count: int) -> float:
    rows, columns, expected = _frame_cells(count)
    return float((_means(sums, box, count, rows, columns) * expected).mean())


def _means(
    sums: npt.NDArray[np.float64],
    box: tuple[float, float, float, float],
    count: int,
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
) -> npt.NDArray[np.float64]:
    """Return the mean darkness of the central part of the given modules."""
    across, down = (box[2] - box[0]) / count, (box[3] - box[1]) / count
    highest, widest = sums.shape[0] - 2, sums.shape[1] - 2
    left = _bounded(box[0] + (columns + 0.2) * across, widest)
    top = _bounded(box[1] + (rows + 0.2) * down, highest)
    right = np.maximum(_bounded(box[0] + (columns + 0.8) * across, widest + 1), left + 1)
    bottom = np.maximum(_bounded(box[1] + (rows + 0.8) * down, highest + 1), top + 1)
    total = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return np.asarray(total / ((bottom - top) * (right - left)))


def _bounded(places: npt.NDArray[np.floating[Any]], most: int) -> npt.NDArray[np.intp]:
    return np.asarray(np.minimum(np.maximum(places + 0.5, 0), most), np.intp)


def _module_darkness(
    sums: npt.NDArray[np.float64], box: tuple[float, float, float, float], count: int
) -> Floats:
    """Return the darkness of every module."""
    rows, columns = np.divmod(np.arange(count * count), count)
    return _means(sums, box, count, rows, columns).reshape(count, count).astype(np.float32)


def _sharpen(cells: Floats, amount: float) -> Floats:
    """Return the modules without the share that a blur has mixed in from the four neighbours."""
    padded = np.pad(cells, 1, mode="edge")
    around = (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]) / 4
    return np.asarray(cells - amount * around, np.float32)


def _draw_symbol(cells: Floats) -> Image.Image:
    """Draw the modules in black and white, with the standard's frame."""
    count = len(cells)
    black = cells > 0
    even = np.arange(count) % 2 == 0
    black[0], black[:, -1] = even, ~even
    black[-1], black[:, 0] = True, True
    quiet = np.pad(np.where(black, 0, 255).astype(np.uint8), QUIET, constant_values=255)
    return Image.fromarray(np.kron(quiet, np.ones((DRAWN, DRAWN), np.uint8)))
