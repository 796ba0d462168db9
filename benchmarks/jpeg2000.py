"""Render the pyramid of an Aperio JPEG 2000 slide, and time programs that only decode it and ``vips dzsave``.

    .venv/bin/python -m benchmarks.jpeg2000 [--big] [--rounds N] [--quality DB] [--slides FOLDER]

The slides are made of a real slide's pixels: levels 1, 1/4 and 1/16 of 256-pixel tiles; compression 33005 (RGB,
transformed, 9/7) by imagecodecs, and 33003 (YCbCr, 4:2:2) by Debian's libopenjp2-tools where that is installed. Every
program runs in a process of its own on all cores, one after the other, in rounds; the best of each counts, start of
Python included for all. ``decode only`` is imagecodecs, every tile of all levels on a pool of threads. vsv uses the
OpenJPEG of imagecodecs, a development package, where that is installed; another line then shows vsv with Pillow's.
``vips`` reads such slides through OpenSlide.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from vsv.pyramids.renderer import cores

from benchmarks.big_slide import REAL_SLIDE
from benchmarks.measured import Cost, run

DOWNSAMPLES = (1, 4, 16)
YCBCR, RGB = 33003, 33005
MAX_AGAINST_DECODING, MAX_AGAINST_VIPS = 1.3, 0.4

DECODE = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
import imagecodecs
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import read_pages
from vsv.formats.tile_offsets import TileSpans
file = OpenFile(__import__("pathlib").Path(sys.argv[1]))
def decode(place):
    spans, index = place
    offset, length = spans.span(index)
    imagecodecs.jpeg2k_decode(file.read(offset, length))
pages = [page for page in read_pages(file) if page.is_tiled]
places = [(spans, i) for p in pages for spans in [TileSpans(file, p)] for i in range(p.columns * p.rows)]
with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
    for _ in pool.map(decode, places):
        pass
"""
RENDER = """
import sys
from pathlib import Path
from vsv.formats import openjpeg
if sys.argv[3] == "pillow":
    openjpeg.PACKAGES = ("PIL",)
from vsv.pyramids.renderer import render_pyramid
from vsv.slides.slide import open_slide
nowhere = Path("nowhere")
render_pyramid(open_slide(Path(sys.argv[1]), nowhere, nowhere), Path(sys.argv[2]))
"""
READ = """
import sys
from openslide import OpenSlide
with OpenSlide(sys.argv[1]) as slide:
    for level, (width, height) in enumerate(slide.level_dimensions):
        for top in range(0, height, 1024):
            for left in range(0, width, 1024):
                step = round(slide.level_downsamples[level])
                size = min(1024, width - left), min(1024, height - top)
                slide.read_region((left * step, top * step), level, size)
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of slide: its compression, and its name in the table."""

    codec: int
    name: str


def main() -> None:
    """Print a table for each kind of slide."""
    options = _options()
    if not options.source.exists():
        sys.exit(f"no source slide at {options.source}: name one with --source")
    side_px = 16384 if options.big else 4096
    print(
        f"{platform.machine()}, {cores()} cores, Python {platform.python_version()}, {side_px}×{side_px} pixels"
    )
    kinds = [Kind(RGB, "33005, RGB")]
    if shutil.which("opj_compress"):
        kinds.append(Kind(YCBCR, "33003, YCbCr 4:2:2"))
    else:
        print("(no opj_compress: install Debian's libopenjp2-tools for the YCbCr slide)")
    for kind in kinds:
        if options.only not in {None, kind.codec}:
            continue
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            _compare(Path(folder), kind, side_px, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", type=Path, default=REAL_SLIDE, help="the slide whose pixels are used")
    parser.add_argument("--folder", type=Path, help="where to write; --big needs 1 GB")
    parser.add_argument("--slides", type=Path, help="where to keep the slides, which are then made but once")
    parser.add_argument("--only", type=int, choices=(RGB, YCBCR), help="one kind of slide alone")
    parser.add_argument("--big", action="store_true", help="16,384 pixels a side, not 4,096")
    parser.add_argument("--rounds", type=int, default=5, help="how often each program runs")
    parser.add_argument("--quality", type=float, default=31, help="of the slide, in decibels")
    return parser.parse_args()


def _compare(folder: Path, kind: Kind, side_px: int, options: argparse.Namespace) -> None:
    numbers = [str(number) for number in (side_px, kind.codec, options.quality)]
    slide = (options.slides or folder) / f"{'-'.join(numbers)}.svs"
    if not slide.exists():
        # In a separate process: a child's peak memory starts at its parent's.
        command = [
            sys.executable,
            "-m",
            "benchmarks.jpeg2000_slide",
            str(slide),
            str(options.source),
            *numbers,
        ]
        subprocess.run(command, check=True)
    pixels = sum((side_px // downsample) ** 2 for downsample in DOWNSAMPLES)
    print(f"\n{kind.name}, {8 * slide.stat().st_size / pixels:.2f} bits a pixel")
    best: dict[str, Cost] = {}
    for _ in range(options.rounds):
        for name, command in _commands(slide, folder).items():
            # As vsv sets it for itself: no program is slowed by threads of OpenBLAS, which numpy brings.
            cost = run(command, {**os.environ, "OPENBLAS_NUM_THREADS": "1"})
            if name not in best or cost.wall_s < best[name].wall_s:
                best[name] = cost
            shutil.rmtree(folder / "dzsave_files", ignore_errors=True)
    _print(best)


def _commands(slide: Path, folder: Path) -> dict[str, list[str]]:
    python, pyramid = [sys.executable, "-c"], str(folder / "pyramid.tif")
    commands = {
        "start of Python": [*python, "import imagecodecs, vsv.pyramids.renderer, vsv.slides.slide"],
        "imagecodecs, decode only": [*python, DECODE, str(slide)],
        "vsv": [*python, RENDER, str(slide), pyramid, "any"],
        "vsv, Pillow's OpenJPEG": [*python, RENDER, str(slide), pyramid, "pillow"],
        "OpenSlide, read only": [*python, READ, str(slide)],
    }
    if shutil.which("vips"):
        commands["vips dzsave"] = ["vips", "dzsave", str(slide), str(folder / "dzsave"), "--overlap", "0"]
    return commands


def _print(best: dict[str, Cost]) -> None:
    print(f"{'':28}{'wall s':>8}{'CPU s':>8}{'peak MiB':>10}{'÷ decoding':>12}{'÷ dzsave':>10}")
    decoding, saving = best["imagecodecs, decode only"], best.get("vips dzsave")
    for name, cost in best.items():
        against = f"{cost.wall_s / saving.wall_s:10.2f}" if saving else ""
        ratio = cost.wall_s / decoding.wall_s
        print(
            f"{name:28}{cost.wall_s:8.2f}{cost.cpu_s:8.2f}{cost.peak_mib:10.0f}{ratio:12.2f}{against}",
            flush=True,
        )
    print(f"  bars for vsv: {MAX_AGAINST_DECODING} of decoding, {MAX_AGAINST_VIPS} of dzsave")


if __name__ == "__main__":
    main()
