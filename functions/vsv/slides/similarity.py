"""Comparison of two pictures of a slide: whether a small one shows the same as a larger one, reduced.

Small cells of the candidate are compared with the same places of the reference: the busiest, where a label has its
text, and others spread over the picture. What counts is how brightness varies inside a cell (normalised correlation),
so that other colours, sharpening and compression do not matter. The cost is bounded: at most ``MAX_BLOCKS`` blocks of
the candidate are read, and about ``_MAX_REFERENCE_PX`` pixels of the reference.
"""

from __future__ import annotations

import math
from enum import Enum
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from vsv.slides.pictures import MAX_SHIFT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vsv.slides.pictures import Luma, Picture

CELL_PX = 16
# Whole labels are read: none has more pixels than so many usual blocks. Of huge blocks a few are read.
MAX_BLOCKS, _LEAST_BLOCKS, _MAX_CANDIDATE_PX = 144, 4, 1 << 24
MOST_CELLS, _LEAST_CELLS = 64, 16
_MAX_REFERENCE_PX = 1 << 26
# Variation of brightness, 0 to 255, from which a cell shows something: glass and its noise have less.
_MIN_VARIATION = 4.0
# Reductions have 0.9 and more, and at most a few cells that differ; _ENOUGH cells may have one that does.
_MIN_CORRELATION, _MIN_OWN_CORRELATION, _MAX_STRANGE, _ENOUGH = 0.7, 0.3, 0.1, 6
# Two empty pictures may differ in brightness: white paper and glass.
_MAX_DIFFERENCE = 64.0


class Verdict(Enum):
    """Result of a comparison."""

    SAME = "the same structures at the same places"
    BLANK = "nothing is shown, here and there"
    DIFFERENT = "something else"
    NOTHING = "no pixels are stored that could be compared"


class Place(NamedTuple):
    """Placement of a candidate on its reference: scale, and the position of the candidate's corner, in pixels."""

    scale_x: float
    scale_y: float
    left: float = 0.0
    top: float = 0.0


class _Cell(NamedTuple):
    left: int  # in pixels of the reduced candidate
    top: int
    luma: Luma


class _Pair(NamedTuple):
    luma: Luma
    around: Luma  # the reference with a margin of a pixel


def stretched(candidate: Picture, reference: Picture) -> Place:
    """Return the placement over the whole reference; sides that were rounded down are scaled by a whole number."""
    sides = (reference.width_px, candidate.width_px), (reference.height_px, candidate.height_px)
    return Place(*(_scale(whole, part) for whole, part in sides))


def _scale(whole: int, part: int) -> float:
    nominal = max(1, round(whole / part))
    return nominal if abs(whole - part * nominal) <= nominal + 2 else whole / part


def compare(candidate: Picture, reference: Picture, place: Place | None = None) -> Verdict:
    """Return whether a candidate shows what the reference shows at that place, by default all of it."""
    place = place or stretched(candidate, reference)
    shift = _reduction(candidate)
    cells = list(_cells(candidate, shift))
    if not cells:
        return Verdict.DIFFERENT if candidate.is_damaged else Verdict.NOTHING
    chosen = _choose(cells, _affordable(place, shift, reference.block_px))
    pairs = [pair for cell in chosen if (pair := _pair(cell, reference, place, shift)) is not None]
    return _judge(pairs)


def has_pixels(picture: Picture) -> bool:
    """Return whether any of a picture's sampled blocks has pixels that can be decoded."""
    return next(_cells(picture, _reduction(picture)), None) is not None


def _reduction(picture: Picture) -> int:
    """Return how often a candidate is halved: small details would only add noise and rounding of positions."""
    side = min(picture.width_px, picture.height_px)
    return 2 if side >= 256 else 1 if side >= 128 else 0


