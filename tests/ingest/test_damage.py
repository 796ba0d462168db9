"""Pixels that cannot be decoded: refused where there are none, and told where there are some."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from vsv.errors import UnreadableSlideError
from vsv.ingest import tile_sample
from vsv.ingest.tile_sample import FINEST_TILES, sample_tiles
from vsv.ingest.validation import inspect
from vsv.records.models import ImportState
from vsv.slides.damage import NOTES, Damage, read_notes, write_notes
from vsv.slides.deepzoom_grid import Grid

from tests.support.servers.archive_site import brought, record
from tests.support.servers.running import Site
from tests.support.slides.aperio import JPEG2000_RGB, Plan, replace_tile, tile_bytes, write_slide
from tests.support.slides.damaged import (
    FULL,
    PLAN,
    REDUCED,
    UNDECODABLE,
    tiled,
    with_broken_scan,
    without_own_table,
    zeroed,
)
from tests.support.slides.opened import opened
from vsv_local.cli.main import main


@pytest.mark.parametrize("case", UNDECODABLE)
def test_import_of_slide_without_decodable_pixels_fails_with_what_to_do(
    site: Site, tmp_path: Path, case: str
) -> None:
    name, write, reason = UNDECODABLE[case]
    content = write(tmp_path / name).read_bytes()
    assert site.bring(name, content) == 422
    run = site.services.imports.get(name)
    assert run is not None
    assert (run.state, run.image_id) == (ImportState.FAILED, None)
    assert reason in str(run.error)
    assert site.records() == []


PARTLY = {
    "a tile of zeros": (lambda path: zeroed(write_slide(path, PLAN), FULL, 7), {"11": "1"}),
    "a tile cut in the middle": (
        lambda path: with_broken_scan(write_slide(path, PLAN), FULL, 7),
        {"11": "1"},
    ),
    "a tile without its table": (
        lambda path: without_own_table(write_slide(path, PLAN), FULL, 7),
        {"11": "1"},
    ),
    "a third of the tiles": (
        lambda path: zeroed(write_slide(path, PLAN), FULL, *range(0, 30, 3)),
        {"11": "10"},
    ),
    "all of a reduced level": (lambda path: zeroed(write_slide(path, PLAN), REDUCED), {"9": "4"}),
    "jpeg 2000": (
        lambda path: zeroed(write_slide(path, Plan(1293, 1051, codec=JPEG2000_RGB)), FULL, 3, 7),
        {"11": "2"},
    ),
    "jpeg 2000, reduced": (
        lambda path: zeroed(write_slide(path, Plan(1293, 1051, codec=JPEG2000_RGB)), REDUCED),
        {"9": "4"},
    ),
    "deflate": (lambda path: zeroed(tiled(path, "deflate"), FULL, 7), {"11": "1"}),
    "lzw": (lambda path: zeroed(tiled(path, "lzw"), FULL, 7, 8), {"11": "2"}),
}


@pytest.mark.parametrize("case", PARTLY)
def test_import_of_partly_damaged_slide_is_ready_and_counts_damage_by_level(
    site: Site, tmp_path: Path, case: str
) -> None:
    write, counts = PARTLY[case]
    image_id = brought(site, write(tmp_path / "a.svs").read_bytes())
    assert site.state() is ImportState.READY
    assert record(site.services, image_id).damage == counts
    assert site.services.slide_cache.slide(image_id).damage.counts() == counts


def test_import_of_undamaged_slide_has_no_damage_and_no_notes(site: Site, tmp_path: Path) -> None:
    image_id = brought(site, write_slide(tmp_path / "a.svs", PLAN).read_bytes())
    assert record(site.services, image_id).damage is None
    assert not site.services.files.pyramid(image_id).with_name(NOTES).exists()


def test_every_tile_is_checked_while_the_pyramid_is_rendered(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sample sees one tile a level; the damaged one is another, of a level next to a level that is stored."""
    monkeypatch.setattr(tile_sample, "FINEST_TILES", 1)
    monkeypatch.setattr(tile_sample, "REDUCED_TILES", 1)
    path = write_slide(tmp_path / "a.svs", Plan(1293, 1051, downsamples=(1, 2)))
    replace_tile(path, FULL, 29, b"no picture" * 50)
    image_id = brought(site, path.read_bytes())
    assert record(site.services, image_id).damage == {"11": "1"}


def test_padding_in_tiles_is_no_damage(site: Site, tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs", PLAN)
    for index, padding in ((7, b"\0" * 40), (8, b"\xff" * 7)):
        tile = tile_bytes(path, FULL, index)
        replace_tile(path, FULL, index, tile[:-2] + padding + tile[-2:])
    image_id = brought(site, path.read_bytes())
    assert record(site.services, image_id).damage is None


def test_show_names_damage_in_words(site: Site, tmp_path: Path) -> None:
    path = zeroed(zeroed(write_slide(tmp_path / "a.svs", PLAN), FULL, 7), REDUCED)
    image_id = brought(site, path.read_bytes())
    arguments = ["show", image_id, "--data", str(site.services.files.root)]
    result = CliRunner().invoke(main, arguments)
    assert (
        "tiles that cannot be decoded, or not wholly: 1 of full resolution, 4 of level 1/4" in result.output
    )
    found = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).output)
    assert found["Damage"] == {"11": "1", "9": "4"}


def test_sample_is_bounded_in_tiles_and_by_a_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slide = opened(write_slide(tmp_path / "a.svs", Plan(2800, 2700)))
    assert sample_tiles(slide).tried == FINEST_TILES
    monkeypatch.setattr(tile_sample, "SECONDS", -1.0)
    assert sample_tiles(slide).tried == tile_sample.FIRST_TILES


def test_inspect_finds_damage_that_the_first_tiles_do_not_show(tmp_path: Path) -> None:
    path = zeroed(write_slide(tmp_path / "a.svs", PLAN), FULL, *range(15))
    inspect(path, path.stat().st_size)
    zeroed(path, FULL)
    with pytest.raises(UnreadableSlideError, match="not one of 30 tiles"):
        inspect(path, path.stat().st_size)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 60))
def test_spread_places_are_distinct_and_reach_over_the_whole_level(
    width: int, height: int, most: int
) -> None:
    grid = Grid(width, height, 64)
    columns, rows = grid.tile_counts(grid.max_level)
    places = list(tile_sample._spread(grid, grid.max_level, most))
    assert len(set(places)) == len(places) == min(most, columns * rows)
    indexes = sorted(row * columns + col for col, row in places)
    widest = -(-columns * rows // len(places))
    assert indexes[0] == 0
    assert all(0 < after - before <= widest for before, after in pairwise(indexes))


@given(st.sets(st.tuples(st.integers(0, 12), st.integers(0, 40), st.integers(0, 40)), max_size=60))
def test_notes_come_back_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, tiles: set) -> None:
    path = tmp_path_factory.mktemp("notes") / NOTES
    damage = Damage()
    for level_dz, col, row in tiles:
        damage.note(level_dz, col, row)
    write_notes(path, damage)
    assert path.exists() == bool(tiles)
    assert read_notes(path).tiles == damage.tiles


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"version": 1, "damaged": {"x": 1}}', '{"version": 1, "damaged": {"1": [[1]]}}', "\0"],
)
def test_unreadable_notes_are_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / NOTES
    path.write_text(text)
    assert not read_notes(path)
