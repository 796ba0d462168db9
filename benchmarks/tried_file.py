"""Compare tiles of an imported slide with OpenSlide and tifffile: python -m benchmarks.tried_file DATA FILE.

Prints a verdict as JSON. Tiles are requested as over HTTP, at five levels from full resolution down.
"""

import base64
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from serve_image.handler import lambda_handler
from vsv.slides.deepzoom_grid import Grid

from benchmarks.other_readers import Box, Other, Pixels, others
from vsv_local.cli.options import existing
from vsv_local.server.api_gateway_events import http_event

LEVELS = 5
_COARSEST_PX = 64  # the coarsest level that is compared is at least so wide or high
_LEAST_PX = 8
# Grey levels: full resolution that was coded again stays below the first; the means of blocks, in levels that were
# reduced in another way, below the second in all but few blocks.
_FULL_APART, _BLOCK_APART, _BLOCK_PX, _BLOCKS_ALLOWED = 10.0, 24.0, 16, 0.05


@dataclass(frozen=True, slots=True)
class Verdict:
    """``right``, ``wrong`` or ``unknown``: no other reader shows it; ``words`` say where, or with whom it agrees."""

    result: str
    words: str


def verdict(grid: Grid, image_id: str, readers: Sequence[Other]) -> Verdict:
    """Return how a slide's tiles compare; right where one of each program's pictures agrees with every tile."""
    tiles = [
        (level_dz, col, row, _tile(image_id, level_dz, col, row)) for level_dz, col, row in addresses(grid)
    ]
    for level_dz, col, row, found in tiles:
        if isinstance(found, int):
            return Verdict("wrong", f"tile {level_dz}/{col}_{row} answers {found}")
    programs: dict[str, list[str]] = {}
    for other in readers:
        difference = _difference(grid, tiles, other)
        if difference is not None:
            programs.setdefault(other.name.split(",", maxsplit=1)[0], []).append(difference)
    if not programs:
        return Verdict("unknown", "no other reader shows it")
    wrong = [min(found, key=len) for found in programs.values() if all(found)]
    return Verdict("wrong", "; ".join(wrong)) if wrong else Verdict("right", f"as {' and '.join(programs)}")


def addresses(grid: Grid) -> Iterator[tuple[int, int, int]]:
    """Yield level, column and row of the tiles in the corners and in the middle of each compared level."""
    sizes = [max(grid.level_size(level_dz)) for level_dz in range(grid.level_count)]
    coarsest = next((dz for dz, side in enumerate(sizes) if side >= _COARSEST_PX), grid.max_level)
    for level_dz in sorted({round(dz) for dz in np.linspace(coarsest, grid.max_level, LEVELS)}):
        columns, rows = grid.tile_counts(level_dz)
        places = {(col, row) for col in (0, columns - 1) for row in (0, rows - 1)} | {
            (columns // 2, rows // 2)
        }
        # The last tile of a level that was rounded up may hold a pixel that no stored level has.
        boxes = {place: grid.tile_box(level_dz, *place) for place in sorted(places)}
        yield from (
            (level_dz, *place)
            for place, box in boxes.items()
            if min(_sides(box)) >= _LEAST_PX or len(boxes) == 1
        )


def _sides(box: Box) -> tuple[int, int]:
    left, top, right, bottom = box
    return right - left, bottom - top


def _tile(image_id: str, level_dz: int, col: int, row: int) -> Pixels | int:
    """Return a tile's pixels, or the status of the answer where it is none."""
    answer = lambda_handler(
        http_event("GET", f"/DeepZoom/{image_id}_files/{level_dz}/{col}_{row}.png", "", ()), None
    )
    if answer["statusCode"] != 200:
        return int(answer["statusCode"])
    with Image.open(io.BytesIO(base64.b64decode(answer["body"]))) as image:
        return np.asarray(image.convert("RGB"))


def _difference(grid: Grid, tiles: Sequence[tuple[int, int, int, Pixels | int]], other: Other) -> str | None:
    """Return where a reader's picture differs most, "" where it agrees, None where it shows none of the tiles."""
    worst, place = 0.0, None
    for level_dz, col, row, found in tiles:
        expected = other.read(grid.max_level - level_dz, grid.tile_box(level_dz, col, row))
        if expected is None or isinstance(found, int):
            continue
        place = place or ""
        apart = grey_levels_apart(found, expected, exact=level_dz == grid.max_level)
        if apart > worst:
            worst, place = apart, f"tile {level_dz}/{col}_{row} is {apart:.0f} grey levels off {other.name}"
    return place


def grey_levels_apart(found: Pixels, expected: Pixels, *, exact: bool) -> float:
    """Return the difference of two tiles, 0 for one that coding and reducing in another way explain.

    Parts of a tile count as well, by the means of their blocks; ``exact``: every pixel counts.
    """
    apart = float(np.abs(found.astype(float) - expected).mean())
    blocks = np.abs(_block_means(found) - _block_means(expected)).max(axis=2)
    is_same = (blocks > _BLOCK_APART).mean() <= _BLOCKS_ALLOWED and not (exact and apart > _FULL_APART)
    return 0.0 if is_same else max(apart, float(blocks.max()))


def _block_means(pixels: Pixels) -> "np.typing.NDArray[np.float64]":
    """Return the means of whole blocks; of the whole tile where it is smaller than a block."""
    height, width = (side - side % _BLOCK_PX or side for side in pixels.shape[:2])
    pixels = pixels[:height, :width]
    down, across = np.arange(0, height, _BLOCK_PX), np.arange(0, width, _BLOCK_PX)
    total = np.add.reduceat(np.add.reduceat(pixels.astype(float), down, axis=0), across, axis=1)
    count = np.minimum(_BLOCK_PX, height - down)[:, None] * np.minimum(_BLOCK_PX, width - across)
    means: np.typing.NDArray[np.float64] = total / count[..., None]
    return means


def main() -> None:
    """Print the verdict on the only slide of a data folder."""
    data, path = map(Path, sys.argv[1:3])
    with existing(data) as services:
        (image_id,) = (folder.name for folder in (data / "slides").iterdir() if folder.is_dir())
        grid = services.slide_cache.slide(image_id).grid
        print(json.dumps(asdict(verdict(grid, image_id, others(path, (grid.width_px, grid.height_px))))))


if __name__ == "__main__":
    main()
