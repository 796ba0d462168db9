"""Slides that tests damage: tile by tile, level by level, or so that nothing can be decoded."""

from collections.abc import Callable
from pathlib import Path

import tifffile

from tests.support.slides.aperio import (
    JPEG2000_RGB,
    TAGS,
    Plan,
    damage_tables,
    joined,
    patch,
    patch_item,
    replace_tile,
    segments,
    texture,
    tile_bytes,
    write_slide,
)

# 6×5 tiles of 256 at full resolution, 2×2 at a quarter; page 1 is the thumbnail.
PLAN = Plan(1293, 1051)
FULL, REDUCED = 0, 2
COLUMNS, ROWS = 6, 5


def zeroed(path: Path, page: int, *indexes: int) -> Path:
    """Overwrite stored tiles with zeros, all of the page where none is named."""
    with tifffile.TiffFile(path) as tiff:
        places = list(zip(tiff.pages[page].dataoffsets, tiff.pages[page].databytecounts, strict=True))
    for at, length in [places[index] for index in indexes] if indexes else places:
        patch(path, at, bytes(length))
    return path


def with_broken_scan(path: Path, page: int, index: int) -> Path:
    """Overwrite the second half of a tile's coded pixels; its header and its end stay."""
    tile = tile_bytes(path, page, index)
    middle = len(tile) // 2
    replace_tile(path, page, index, tile[:middle] + b"\x55" * (len(tile) - middle - 2) + tile[-2:])
    return path


def without_tables(path: Path, page: int) -> Path:
    """Empty the JPEG tables that all tiles of a page share."""
    damage_tables(path, page, b"\xff\xd8\xff\xd9")
    return path


def without_own_table(path: Path, page: int, index: int) -> Path:
    """Let a tile name a quantization table that is nowhere in the file."""
    parts = [
        (marker, part[:12] + b"\x03" + part[13:] if marker == 0xC0 else part)
        for marker, part in segments(tile_bytes(path, page, index))
    ]
    replace_tile(path, page, index, joined(parts))
    return path


def without_ends(path: Path) -> Path:
    """Cut the end marker of each tile of full resolution."""
    for index in range(COLUMNS * ROWS):
        with tifffile.TiffFile(path) as tiff:
            length = tiff.pages[FULL].databytecounts[index]
        patch_item(path, FULL, "TileByteCounts", index, length - 2)
    return path


def emptied(path: Path) -> Path:
    """Let each tile of full resolution have no bytes."""
    for index in range(COLUMNS * ROWS):
        patch_item(path, FULL, "TileByteCounts", index, 0)
    return path


def tiled(path: Path, compression: str, description: str = f"Aperio Image{TAGS}") -> Path:
    """Write a slide of tiles that only OpenSlide decodes, with a level of a quarter."""
    pixels = texture(1293, 1051)
    with tifffile.TiffWriter(path) as tiff:
        for level in (pixels, pixels[::4, ::4]):
            tiff.write(
                level,
                tile=(256, 256),
                photometric="rgb",
                compression=compression,
                description=description,
                metadata=None,
                software=False,
            )
    return path


def floating(path: Path) -> Path:
    """Write an image of 32-bit floating point numbers."""
    tifffile.imwrite(
        path, texture(600, 500)[..., 0].astype("float32"), tile=(256, 256), compression="deflate"
    )
    return path


# By name: the file's name, what writes it, and what the reason says.
UNDECODABLE: dict[str, tuple[str, Callable[[Path], Path], str]] = {
    "zeros": ("a.svs", lambda path: zeroed(write_slide(path, PLAN), FULL), "scan the slide again"),
    "no end markers": ("a.svs", lambda path: without_ends(write_slide(path, PLAN)), "cut off"),
    "no tables": ("a.svs", lambda path: without_tables(write_slide(path, PLAN), FULL), "tables"),
    "empty": ("a.svs", lambda path: emptied(write_slide(path, PLAN)), "no pixels at full resolution"),
    "jpeg 2000": (
        "a.svs",
        lambda path: zeroed(write_slide(path, Plan(1293, 1051, codec=JPEG2000_RGB)), FULL),
        "scan the slide again",
    ),
    "deflate": ("a.svs", lambda path: zeroed(tiled(path, "deflate"), FULL), "scan the slide again"),
    "lzw": ("a.svs", lambda path: zeroed(tiled(path, "lzw"), FULL), "scan the slide again"),
    "floating point": ("a.tif", floating, "pixels of floating point are not shown: save it as RGB"),
}
