"""scripts/try-files: what becomes of other people's files, in a table; wrong pictures and crashes end it with 1."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from vsv.services import Services

from benchmarks.bounded_process import Bounds, run
from benchmarks.other_readers import Box, Other, Pixels, others
from benchmarks.tried_file import grey_levels_apart, verdict
from benchmarks.try_files import Tried, summarize, table, try_file
from tests.support.paths import ROOT
from tests.support.servers.webgateway_site import HEIGHT, NUMBER, WIDTH, served
from tests.support.slides.aperio import Plan, texture, write_slide


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with served(tmp_path_factory.mktemp("data")) as services:
        yield services


def readers(services: Services) -> list[Other]:
    return others(services.files.slide(NUMBER), (WIDTH, HEIGHT))


def test_folder_of_files_is_tried_and_printed_as_a_table(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write_slide(tmp_path / "deep/good.svs")
    with tifffile.TiffWriter(tmp_path / "webp.svs") as file:
        file.write(texture(300, 200), tile=(128, 128), photometric="rgb", compression="webp", metadata=None)
    (tmp_path / "notes.txt").write_text("no image")
    command = [sys.executable, "-m", "benchmarks.try_files", str(tmp_path), "--json"]
    done = subprocess.run(
        command, cwd=ROOT, env={"PYTHONPATH": "functions:.", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = {row["name"]: (row["result"], row["words"]) for row in json.loads(done.stdout)}
    assert found["deep/good.svs"] == ("right", "as OpenSlide and tifffile")
    assert found.keys() == {"deep/good.svs", "webp.svs"}
    assert found["webp.svs"][0] == "refused"
    assert "WebP" in found["webp.svs"][1]
    assert (done.returncode, done.stderr.strip()) == (0, "1 right, 1 refused")


def test_tiles_that_agree_with_the_other_readers_are_right(services: Services) -> None:
    grid = services.slide_cache.slide(NUMBER).grid
    found = verdict(grid, NUMBER, readers(services))
    assert (found.result, found.words) == ("right", "as OpenSlide and tifffile")


def whitened(other: Other, level: int, max_level: int) -> Other:
    """Return a reader that shows a quarter of one tile of a level white."""

    def read(shift: int, box: Box) -> Pixels | None:
        pixels = other.read(shift, box)
        if pixels is None or shift != max_level - level or box[:2] != (0, 0):
            return pixels
        height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
        changed = pixels.copy()
        changed[:height, :width] = 255
        return changed

    return Other(other.name, read)


@pytest.mark.parametrize("levels_down", [0, 1, 4])
def test_difference_in_a_part_of_one_tile_is_wrong_and_says_where(
    services: Services, levels_down: int
) -> None:
    grid = services.slide_cache.slide(NUMBER).grid
    level = grid.max_level - levels_down
    changed = [whitened(other, level, grid.max_level) for other in readers(services)]
    found = verdict(grid, NUMBER, changed)
    assert found.result == "wrong"
    assert f"tile {level}/0_0" in found.words
    assert "OpenSlide" in found.words
    assert "tifffile" in found.words


def test_slide_that_no_other_reader_shows_is_not_called_right(services: Services) -> None:
    grid = services.slide_cache.slide(NUMBER).grid
    assert verdict(grid, NUMBER, [Other("blind", lambda _shift, _box: None)]).result == "unknown"
    assert verdict(grid, NUMBER, []).result == "unknown"


def test_one_of_a_programs_pictures_is_enough(services: Services) -> None:
    grid, (first, *_) = services.slide_cache.slide(NUMBER).grid, readers(services)
    inverse = Other(f"{first.name}, page 3", lambda shift, box: 255 - np.asarray(first.read(shift, box)))
    assert verdict(grid, NUMBER, [inverse, first]).result == "right"


def test_small_loss_is_no_difference_but_a_shift_of_colour_is() -> None:
    pixels = texture(256, 256)
    noisy = np.clip(pixels + np.random.default_rng(1).normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)
    assert grey_levels_apart(noisy, pixels, exact=True) == 0
    assert grey_levels_apart(pixels[..., ::-1], pixels, exact=False) > 0


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import os; os.abort()", "crash: SIGABRT"),
        ("import time; time.sleep(60)", "not finished after 0.5 s"),
        ("raise ValueError('no such thing')", "crash: status 1, ValueError: no such thing"),
        ("bytes(1 << 40)", "crash: status 1, MemoryError"),
        ("print(1)", None),
    ],
)
def test_end_of_a_process_is_told(program: str, words: str | None) -> None:
    bounds = Bounds(seconds=0.5 if "sleep" in program else 60.0, memory_mb=2048)
    assert run([sys.executable, "-c", program], bounds).trouble == words


def test_file_larger_than_the_bound_is_not_tried(tmp_path: Path) -> None:
    path = tmp_path / "a.svs"
    with path.open("wb") as file:
        file.truncate(2 << 20)
    assert try_file(path, "a.svs", Bounds(size_mb=1)).result == "not tried"


@pytest.mark.parametrize(
    ("results", "status"),
    [
        (("right", "refused", "unknown"), 0),
        (("right", "wrong"), 1),
        (("crash",), 1),
        (("too slow",), 1),
        ((), 0),
    ],
)
def test_status_tells_wrong_pictures_and_crashes(
    results: tuple[str, ...], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [Tried("a.svs", 1, result, "a | b\nc", 1.0) for result in results]
    assert summarize(rows) == status
    assert capsys.readouterr().err
    assert [line for line in table(rows) if "a.svs" in line] == [
        f"| a.svs | 1 | {result} | a \\| b c | 1.0 |" for result in results
    ]


def test_slide_of_other_dimensions_is_not_compared(tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(600, 500))
    assert others(path, (600, 500))
    assert others(path, (500, 600)) == []
