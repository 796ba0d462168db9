"""Render the missing levels of a 46,000×32,914 slide, and run ``vips dzsave`` on the same file for comparison.

    .venv/bin/python -m benchmarks.pyramid [--small] [--no-vips]

The slide is made of a real slide's own tiles (levels 1, 1/4, 1/16; 1.5 gigapixels). Each program runs alone in a
process of its own on all cores; the figures are that process's. ``--small`` adds a slide of a quarter of the pixels,
to show how time and memory grow. ``vips`` is from Debian's libvips-tools.
"""

import argparse
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from vsv.pyramids.renderer import cores

from benchmarks.big_slide import REAL_SLIDE, write_big_slide
from benchmarks.measured import Cost, run

RENDER = """
import sys
from pathlib import Path
from vsv.pyramids.renderer import render_pyramid
from vsv.slides.slide import open_slide
nowhere = Path("nowhere")
print(render_pyramid(open_slide(Path(sys.argv[1]), nowhere, nowhere), Path(sys.argv[2])))
"""


def main() -> None:
    """Print the table."""
    options = _options()
    if not options.source.exists():
        sys.exit(f"no source slide at {options.source}: name one with --source")
    print(f"{platform.machine()}, {cores()} cores, Python {platform.python_version()}")
    print(f"{'':34}{'wall s':>8}{'CPU s':>8}{'peak MiB':>10}{'files':>8}{'MB':>8}")
    sizes = [(46000, 32914)] if not options.small else [(23000, 16457), (46000, 32914)]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for width_px, height_px in sizes:
            _compare(Path(folder), options.source, width_px, height_px, vips=not options.no_vips)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", type=Path, default=REAL_SLIDE, help="the slide whose tiles are used")
    parser.add_argument("--folder", type=Path, help="where to write; 1 GB is needed")
    parser.add_argument("--small", action="store_true", help="a quarter-size slide as well")
    parser.add_argument("--no-vips", action="store_true", help="without the peer")
    return parser.parse_args()


def _compare(folder: Path, source: Path, width_px: int, height_px: int, *, vips: bool) -> None:
    slide, pyramid, saved = folder / "big.svs", folder / "pyramid.tif", folder / "dzsave"
    write_big_slide(slide, source, width_px, height_px)
    _settle(slide)
    ours = run([sys.executable, "-c", RENDER, str(slide), str(pyramid)])
    _print(f"vsv {width_px}×{height_px}", ours, [pyramid])
    if not vips or shutil.which("vips") is None:
        print("  (no vips: install Debian's libvips-tools for the peer)" if vips else "")
        return
    peer = run(["vips", "dzsave", str(slide), str(saved), "--tile-size", "240", "--overlap", "0"])
    _print("vips dzsave", peer, [p for p in Path(f"{saved}_files").rglob("*") if p.is_file()])
    print(f"  dzsave takes {peer.wall_s / ours.wall_s:.1f} times as long\n")
    shutil.rmtree(f"{saved}_files")


def _settle(slide: Path) -> None:
    """Flush the slide to the disk and read it once, so that neither program's time includes the disk's."""
    os.sync()
    with slide.open("rb") as file:
        while file.read(1 << 24):
            pass


def _print(name: str, cost: Cost, files: list[Path]) -> None:
    size_mb = sum(path.stat().st_size for path in files) / 1e6
    print(
        f"{name:34}{cost.wall_s:8.1f}{cost.cpu_s:8.1f}{cost.peak_mib:10.0f}{len(files):8}{size_mb:8.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
