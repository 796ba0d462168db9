"""Describe a pathologist's session at a slide at 1920×1080, recorded in session.json as one view after the other.

    .venv/bin/python -m benchmarks.session        rewrites session.json: overview, zooming in, panning along tissue

A view is the left and top edge as parts of the slide's width and height, and how many of the slide's pixels are in
one of the screen's. So the session fits any slide and any protocol's tiles.
"""

import json
import math
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from vsv.slides.deepzoom_grid import Grid

RECORDED = Path(__file__).with_name("session.json")
SCREEN_PX = (1920, 1080)
# As many tiles as OpenSeadragon caches: a cached tile is not requested again.
VIEWER_KEEPS = 200

View = tuple[float, float, float]
Address = tuple[int, int, int]


def views() -> list[View]:
    """Return the recorded views."""
    return [tuple(view) for view in json.loads(RECORDED.read_text(encoding="utf-8"))["views"]]


def tiles(grid: Grid, shown: list[View]) -> list[Address]:
    """Return the Deep Zoom tiles (level, column, row) that a viewer requests, in the viewer's order."""
    kept: OrderedDict[Address, None] = OrderedDict()
    asked = []
    for view in shown:
        for address in _needed(grid, view):
            if address not in kept:
                asked.append(address)
            kept[address] = None
            kept.move_to_end(address)
            if len(kept) > VIEWER_KEEPS:
                kept.popitem(last=False)
    return asked


def _needed(grid: Grid, view: View) -> Iterator[Address]:
    """Yield the tiles of the nearest finer level that a view touches."""
    shift = max(0, math.floor(math.log2(max(view[2], 1))))
    level_dz = grid.max_level - shift
    size, counts = grid.tile_size, grid.tile_counts(level_dz)
    zoom = view[2] / (1 << shift)
    width_px, height_px = grid.level_size(level_dz)
    spans = []
    for start, length_px, screen_px, count in zip(
        view[:2], (width_px, height_px), SCREEN_PX, counts, strict=True
    ):
        first = math.floor(start * length_px / size)
        last = math.floor((start * length_px + screen_px * zoom - 1) / size)
        spans.append(range(min(max(first, 0), count - 1), min(max(last, 0), count - 1) + 1))
    for row in spans[1]:
        for col in spans[0]:
            yield level_dz, col, row


def _recorded() -> Iterator[View]:
    """Yield views of six places of a slide: from the overview into each, along the tissue, and out again."""
    places = ((0.22, 0.31), (0.58, 0.24), (0.71, 0.63), (0.35, 0.72), (0.48, 0.47), (0.15, 0.55))
    for number, place in enumerate(places):
        x, y = place
        for step in range(9):  # zooming with the wheel: a factor of about 1.5 each
            zoom = 16 * (1 / 16) ** (step / 8)
            yield _view(x, y, zoom)
        heading = 0.7 * number
        for drag in range(40):  # dragging, mostly onwards and a little to the side, at full resolution
            heading += 0.35 * math.sin(1.7 * drag + number)
            x, y = x + 0.004 * math.cos(heading), y + 0.004 * math.sin(heading)
            yield _view(x, y, 1)
        for zoom in (2, 4, 3, 2):  # zooming out to the surroundings, moving on, and zooming in again
            x += 0.01
            yield _view(x, y, zoom)
        for zoom in (1.4, 1, 1, 2, 4, 8, 16):
            yield _view(x, y, zoom)


def _view(x: float, y: float, zoom: float) -> View:
    return round(min(max(x, 0), 0.95), 5), round(min(max(y, 0), 0.95), 5), round(zoom, 4)


def main() -> None:
    """Write the session."""
    found = list(_recorded())
    lines = ",\n  ".join(json.dumps(view) for view in found)
    RECORDED.write_text(
        f'{{"screen_px": {json.dumps(SCREEN_PX)}, "views": [\n  {lines}\n]}}\n', encoding="utf-8"
    )


if __name__ == "__main__":
    main()
