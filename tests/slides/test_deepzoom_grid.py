"""Deep Zoom arithmetic against openslide-python's DeepZoomGenerator and against the format's own rules."""

from pathlib import Path
from xml.etree import ElementTree

import openslide
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openslide.deepzoom import DeepZoomGenerator
from PIL import Image
from vsv.errors import TileNotFoundError
from vsv.slides.deepzoom_grid import Grid, shrunk

from tests.support.slides.aperio import Plan, write_slide

SIDES = st.integers(1, 300_000)
TILE_SIZES = st.integers(64, 2048)
GRIDS = st.builds(Grid, SIDES, SIDES, TILE_SIZES, st.integers(0, 64))


class _OneLevel(openslide.AbstractSlide):
    """A slide of any size without pixels, for the generator's arithmetic."""

    def __init__(self, width_px: int, height_px: int) -> None:
        self._size = width_px, height_px

    level_count = 1
    properties: dict[str, str] = {}  # noqa: RUF012
    associated_images: dict[str, object] = {}  # noqa: RUF012
    color_profile = None

    @property
    def level_dimensions(self) -> tuple[tuple[int, int]]:
        return (self._size,)

    level_downsamples = (1.0,)

    def get_best_level_for_downsample(self, downsample: float) -> int:
        return 0

    def close(self) -> None: ...

    @classmethod
    def detect_format(cls, filename: object) -> None: ...

    def read_region(self, *_: object) -> Image.Image:
        raise NotImplementedError


def generator(grid: Grid) -> DeepZoomGenerator:
    return DeepZoomGenerator(
        _OneLevel(grid.width_px, grid.height_px), tile_size=grid.tile_size, overlap=grid.overlap
    )


@given(GRIDS)
def test_grid_levels_equal_those_of_deep_zoom_generator(grid: Grid) -> None:
    expected = generator(grid)
    assert grid.level_count == expected.level_count
    levels = range(grid.level_count)
    assert tuple(map(grid.level_size, levels)) == expected.level_dimensions
    assert tuple(map(grid.tile_counts, levels)) == expected.level_tiles


@given(GRIDS, st.data())
def test_grid_tile_sizes_equal_those_of_deep_zoom_generator(grid: Grid, data: st.DataObject) -> None:
    level_dz = data.draw(st.integers(0, grid.max_level))
    columns, rows = grid.tile_counts(level_dz)
    col, row = data.draw(st.integers(0, columns - 1)), data.draw(st.integers(0, rows - 1))
    left, top, right, bottom = grid.tile_box(level_dz, col, row)
    width_px, height_px = generator(grid).get_tile_dimensions(level_dz, (col, row))
    level_width, level_height = grid.level_size(level_dz)
    # Where the last tile is narrower than the overlap, the generator reads beyond the image; nobody else does.
    assert right - left == min(width_px, level_width - left)
    assert bottom - top == min(height_px, level_height - top)


@given(GRIDS, st.data())
def test_grid_tiles_cover_each_level_exactly_once(grid: Grid, data: st.DataObject) -> None:
    bare = Grid(grid.width_px, grid.height_px, grid.tile_size)
    level_dz = data.draw(st.integers(0, bare.max_level))
    columns, rows = bare.tile_counts(level_dz)
    width_px, height_px = bare.level_size(level_dz)
    across = [bare.tile_box(level_dz, col, 0)[::2] for col in range(columns)]
    down = [bare.tile_box(level_dz, 0, row)[1::2] for row in range(rows)]
    for spans, length in ((across, width_px), (down, height_px)):
        assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])]
        assert spans[-1][1] == length
        assert all(0 < end - start <= bare.tile_size for start, end in spans)


@given(SIDES, SIDES)
def test_grid_level_is_half_of_the_finer_level_rounded_up(width_px: int, height_px: int) -> None:
    grid = Grid(width_px, height_px, 256)
    assert grid.level_size(0) == (1, 1)
    assert grid.level_size(grid.max_level) == (width_px, height_px)
    for level_dz in range(grid.max_level):
        finer = grid.level_size(level_dz + 1)
        assert grid.level_size(level_dz) == tuple(-(-side // 2) for side in finer)


@given(SIDES, st.integers(0, 20))
def test_shrunk_by_several_halvings_equals_repeated_halving(length_px: int, shift: int) -> None:
    step_by_step = length_px
    for _ in range(shift):
        step_by_step = -(-step_by_step // 2)
    assert shrunk(length_px, shift) == step_by_step


@given(GRIDS, st.integers(-5, 40), st.integers(-3, 10**7), st.integers(-3, 10**7))
def test_tile_box_raises_tile_not_found_outside_the_grid(
    grid: Grid, level_dz: int, col: int, row: int
) -> None:
    inside = 0 <= level_dz <= grid.max_level
    if inside:
        columns, rows = grid.tile_counts(level_dz)
        inside = 0 <= col < columns and 0 <= row < rows
    if inside:
        left, top, right, bottom = grid.tile_box(level_dz, col, row)
        assert left < right
        assert top < bottom
    else:
        with pytest.raises(TileNotFoundError):
            grid.tile_box(level_dz, col, row)


def test_descriptor_equals_that_of_deep_zoom_generator() -> None:
    grid = Grid(46000, 32914, 254, 1)
    ours = ElementTree.fromstring(grid.descriptor("png"))
    theirs = ElementTree.fromstring(generator(grid).get_dzi("png"))
    assert (ours.tag, ours.attrib) == (theirs.tag, theirs.attrib)
    assert [(e.tag, e.attrib) for e in ours] == [(e.tag, e.attrib) for e in theirs]


def test_descriptor_escapes_its_format() -> None:
    document = ElementTree.fromstring(Grid(1, 1, 256).descriptor('"/><script>'))
    assert document.attrib["Format"] == '"/><script>'


def test_grid_of_real_slide_equals_levels_of_deep_zoom_generator(real_slide: Path) -> None:
    with openslide.OpenSlide(real_slide) as slide:
        expected = DeepZoomGenerator(slide, tile_size=240, overlap=0)
    grid = Grid(2220, 2967, 240)
    levels = range(grid.level_count)
    assert tuple(map(grid.level_size, levels)) == expected.level_dimensions
    assert tuple(map(grid.tile_counts, levels)) == expected.level_tiles


def test_grid_of_written_slide_equals_levels_of_deep_zoom_generator(tmp_path: Path) -> None:
    with openslide.OpenSlide(write_slide(tmp_path / "a.svs", Plan())) as slide:
        expected = DeepZoomGenerator(slide, tile_size=256, overlap=0)
    grid = Grid(1027, 773, 256)
    assert tuple(map(grid.level_size, range(grid.level_count))) == expected.level_dimensions
