"""A sample of a slide's tiles, spread over every stored level, decoded before the slide is believed.

A slide whose directory is right and whose pixels cannot be decoded would be shown as empty glass. The sample is
bounded in tiles and in time: a slide of any size costs about as much as a screen of tiles.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from vsv.errors import EmptyTileError, MissingTablesError, UnreadableSlideError
from vsv.slides.damage import Damage
from vsv.slides.deepzoom_grid import Grid
from vsv.slides.levels import MAX_DCT_SHIFT, JpegLevel
from vsv.slides.slide import Slide

# Tiles of full resolution, and of each other level.
FINEST_TILES, REDUCED_TILES = 48, 12
# After so long only the first few tiles of each level are tried.
SECONDS, FIRST_TILES = 1.0, 4
MAX_BITS = 16


@dataclass(frozen=True, slots=True)
class Sample:
    """The result of a sample: counts of tiles of full resolution, and the first error among those."""

    tried: int
    decoded: int
    error: UnreadableSlideError | None
    damage: Damage = field(default_factory=Damage)

    def check(self, bits_per_sample: int = 8) -> None:
        """Raise UnreadableSlideError, with what to do about it, where nothing of full resolution can be decoded."""
        if self.decoded == 0:
            raise UnreadableSlideError(self._reason(bits_per_sample))

    def _reason(self, bits_per_sample: int) -> str:
        if self.tried == 0:
            return "the file holds no pixels at full resolution, only empty tiles: copy it again, or rescan"
        if bits_per_sample > MAX_BITS:
            return f"pixels of {bits_per_sample} bits per sample cannot be shown: save the image with 8 or 16"
        if isinstance(self.error, MissingTablesError):
            return "no tile can be decoded, because the JPEG tables that all need are missing: export the slide again"
        return (
            f"not one of {self.tried} tiles can be decoded ({self.error}): "
            "copy the file again, and if that does not help, scan the slide again"
        )


def sample_tiles(slide: Slide) -> Sample:
    """Decode a spread sample of the tiles of every stored level; tiles that are stored empty do not count."""
    deadline, damage = time.monotonic() + SECONDS, Damage()
    finest = _sample_level(slide, slide.max_level, FINEST_TILES, deadline, damage)
    for level_dz in _reduced_levels(slide):
        _sample_level(slide, level_dz, REDUCED_TILES, deadline, damage)
    return Sample(*finest, damage)


def _reduced_levels(slide: Slide) -> list[int]:
    """Return the reduced levels that the file stores, finest first."""
    stored = {*slide.native, *slide.decoded}
    if not stored:
        shifts = range(1, slide.max_level + 1)
        stored = {slide.max_level - shift for shift in shifts if slide.reader.halvings(shift) == 0}
    return sorted(stored - {slide.max_level}, reverse=True)


def _sample_level(
    slide: Slide, level_dz: int, most: int, deadline: float, damage: Damage
) -> tuple[int, int, UnreadableSlideError | None]:
    """Return how many tiles were tried and decoded, and the first error; note damaged tiles in ``damage``."""
    tried = decoded = 0
    first_error = None
    for col, row in _spread(slide.grid, level_dz, most):
        if tried >= FIRST_TILES and time.monotonic() > deadline:
            break
        try:
            _decode(slide, level_dz, col, row)
        except EmptyTileError:
            continue
        except UnreadableSlideError as error:
            damage.note(level_dz, col, row)
            first_error = first_error or error
            decoded += _decodes_in_part(slide, level_dz, col, row)
        else:
            decoded += 1
        tried += 1
    return tried, decoded, first_error


def _spread(grid: Grid, level_dz: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield column and row of tiles spread over a level, in an order in which the first few are spread as well."""
    columns, rows = grid.tile_counts(level_dz)
    total = columns * rows
    count = min(total, most)
    # The golden ratio: each further step falls into one of the widest gaps that are left.
    step = next(
        step for step in range(max(1, round(count * 0.618)), 2 * count + 2) if _is_coprime(step, count)
    )
    for index in range(count):
        row, col = divmod((index * step % count) * total // count, columns)
        yield col, row


def _is_coprime(one: int, other: int) -> bool:
    while other:
        one, other = other, one % other
    return one == 1


def _decode(slide: Slide, level_dz: int, col: int, row: int) -> None:
    """Decode a stored tile, or read a tile's box by the slide's reader; raise UnreadableSlideError."""
    if level_dz not in slide.native and level_dz not in slide.decoded:
        slide.reader.region(slide.max_level - level_dz, slide.grid.tile_box(level_dz, col, row))
        return
    level = slide.source(level_dz)
    if col < level.page.columns and row < level.page.rows:
        # All of a JPEG's data is read at any scale; of JPEG 2000 only what the scale needs.
        level.decoded(col, row, MAX_DCT_SHIFT if isinstance(level, JpegLevel) else 0)


def _decodes_in_part(slide: Slide, level_dz: int, col: int, row: int) -> bool:
    """Return whether a decoder shows a part of a damaged tile's pixels."""
    if level_dz not in slide.native:
        return False
    try:
        slide.levels[level_dz].decoded(col, row, MAX_DCT_SHIFT, is_tolerant=True)
    except UnreadableSlideError:
        return False
    return True
