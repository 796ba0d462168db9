"""Slides whose label is where a level or a thumbnail is expected; written with tifffile, from lossless sources."""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageDraw

from tests.support.slides.aperio import (
    LIBRARY,
    Pixels,
    encode_tile,
    floor_reduced,
    split_tables,
    texture,
    tiles,
)

SIDE, TILE = 800, 256
FIRST = (
    f"{LIBRARY}{SIDE}x{SIDE} [0,0 {SIDE}x{SIDE}] ({TILE}x{TILE}) JPEG/RGB Q=85"
    "|AppMag = 20|MPP = 0.4990|ImageID = 340001"
)


def label_pixels(width_px: int, height_px: int) -> Pixels:
    """Paint paper with lines of text."""
    image = Image.new("RGB", (width_px, height_px), (250, 248, 240))
    drawing = ImageDraw.Draw(image)
    for row, text in enumerate(("PATIENT NAME", "S23-00000-A1", "01 JAN 1950", "H&E")):
        drawing.text(
            (width_px // 12, height_px * (2 * row + 1) // 9), text, "black", font_size=height_px // 9
        )
    return np.asarray(image)


def tissue(side_px: int = SIDE) -> Pixels:
    """Paint full resolution: a round piece of tissue on glass."""
    y, x = np.mgrid[:side_px, :side_px] - side_px / 2
    is_tissue = (x**2 + y**2 < (0.4 * side_px) ** 2)[..., None]
    return np.where(is_tissue, texture(side_px, side_px), 242).astype(np.uint8)


def write_tiled(tiff: tifffile.TiffWriter, pixels: Pixels, description: str | None, kind: int = 0) -> None:
    """Write a page of JPEG tiles."""
    coded = [split_tables(encode_tile(tile, "rgb")) for tile in tiles(pixels, TILE)]
    _write(tiff, iter([rest for _, rest in coded]), pixels, coded[0][0], description, kind, tile=(TILE, TILE))


def write_small(tiff: tifffile.TiffWriter, pixels: Pixels, description: str | None, kind: int = 0) -> None:
    """Write a page of one JPEG strip."""
    tables, rest = split_tables(encode_tile(np.ascontiguousarray(pixels), "rgb"))
    _write(tiff, iter([rest]), pixels, tables, description, kind, rowsperstrip=pixels.shape[0])


def _write(
    tiff: tifffile.TiffWriter,
    blocks: Any,
    pixels: Pixels,
    tables: bytes,
    description: str | None,
    kind: int,
    **layout: Any,
) -> None:
    tiff.write(
        blocks,
        shape=pixels.shape,
        dtype="uint8",
        photometric="rgb",
        compression=7,
        compressionargs={"outcolorspace": "rgb"},
        jpegtables=tables,
        description=description,
        subfiletype=kind,
        metadata=None,
        software=False,
        **layout,
    )


def write_label_as_level(path: Path, description: str | None = None, factor: int = 2) -> Path:
    """Write a slide with a thumbnail, and a tiled label that has the size of a level, before the true level."""
    pixels = tissue()
    with tifffile.TiffWriter(path) as tiff:
        write_tiled(tiff, pixels, FIRST)
        write_small(tiff, floor_reduced(pixels, 4), f"{LIBRARY}{SIDE}x{SIDE} -> {SIDE // 4}x{SIDE // 4} - ")
        write_tiled(tiff, label_pixels(SIDE // factor, SIDE // factor), description, 1)
        write_tiled(
            tiff,
            floor_reduced(pixels, factor),
            f"{LIBRARY}{SIDE}x{SIDE} -> {SIDE // factor}x{SIDE // factor}",
        )
    return path


def write_label_as_second_page(path: Path) -> Path:
    """Write a slide whose second page, where a thumbnail is expected, is a label of the slide's proportions."""
    with tifffile.TiffWriter(path) as tiff:
        write_tiled(tiff, tissue(), FIRST)
        write_small(tiff, label_pixels(400, 400), None)
    return path


def write_thumbnail_as_label(path: Path) -> Path:
    """Write a slide whose thumbnail has a label's subfile type, and no description."""
    with tifffile.TiffWriter(path) as tiff:
        write_tiled(tiff, tissue(), FIRST)
        write_small(tiff, floor_reduced(tissue(), 2), None, 1)
    return path
