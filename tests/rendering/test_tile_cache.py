"""Drawn tiles are drawn once, within bounds, and never mistaken for another file's."""

import os
from pathlib import Path

from vsv.rendering.tile_cache import DrawnTiles
from vsv.rendering.tiles import render_tile
from vsv.slides.slide_cache import SlideCache
from vsv.storage.slide_files import SlideFiles

from tests.support.slides.aperio import texture, write_slide


def test_tile_cache_draws_tile_once_and_evicts_the_oldest() -> None:
    tiles, drawn = DrawnTiles(most_bytes=10), []

    def ask(key: str, size: int = 4) -> bytes:
        return tiles.get(key, lambda: drawn.append(key) or key.encode() * size)

    assert [ask("a"), ask("b"), ask("a"), ask("c"), ask("a"), ask("b")] == [
        b"aaaa", b"bbbb", b"aaaa", b"cccc", b"aaaa", b"bbbb",
    ]  # fmt: skip
    assert drawn == ["a", "b", "c", "b"]
    assert ask("d", 11) == ask("d", 11) == b"d" * 11  # too large to be kept, and pushes nothing out
    assert ask("b") == b"bbbb"
    assert drawn == ["a", "b", "c", "b", "d", "d"]


def test_tile_of_changed_slide_is_drawn_again(tmp_path: Path) -> None:
    files = SlideFiles(tmp_path)
    path = files.slide("1")
    path.parent.mkdir(parents=True)
    write_slide(path)
    slide = SlideCache(files).slide("1")
    edge = slide.max_level, slide.grid.tile_counts(slide.max_level)[0] - 1, 0
    first = render_tile(slide, *edge, "jpeg")
    assert render_tile(slide, *edge, "jpeg") == first
    write_slide(path, image=255 - texture(slide.grid.width_px, slide.grid.height_px))
    os.utime(path, (1, 1))
    assert render_tile(SlideCache(files).slide("1"), *edge, "jpeg") != first
