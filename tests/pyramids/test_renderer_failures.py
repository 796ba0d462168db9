"""A pyramid appears whole or not at all, and costs a bounded memory, whatever fails while it is rendered."""

import errno
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from vsv.errors import UnavailableError
from vsv.formats.tiff_writer import TiffWriter
from vsv.pyramids import renderer
from vsv.pyramids.renderer import render_pyramid
from vsv.slides.slide import Slide
from vsv.storage import atomic_write

from tests.support.slides.aperio import Plan, write_slide
from tests.support.slides.opened import opened, tile


@pytest.fixture
def slide(tmp_path: Path) -> Slide:
    return opened(write_slide(tmp_path / "slide.svs", Plan(645, 523, tile=64)))


def names(slide: Slide) -> set[str]:
    return {path.name for path in slide.path.parent.iterdir()}


def refuse(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (TiffWriter, "__init__"),
        (TiffWriter, "write_page"),
        (TiffWriter, "_write_directory"),
        (atomic_write, "flush"),
        (Path, "replace"),
    ],
)
def test_full_disk_leaves_no_pyramid_or_partial_file(
    slide: Slide, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> None:
    path = slide.path.with_name("pyramid.tif")
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, refuse)
        with pytest.raises(UnavailableError, match="disk"):
            render_pyramid(slide, path, jobs=2)
    assert names(slide) == {"slide.svs"}
    render_pyramid(slide, path, jobs=2)
    assert names(slide) == {"slide.svs", "pyramid.tif"}


@pytest.mark.parametrize("after", [0, 5, 20])
def test_failing_tile_keeps_old_pyramid_and_leaves_no_partial_file(
    slide: Slide, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    path = slide.path.with_name("pyramid.tif")
    path.write_bytes(b"the old one")
    calls = iter(range(10**6))

    def failing(*_: object) -> bytes:
        if next(calls) >= after:
            raise RuntimeError("a bug")
        return original(*_)

    original = renderer._render_tile
    monkeypatch.setattr(renderer, "_render_tile", failing)
    with pytest.raises(RuntimeError):
        render_pyramid(slide, path, jobs=2)
    assert names(slide) == {"slide.svs", "pyramid.tif"}
    assert path.read_bytes() == b"the old one"


def test_pyramid_is_not_visible_while_rendering(slide: Slide) -> None:
    path = slide.path.with_name("pyramid.tif")
    seen: list[bool] = []
    render_pyramid(slide, path, jobs=1, progress=lambda *_: seen.append(path.exists()))
    assert seen
    assert not any(seen)


def test_pyramid_that_cannot_be_read_back_raises_unavailable(
    slide: Slide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renderer, "tiled_pages", lambda _: ())
    with pytest.raises(UnavailableError, match="read back"):
        render_pyramid(slide, slide.path.with_name("pyramid.tif"), jobs=1)
    assert names(slide) == {"slide.svs"}


def test_pyramid_of_another_slide_is_not_used(tmp_path: Path, slide: Slide) -> None:
    other = opened(write_slide(tmp_path / "other.svs", Plan(1293, 1051)))
    render_pyramid(other, tmp_path / "p.tif", jobs=2)
    assert set(opened(slide.path, tmp_path / "p.tif").levels) >= slide.native
    assert tile(opened(slide.path, tmp_path / "p.tif"), slide.max_level, 0, 0).shape == (64, 64, 3)


@pytest.mark.parametrize("data", [b"", b"II+\0", b"garbage" * 1000])
def test_damaged_pyramid_is_ignored(slide: Slide, data: bytes) -> None:
    path = slide.path.with_name("pyramid.tif")
    path.write_bytes(data)
    assert set(opened(slide.path, path).levels) == slide.native


def test_in_order_runs_a_bounded_number_of_tasks_ahead_of_the_writer() -> None:
    """However many tiles there are, what is rendered and not yet written stays bounded."""
    begun, most, lock = 0, 0, threading.Lock()

    def begin() -> list[bytes]:
        nonlocal begun
        with lock:
            begun += 1
        return [b""]

    with ThreadPoolExecutor(2) as pool:
        tasks: Iterator = (begin for _ in range(1000))
        for written, _ in enumerate(renderer._run_in_order(pool, tasks, ahead=4)):
            most = max(most, begun - written)
    assert begun == 1000
    assert most <= 4 + 1


def test_render_pyramid_splits_rows_into_tasks_of_bounded_size(
    slide: Slide, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    original = renderer._render_run
    monkeypatch.setattr(
        renderer,
        "_render_run",
        lambda slide, level_dz, row, cols: sizes.append(len(cols)) or original(slide, level_dz, row, cols),
    )
    monkeypatch.setattr(renderer, "TILES_A_TASK", 3)
    render_pyramid(replace(slide, levels={}, native=frozenset()), slide.path.with_name("p.tif"), jobs=1)
    assert max(sizes) == 3
