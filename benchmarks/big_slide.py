"""Make a large Aperio-like slide from a real slide's own tiles, for benchmarks and growth tests."""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import tifffile

REAL_SLIDE = Path(__file__).resolve().parents[2] / "shared/data/CMU-1-Small-Region.svs"
DOWNSAMPLES = (1, 4, 16)


def write_big_slide(
    path: Path, source: Path = REAL_SLIDE, width_px: int = 46000, height_px: int = 32914
) -> None:
    """Write levels 1, 1/4 and 1/16 of the given size, each filled with the source's whole tiles in turn."""
    with tifffile.TiffFile(source) as tiff:
        page = tiff.pages.first
        tiles = _whole_tiles(tiff, page)
        tables, size, description = page.jpegtables, page.tilewidth, page.description
    with tifffile.TiffWriter(path, bigtiff=True) as out:
        for downsample in DOWNSAMPLES:
            width, height = width_px // downsample, height_px // downsample
            count = -(-width // size) * -(-height // size)
            out.write(
                _endless(tiles, count),
                shape=(height, width, 3),
                dtype="uint8",
                tile=(size, size),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"outcolorspace": "rgb"},
                jpegtables=tables,
                description=description if downsample == 1 else "Aperio Image Library",
                metadata=None,
                software=False,
            )


def _whole_tiles(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> list[bytes]:
    """Return the tiles that hold no padding."""
    columns, whole_rows = -(-page.imagewidth // page.tilewidth), page.imagelength // page.tilelength
    indices = [i for i in range(columns * whole_rows) if i % columns < columns - 1]
    spans = [(page.dataoffsets[i], page.databytecounts[i]) for i in indices]
    tiles = []
    for offset, length in spans:
        tiff.filehandle.seek(offset)
        tiles.append(tiff.filehandle.read(length))
    return tiles


def _endless(tiles: list[bytes], count: int) -> Iterator[bytes]:
    return itertools.islice(itertools.cycle(tiles), count)


if __name__ == "__main__":
    write_big_slide(Path(sys.argv[1]))
