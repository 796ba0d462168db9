"""Small slides that tests write: Aperio's layout with what real archives contain and the sample does not.

Everything is written with tifffile, imagecodecs, simplejpeg and Pillow, never with the code under test.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import imagecodecs
import numpy as np
import simplejpeg
import tifffile
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Chroma = Literal["rgb", "444", "422", "420", "gray"]

LIBRARY = "Aperio Image Library v11.2.1 \r\n"
TAGS = (
    "|AppMag = 20|ScanScope ID = SS1302|Date = 12/29/09|Time = 09:59:15|MPP = 0.4990|ImageID = 1004486"
    "|Filename = CMU-1"
)
JPEG2000_YCBCR, JPEG2000_RGB = 33003, 33005
_SUBSAMPLING = {"444": (1, 1), "422": (2, 1), "420": (2, 2)}


@dataclass(frozen=True)
class Plan:
    """What to write. Levels are rounded down, as Aperio does; ``codec`` is the TIFF compression of the levels."""

    width_px: int = 1027
    height_px: int = 773
    tile: int = 256
    chroma: Chroma = "rgb"
    codec: int = 7
    quality: int = 85
    downsamples: tuple[int, ...] = (1, 4)
    bigtiff: bool = False
    byteorder: Literal["<", ">"] = "<"
    description: str = f"{LIBRARY}1027x773 (256x256) JPEG/RGB Q=85{TAGS}"
    thumbnail: bool = True
    associated: Literal["aperio", "undescribed", "none"] = "aperio"
    icc: bytes | None = None
    lossy: bool = False  # JPEG 2000 only: the 9/7 wavelet, with the multiple component transform for RGB


@lru_cache(maxsize=16)
def texture(width_px: int, height_px: int, seed: int = 7) -> Pixels:
    """Paint clouds of three sizes on a gradient: no two places are equal, and JPEG compresses it well."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(-30, 30, width_px)[None, :, None] - np.linspace(-30, 30, height_px)[:, None, None]
    out = np.full((height_px, width_px, 3), 150.0) + slope * (1, -1, 0.5)
    for grain_px, strength in ((64, 90), (12, 60), (3, 30)):
        small = rng.random((height_px // grain_px + 3, width_px // grain_px + 3, 3))
        small = 0.7 * small.mean(axis=2, keepdims=True) + 0.3 * small  # as in tissue, less colour than light
        cloud = Image.fromarray((small * 255).astype(np.uint8)).resize(
            (width_px, height_px), Image.Resampling.BICUBIC
        )
        out += (np.asarray(cloud, np.float64) - 128) / 128 * strength
    return out.clip(0, 255).astype(np.uint8)


def write_slide(path: Path, plan: Plan = Plan(), image: Pixels | None = None) -> Path:
    """Write a slide in Aperio's page order: full size, thumbnail, smaller levels, label, macro."""
    path.write_bytes(_textured(plan) if image is None else _slide(plan, image))
    return path


@lru_cache(maxsize=64)
def _textured(plan: Plan) -> bytes:
    return _slide(plan, texture(plan.width_px, plan.height_px))


def _slide(plan: Plan, pixels: Pixels) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=plan.bigtiff, byteorder=plan.byteorder) as tiff:
        for index, downsample in enumerate(plan.downsamples):
            level = floor_reduced(pixels, downsample)
            description = plan.description if index == 0 else f"{LIBRARY}level 1/{downsample}"
            _write_level(tiff, plan, level, description)
            if index == 0 and plan.thumbnail:
                small = thumbnail_image(pixels)
                _write_strips(tiff, small, f"{LIBRARY}thumbnail -> {small.width}x{small.height}", 0)
        _write_associated(tiff, plan)
    return file.getvalue()


def floor_reduced(pixels: Pixels, downsample: int) -> Pixels:
    """Average blocks; incomplete blocks at the right and bottom are dropped."""
    height, width = (side // downsample for side in pixels.shape[:2])
    whole = pixels[: height * downsample, : width * downsample]
    blocks = whole.reshape(height, downsample, width, downsample, 3)
    return np.round(blocks.mean(axis=(1, 3))).astype(np.uint8)


def _write_associated(tiff: tifffile.TiffWriter, plan: Plan) -> None:
    if plan.associated == "none":
        return
    described = plan.associated == "aperio"
    label, macro = label_image(), macro_image()
    _write_strips(tiff, label, f"{LIBRARY}label {label.width}x{label.height}" if described else None, 1)
    _write_strips(tiff, macro, f"{LIBRARY}macro {macro.width}x{macro.height}" if described else None, 9)


def thumbnail_image(pixels: Pixels) -> Image.Image:
    """Reduce a slide to 256 pixels across."""
    height_px = max(1, round(256 * pixels.shape[0] / pixels.shape[1]))
    return Image.fromarray(pixels).resize((256, height_px), Image.Resampling.BOX)


def label_image() -> Image.Image:
    """Paint a label unlike every other picture."""
    return Image.fromarray(texture(120, 150, seed=1))


def macro_image() -> Image.Image:
    """Paint a macro unlike every other picture."""
    return Image.fromarray(texture(300, 100, seed=2))


def _write_strips(tiff: tifffile.TiffWriter, image: Image.Image, description: str | None, kind: int) -> None:
    tiff.write(
        np.asarray(image),
        photometric="rgb",
        compression="lzw",
        predictor=2,
        rowsperstrip=image.height,
        description=description,
        subfiletype=kind,
        metadata=None,
        software=False,
    )


def _write_level(tiff: tifffile.TiffWriter, plan: Plan, level: Pixels, description: str) -> None:
    if plan.codec == 7:
        coded = [
            split_tables(encode_tile(tile, plan.chroma, plan.quality)) for tile in tiles(level, plan.tile)
        ]
        blocks = [rest for _, rest in coded]
        extra: dict[str, Any] = {"jpegtables": coded[0][0]}
        if plan.chroma == "rgb":  # else tifffile writes photometric YCbCr, whatever the argument
            extra["compressionargs"] = {"outcolorspace": "rgb"}
    else:
        blocks = [_encode_jpeg2000(tile, plan) for tile in tiles(level, plan.tile)]
        extra = {}
    photometric, shape = ("minisblack", level.shape[:2]) if plan.chroma == "gray" else ("rgb", level.shape)
    if plan.chroma in _SUBSAMPLING:
        photometric, extra["subsampling"] = "ycbcr", _SUBSAMPLING[plan.chroma]
    tiff.write(
        iter(blocks),
        shape=shape,
        dtype="uint8",
        tile=(plan.tile, plan.tile),
        photometric=photometric,
        compression=plan.codec,
        description=description,
        subfiletype=0,
        metadata=None,
        software=False,
        iccprofile=plan.icc,
        **extra,
    )


def tiles(level: Pixels, size: int) -> Iterator[Pixels]:
    """Cut a level into whole tiles; the padding is grey, so that it is noticed in a picture."""
    height, width = level.shape[:2]
    padded = np.full((height + -height % size, width + -width % size, 3), 128, np.uint8)
    padded[:height, :width] = level
    for top in range(0, height, size):
        for left in range(0, width, size):
            yield np.ascontiguousarray(padded[top : top + size, left : left + size])


def encode_tile(tile: Pixels, chroma: Chroma, quality: int = 85) -> bytes:
    """Encode a complete JPEG; "rgb" as Aperio does: component ids 0, 1, 2 and no marker that declares RGB."""
    if chroma == "rgb":
        coded = imagecodecs.jpeg8_encode(
            tile, quality, colorspace="rgb", outcolorspace="rgb", subsampling="444"
        )
        return _as_aperio(coded)
    if chroma == "gray":
        grey: bytes = simplejpeg.encode_jpeg(
            np.ascontiguousarray(tile[..., :1]), quality, colorspace="GRAY", colorsubsampling="Gray"
        )
        return grey
    data: bytes = simplejpeg.encode_jpeg(tile, quality, colorsubsampling=chroma, fastdct=False)
    return data


def segments(jpeg: bytes) -> list[tuple[int, bytes]]:
    """Return a JPEG's header segments as (marker, whole segment), its scan as the last one."""
    found, at = [], 2
    while jpeg[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4])
        found.append((jpeg[at + 1], jpeg[at:end]))
        at = end
    return [*found, (0xDA, jpeg[at:])]


def joined(parts: list[tuple[int, bytes]]) -> bytes:
    """Join header segments to a JPEG."""
    return b"\xff\xd8" + b"".join(part for _, part in parts)


def _as_aperio(jpeg: bytes) -> bytes:
    """Drop the Adobe marker and number the components 0, 1, 2."""
    out = []
    for marker, part in segments(jpeg):
        data = bytearray(part)
        if marker == 0xC0:
            data[10:19:3] = bytes((0, 1, 2))
        if marker == 0xDA:
            data[5:11:2] = bytes((0, 1, 2))
        if not 0xE0 <= marker <= 0xEF:
            out.append((marker, bytes(data)))
    return joined(out)


def split_tables(jpeg: bytes) -> tuple[bytes, bytes]:
    """Split a JPEG into the tables that a TIFF's tiles share and the abbreviated stream."""
    parts = segments(jpeg)
    shared = [part for part in parts if part[0] in {0xC4, 0xDB}]
    own = [part for part in parts if part[0] not in {0xC4, 0xDB, 0xE0}]
    return joined(shared) + b"\xff\xd9", joined(own)


def _encode_jpeg2000(tile: Pixels, plan: Plan) -> bytes:
    if plan.codec == JPEG2000_YCBCR:
        tile = np.asarray(Image.fromarray(tile).convert("YCbCr"))
    mct, quality = plan.lossy and plan.codec == JPEG2000_RGB, 42 if plan.lossy else None
    data: bytes = imagecodecs.jpeg2k_encode(
        tile, quality, codecformat="j2k", mct=mct, reversible=not plan.lossy
    )
    return data


def tile_bytes(path: Path, page: int, index: int) -> bytes:
    """Return the stored bytes of a tile."""
    with tifffile.TiffFile(path) as tiff:
        found = tiff.pages[page]
        start, length = found.dataoffsets[index], found.databytecounts[index]
    return path.read_bytes()[start : start + length]


def patch_item(path: Path, page: int, tag: str, index: int, value: int) -> None:
    """Overwrite one number of a tag: a tile's offset, its byte count, an image's width."""
    with tifffile.TiffFile(path) as tiff:
        found = tiff.pages[page].tags[tag]
        order = tiff.byteorder
        at, size = found.valueoffset, {3: 2, 4: 4, 16: 8}[int(found.dtype)]
    patch(path, at + index * size, value.to_bytes(size, "little" if order == "<" else "big"))


def patch(path: Path, at: int, data: bytes) -> None:
    """Overwrite bytes of a file."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def replace_tile(path: Path, page: int, index: int, data: bytes) -> None:
    """Replace a tile by other bytes, at the end of the file."""
    end = path.stat().st_size
    with path.open("ab") as file:
        file.write(data)
    patch_item(path, page, "TileOffsets", index, end)
    patch_item(path, page, "TileByteCounts", index, len(data))


def damage_tables(path: Path, page: int, data: bytes) -> None:
    """Overwrite the beginning of a page's shared JPEG tables."""
    with tifffile.TiffFile(path) as tiff:
        at = tiff.pages[page].tags["JPEGTables"].valueoffset
    patch(path, at, data)
