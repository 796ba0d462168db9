"""Time the warm tile handler, event in and base64 response out, and OpenSlide with Pillow on the same tiles.

    .venv/bin/python -m benchmarks.tiles [--rounds 5]

Each figure is the median of all tiles over all rounds, in milliseconds, on one thread. The peer is openslide-python's
DeepZoomGenerator with its tiles encoded by Pillow at quality 75, as its own server does.
"""

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from openslide import OpenSlide
from openslide.deepzoom import DeepZoomGenerator
from PIL import ImageCms
from serve_image.handler import lambda_handler as serve_image
from vsv.rendering import tiles
from vsv.rendering.tile_cache import DrawnTiles
from vsv.slides.slide_cache import SlideCache

from benchmarks.big_slide import REAL_SLIDE
from benchmarks.imported import imported
from benchmarks.profiled import write_profiled
from vsv_local.composition import standalone
from vsv_local.server.api_gateway_events import http_event

Address = tuple[int, int, int]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slide", type=Path, default=REAL_SLIDE)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    peer = DeepZoomGenerator(OpenSlide(options.slide), tile_size=240, overlap=0)
    with tempfile.TemporaryDirectory() as folder:
        image_id = imported(Path(folder), options.slide)
        with standalone(Path(folder)) as (services, _intake):
            print(f"{'':30}{'vsv ms':>10}{'OpenSlide+Pillow ms':>22}{'ratio':>8}")
            for name, level_dz, before in _cases(services.slide_cache, image_id):
                _compare(
                    name,
                    _tiles(services.slide_cache, image_id, level_dz),
                    image_id,
                    peer,
                    options.rounds,
                )
                before()
            _refusals(options.rounds)
    _converted(options.slide, options.rounds)


def _converted(slide: Path, rounds: int) -> None:
    """Time native tiles in sRGB, and OpenSlide's with the transform that its documentation shows."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_profiled(slide, Path(folder) / "profiled.svs")
        image_id = imported(Path(folder), path)
        with standalone(Path(folder)) as (services, _intake), OpenSlide(path) as opened:
            generator = DeepZoomGenerator(opened, tile_size=240, overlap=0)
            assert opened.color_profile is not None
            intent = ImageCms.Intent(ImageCms.getDefaultIntent(opened.color_profile))
            transform = ImageCms.buildTransform(
                opened.color_profile, ImageCms.createProfile("sRGB"), "RGB", "RGB", intent
            )
            tiles = _tiles(services.slide_cache, image_id, services.slide_cache.slide(image_id).max_level)
            ours = _median_ms(lambda address: _serve(image_id, address, "icc=srgb"), tiles, rounds)
            theirs = _median_ms(lambda address: _peer_converted(generator, transform, address), tiles, rounds)
            print(f"{'native tile in sRGB':30}{ours:10.3f}{theirs:22.3f}{theirs / ours:8.1f}")


def _peer_converted(peer: DeepZoomGenerator, transform: ImageCms.ImageCmsTransform, address: Address) -> None:
    level_dz, col, row = address
    tile = peer.get_tile(level_dz, (col, row))
    ImageCms.applyTransform(tile, transform, inPlace=True)
    tile.save(io.BytesIO(), "JPEG", quality=75)


def _refusals(rounds: int) -> None:
    """Time the refusal of hostile addresses, the whole handler included."""
    addresses = [
        "/DeepZoom/../../etc/passwd.dzi",
        "/DeepZoom/1004486_files/12/-1_0.jpeg",
        "/DeepZoom/" + "x" * 4000,
    ]
    for address in addresses:
        event = http_event("GET", address, "", ())
        assert serve_image(event, None)["statusCode"] in {400, 404}
        cost_ms = _median_ms(lambda _tile, event=event: serve_image(event, None), [(0, 0, 0)] * 100, rounds)
        print(f"refused {address[:34]:36}{cost_ms * 1000:8.1f} µs")


def _cases(library: SlideCache, image_id: str) -> list[tuple[str, int, Callable[[], None]]]:
    """Return the cases to time: a name, a level, and an action afterwards. The pyramid is before on-demand tiles."""
    top = library.slide(image_id).max_level

    def remove_pyramid() -> None:
        tiles._drawn = DrawnTiles(most_bytes=0)  # no cache, so that tiles drawn on demand are drawn each time
        library.files.pyramid(image_id).unlink()
        library.forget(image_id)

    return [
        ("native tile", top, lambda: None),
        ("skipped level, pyramid", top - 1, remove_pyramid),
        ("skipped level, on demand", top - 1, lambda: None),
        ("two levels down, on demand", top - 2, lambda: None),
    ]


def _tiles(library: SlideCache, image_id: str, level_dz: int) -> list[Address]:
    """Return the whole tiles of a level: the cropped ones at its edges are few on a real slide."""
    width_px, height_px = library.slide(image_id).grid.level_size(level_dz)
    size = library.slide(image_id).grid.tile_size
    return [(level_dz, col, row) for col in range(width_px // size) for row in range(height_px // size)]


def _compare(name: str, tiles: list[Address], image_id: str, peer: DeepZoomGenerator, rounds: int) -> None:
    ours = _median_ms(lambda address: _serve(image_id, address), tiles, rounds)
    theirs = _median_ms(lambda address: _peer_tile(peer, address), tiles, rounds)
    print(f"{name:30}{ours:10.3f}{theirs:22.3f}{theirs / ours:8.1f}")


def _serve(image_id: str, address: Address, query: str = "") -> None:
    level_dz, col, row = address
    event = http_event("GET", f"/DeepZoom/{image_id}_files/{level_dz}/{col}_{row}.jpeg", query, ())
    assert serve_image(event, None)["statusCode"] == 200


def _peer_tile(peer: DeepZoomGenerator, address: Address) -> None:
    level_dz, col, row = address
    peer.get_tile(level_dz, (col, row)).save(io.BytesIO(), "JPEG", quality=75)


def _median_ms(answer: Callable[[Address], None], tiles: list[Address], rounds: int) -> float:
    times = []
    for _ in range(rounds + 1):
        for address in tiles:
            start = time.perf_counter()
            answer(address)
            times.append(time.perf_counter() - start)
    return statistics.median(times[len(tiles) :]) * 1000  # the first round warms up


if __name__ == "__main__":
    main()
