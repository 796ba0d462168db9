"""Make a JPEG 2000 slide as Aperio stores it, from a real slide's pixels, for ``benchmarks.jpeg2000``.

.venv/bin/python -m benchmarks.jpeg2000_slide TARGET SOURCE SIDE CODEC DECIBELS
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from openslide import OpenSlide
from PIL import Image

TILE = 256
DOWNSAMPLES = (1, 4, 16)
YCBCR, RGB = 33003, 33005


def write_slide(path: Path, source: Path, side_px: int, codec: int, quality: float) -> None:
    """Write levels of whole tiles, each filled with the source's pixels in turn."""
    with OpenSlide(source) as slide:
        picture = np.asarray(slide.read_region((0, 0), 0, slide.dimensions).convert("RGB"))
    tiles = [_encoded(tile, codec, quality) for tile in _tiles(picture)]
    with tifffile.TiffWriter(path, bigtiff=True) as out:
        for downsample in DOWNSAMPLES:
            side = side_px // downsample
            out.write(
                islice(cycle(tiles), (-(-side // TILE)) ** 2),
                shape=(side, side, 3),
                dtype="uint8",
                tile=(TILE, TILE),
                photometric="rgb",
                compression=codec,
                description="Aperio Image Library" if downsample > 1 else _description(side_px),
                metadata=None,
                software=False,
            )


def _description(side_px: int) -> str:
    return f"Aperio Image Library v11\r\n{side_px}x{side_px} ({TILE}x{TILE}) J2K|AppMag = 20|MPP = 0.4990"


def _tiles(picture: np.ndarray) -> Iterator[np.ndarray]:
    height, width = picture.shape[:2]
    for top in range(0, height - TILE + 1, TILE):
        for left in range(0, width - TILE + 1, TILE):
            yield np.ascontiguousarray(picture[top : top + TILE, left : left + TILE])


def _encoded(tile: np.ndarray, codec: int, quality: float) -> bytes:
    if codec == YCBCR:
        return _encoded_422(tile, quality)
    data: bytes = imagecodecs.jpeg2k_encode(
        tile, quality, codecformat="j2k", mct=True, reversible=False, resolutions=6
    )
    return data


def _encoded_422(tile: np.ndarray, quality: float) -> bytes:
    """Encode YCbCr with chroma of half the width, as in Aperio's 33003."""
    light, *chroma = (np.asarray(band) for band in Image.fromarray(tile).convert("YCbCr").split())
    halves = [np.round(band.reshape(TILE, TILE // 2, 2).mean(axis=2)).astype(np.uint8) for band in chroma]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tile.yuv").write_bytes(b"".join(band.tobytes() for band in (light, *halves)))
        command = ["opj_compress", "-i", "tile.yuv", "-o", "tile.j2k", "-I", "-n", "6", "-q", str(quality)]
        command += ["-F", f"{TILE},{TILE},3,8,u@1x1:2x1:2x1"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return (Path(folder) / "tile.j2k").read_bytes()


if __name__ == "__main__":
    target, source, side, codec, decibels = sys.argv[1:]
    write_slide(Path(target), Path(source), int(side), int(codec), float(decibels))
