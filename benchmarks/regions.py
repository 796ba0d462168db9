"""Time regions drawn at any scale, and OpenSlide with Pillow in the same run: pixels out, nothing encoded.

    .venv/bin/python -m benchmarks.regions [--width 24000] [--rounds 7]

Each figure is the best of the rounds in milliseconds of the clock; the places differ from round to round, the same
for both. The peer reads the best of its levels for the scale and lets Pillow scale the rest, as OpenSlide's own
get_thumbnail does. The product is measured with the pyramid and without it, as in the minute after an import.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from openslide import OpenSlide
from PIL import Image
from vsv.rendering.draw import scale_view
from vsv.rendering.image_request import View
from vsv.slides.slide import Slide, open_slide

from benchmarks.big_slide import REAL_SLIDE, write_big_slide
from benchmarks.imported import imported
from vsv_local.composition import standalone
from vsv_local.sample.slide import write_sample_slide

# Side of the region at full resolution, and of the picture.
CASES = ((4096, 2048), (4096, 4096), (4096, 1500), (2048, 1024), (1024, 512), (512, 512), (8192, 1024))
BAR = 3.0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=24000, help="pixels of the slide that is made")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "slide.svs"
        if REAL_SLIDE.exists():
            write_big_slide(path, width_px=options.width, height_px=options.width * 7 // 10)
        else:
            write_sample_slide(path)
        image_id = imported(Path(folder) / "data", path, in_place=True)
        with standalone(Path(folder) / "data") as (services, _intake), OpenSlide(path) as peer:
            with_pyramid = services.slide_cache.slide(image_id)
            without = open_slide(path, Path(folder) / "none", with_pyramid.thumbnail)
            _table(with_pyramid, without, peer, options.rounds)


def _table(with_pyramid: Slide, without: Slide, peer: OpenSlide, rounds: int) -> None:
    print(f"{'region → picture':20}{'vsv ms':>10}{'no pyramid':>12}{'OpenSlide+Pillow':>18}{'ratios':>14}")
    for region_px, picture_px in CASES:
        if region_px >= min(peer.dimensions):
            continue
        views = list(_views(peer.dimensions, region_px, picture_px, rounds + 1))
        ours = _best_ms(lambda view: scale_view(with_pyramid, view), views)
        bare = _best_ms(lambda view: scale_view(without, view), views)
        theirs = _best_ms(lambda view: _read(peer, view), views)
        print(
            f"{f'{region_px}² → {picture_px}²':20}{ours:10.1f}{bare:12.1f}{theirs:18.1f}"
            f"{theirs / ours:8.1f}{theirs / bare:6.1f}"
        )
        if (region_px, picture_px) == CASES[0]:
            verdict = "holds" if theirs / bare >= BAR else "does not hold"
            print(f"  the bar, at most 1/{BAR:.0f} of the peer's time, {verdict} without a pyramid, too")


def _views(size_px: tuple[int, int], region_px: int, picture_px: int, count: int) -> Iterator[View]:
    """Yield places that do not begin at tiles, as people choose them."""
    for number in range(count):
        left = (number * 1237 + 101) % (size_px[0] - region_px)
        top = (number * 911 + 57) % (size_px[1] - region_px)
        yield View(left, top, region_px, region_px, picture_px, picture_px)


def _read(peer: OpenSlide, view: View) -> Image.Image:
    level = peer.get_best_level_for_downsample(view.width_l0 / view.width_px)
    factor = peer.level_downsamples[level]
    size = round(view.width_l0 / factor), round(view.height_l0 / factor)
    found = peer.read_region((view.left_l0, view.top_l0), level, size).convert("RGB")
    wanted = (view.width_px, view.height_px)
    return found if wanted == size else found.resize(wanted, Image.Resampling.BICUBIC)


def _best_ms(draw: Callable[[View], object], views: list[View]) -> float:
    times = []
    for view in views:
        start = time.perf_counter()
        draw(view)
        times.append(time.perf_counter() - start)
    return min(times[1:]) * 1000  # the first time includes warming up


if __name__ == "__main__":
    main()