def _cells(picture: Picture, shift: int) -> Iterator[_Cell]:
    size = picture.block_px
    columns, rows = -(-picture.width_px // size), -(-picture.height_px // size)
    count = columns * rows
    most = min(count, MAX_BLOCKS, max(_LEAST_BLOCKS, _MAX_CANDIDATE_PX // size**2))
    for index in sorted({i * count // most for i in range(most)}):
        left, top = index % columns * size, index // columns * size
        box = left, top, min(left + size, picture.width_px), min(top + size, picture.height_px)
        luma = picture.luma(box, shift)
        for y, x in product(*map(_starts, luma.shape)):
            part = luma[y : y + CELL_PX, x : x + CELL_PX]
            if not np.isnan(part).any():
                yield _Cell((left >> shift) + x, (top >> shift) + y, part)


def _starts(length: int) -> Sequence[int]:
    """Return where the cells of a row begin; the last one ends with the row."""
    return sorted({*range(0, length - CELL_PX + 1, CELL_PX), max(0, length - CELL_PX)})


def _affordable(place: Place, shift: int, block_px: int) -> int:
    cell_px = max((CELL_PX << shift) ** 2 * place.scale_x * place.scale_y, block_px**2)
    return int(min(MOST_CELLS, max(_LEAST_CELLS, _MAX_REFERENCE_PX / cell_px)))


def _choose(cells: list[_Cell], count: int) -> list[_Cell]:
    """Return the busiest cells, and as many spread over the others."""
    if len(cells) <= count:
        return cells
    order = np.argsort([-cell.luma.std() for cell in cells], kind="stable")
    busiest, others = order[: count // 2], np.sort(order[count // 2 :])
    spread = others[np.linspace(0, len(others) - 1, count - len(busiest)).astype(int)]
    return [cells[int(index)] for index in (*busiest, *spread)]


def _pair(cell: _Cell, reference: Picture, place: Place, shift: int) -> _Pair | None:
    """Return a cell with its place in the reference; None where that is outside, or has no pixels."""
    height, width = cell.luma.shape
    step_x, step_y = place.scale_x * (1 << shift), place.scale_y * (1 << shift)
    left, top = place.left + (cell.left - 1) * step_x, place.top + (cell.top - 1) * step_y
    right, bottom = left + (width + 2) * step_x, top + (height + 2) * step_y
    slack_x, slack_y = 3 * step_x, 3 * step_y
    is_inside = left >= -slack_x and top >= -slack_y
    if not is_inside or right > reference.width_px + slack_x or bottom > reference.height_px + slack_y:
        return None
    around = _resampled(reference, (left, top, right, bottom), (width + 2, height + 2))
    return None if np.isnan(around).any() else _Pair(cell.luma, around)


def _resampled(reference: Picture, box: tuple[float, float, float, float], size: tuple[int, int]) -> Luma:
    """Return a box of the reference at the given size; its edge is repeated outside."""
    scale = min((box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1])
    shift = min(MAX_SHIFT, max(0, int(np.log2(max(scale, 1.0)))))
    step = 1 << shift
    left, top = (max(0, int(edge)) // step * step for edge in box[:2])
    right = max(left + 1, min(reference.width_px, int(np.ceil(box[2] / step)) * step))
    bottom = max(top + 1, min(reference.height_px, int(np.ceil(box[3] / step)) * step))
    luma = reference.luma((left, top, right, bottom), shift)
    pad_x = max(0, int(np.ceil(-box[0] / step))), max(0, int(np.ceil((box[2] - right) / step)))
    pad_y = max(0, int(np.ceil(-box[1] / step))), max(0, int(np.ceil((box[3] - bottom) / step)))
    padded = np.pad(luma, (pad_y, pad_x), mode="edge")
    x, y = left / step - pad_x[0], top / step - pad_y[0]
    inner = box[0] / step - x, box[1] / step - y, box[2] / step - x, box[3] / step - y
    limits = padded.shape[1], padded.shape[0]
    inner = (max(inner[0], 0.0), max(inner[1], 0.0), min(inner[2], limits[0]), min(inner[3], limits[1]))
    return np.asarray(Image.fromarray(padded).resize(size, Image.Resampling.BOX, inner))


def _judge(pairs: list[_Pair]) -> Verdict:
    shown = [p for p in pairs if max(p.luma.std(), p.around.std()) >= _MIN_VARIATION]
    if not pairs:
        return Verdict.DIFFERENT
    if not shown:
        differences = [abs(float(pair.luma.mean() - pair.around.mean())) for pair in pairs]
        return Verdict.BLANK if np.median(differences) <= _MAX_DIFFERENCE else Verdict.DIFFERENT
    moves = list(product(range(3), range(3)))
    best = max(moves, key=lambda move: _correlation(shown, move))
    busy = [pair for pair in shown if pair.luma.std() >= _MIN_VARIATION]
    strange = sum(_correlation([pair], best) < _MIN_OWN_CORRELATION for pair in busy)
    is_alike = strange <= max(_MAX_STRANGE * len(busy), len(busy) >= _ENOUGH)
    is_same = is_alike and _correlation(shown, best) >= _MIN_CORRELATION
    return Verdict.SAME if is_same else Verdict.DIFFERENT


def _correlation(pairs: list[_Pair], move: tuple[int, int]) -> float:
    """Return the correlation of brightness around each cell's mean, -1 to 1, at one of the neighbouring positions."""
    product_sum = own_sum = other_sum = 0.0
    for pair in pairs:
        height, width = pair.luma.shape
        other = pair.around[move[0] : move[0] + height, move[1] : move[1] + width]
        own, other = pair.luma - pair.luma.mean(), other - other.mean()
        product_sum += float((own * other).sum())
        own_sum += float((own * own).sum())
        other_sum += float((other * other).sum())
    return product_sum / max(math.sqrt(own_sum * other_sum), 1e-9)
