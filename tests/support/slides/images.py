"""Ordinary images of every accepted kind, written by Pillow and tifffile, and the pixels expected of each."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageCms

from tests.support.slides.aperio import Pixels, texture

SIZE = (700, 533)
PICTURE = texture(*SIZE)


def encoded(image: Image.Image, fmt: str, **more: Any) -> bytes:
    """Encode with Pillow."""
    out = io.BytesIO()
    image.save(out, fmt, **more)
    return out.getvalue()


def tiff(pixels: Any, **more: Any) -> bytes:
    """Write a TIFF in strips, which OpenSlide refuses."""
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, rowsperstrip=50, metadata=None, **more)
    return out.getvalue()


def exif(orientation: int) -> Image.Exif:
    """Return EXIF data with an orientation."""
    found = Image.Exif()
    found[0x0112] = orientation
    return found


RGB = Image.fromarray(PICTURE)
GREY = RGB.convert("L")
FADED = RGB.copy()
FADED.putalpha(Image.fromarray(texture(*SIZE, seed=5)[..., 0]))
PALETTE = RGB.quantize(64)
SIXTEEN = (np.asarray(GREY).astype(np.uint16) * 257) ^ 1  # the last bit is noise
_ALPHA = np.asarray(FADED.getchannel("A")).astype(float)[..., None] / 255
OVER_WHITE: Pixels = np.round(PICTURE * _ALPHA + 255 * (1 - _ALPHA)).astype(np.uint8)
GREY_RGB: Pixels = np.asarray(GREY.convert("RGB"))


def palette_with_a_clear_colour() -> tuple[bytes, Pixels]:
    """Return a palette image whose colour 3 is transparent, and its expected pixels."""
    expected = np.asarray(PALETTE.convert("RGB")).copy()
    expected[np.asarray(PALETTE) == 3] = 255
    return encoded(PALETTE, "PNG", transparency=3), expected


def kinds() -> dict[str, tuple[bytes, Pixels]]:
    """Return files by what is special about them, each with its expected pixels."""
    jpeg, cmyk = encoded(RGB, "JPEG", quality=92), encoded(RGB.convert("CMYK"), "JPEG", quality=92)
    made = {
        "PNG": (encoded(RGB, "PNG"), PICTURE),
        "PNG with alpha": (encoded(FADED, "PNG"), OVER_WHITE),
        "PNG in grey": (encoded(GREY, "PNG"), GREY_RGB),
        "PNG in grey with alpha": (encoded(_grey_faded(), "PNG"), _over_white(_grey_faded())),
        "PNG of 16 bits": (encoded(Image.fromarray(SIXTEEN), "PNG"), GREY_RGB),
        "PNG with a palette": (encoded(PALETTE, "PNG"), np.asarray(PALETTE.convert("RGB"))),
        "PNG with a clear colour": palette_with_a_clear_colour(),
        "PNG of 1 bit": (encoded(GREY.convert("1"), "PNG"), np.asarray(GREY.convert("1").convert("RGB"))),
        "PNG interlaced by rows": (encoded(RGB, "PNG", compress_level=9), PICTURE),
        "JPEG": (jpeg, np.asarray(Image.open(io.BytesIO(jpeg)))),
        "JPEG in grey": (encoded(GREY, "JPEG", quality=95), GREY_RGB),
        "JPEG in CMYK": (cmyk, np.asarray(Image.open(io.BytesIO(cmyk)).convert("RGB"))),
        "TIFF": (tiff(PICTURE, photometric="rgb"), PICTURE),
        "TIFF with LZW": (tiff(PICTURE, photometric="rgb", compression="lzw", predictor=2), PICTURE),
        "TIFF in grey": (tiff(np.asarray(GREY)), GREY_RGB),
        "TIFF of 16 bits": (tiff(SIXTEEN), GREY_RGB),
        "TIFF with alpha": (
            tiff(np.asarray(FADED), photometric="rgb", extrasamples=["unassalpha"]),
            OVER_WHITE,
        ),
        "BigTIFF": (tiff(PICTURE, photometric="rgb", bigtiff=True), PICTURE),
        "one pixel": (encoded(RGB.resize((1, 1)), "PNG"), np.asarray(RGB.resize((1, 1)))),
        "a line": (encoded(RGB.resize((1000, 1)), "PNG"), np.asarray(RGB.resize((1000, 1)))),
    }
    for orientation in range(1, 9):
        turned = turned_by_exif(orientation)
        made[f"JPEG turned {orientation}"] = (
            encoded(RGB, "JPEG", quality=98, subsampling=0, exif=exif(orientation)),
            turned,
        )
    made["PNG turned"] = (encoded(RGB, "PNG", exif=exif(6)), turned_by_exif(6))
    made["TIFF turned"] = (
        tiff(PICTURE, photometric="rgb", extratags=[(274, 3, 1, 6, True)]),
        turned_by_exif(6),
    )
    return made


def turned_by_exif(orientation: int) -> Pixels:
    """Turn the picture as in EXIF 2.32, table 6: where the stored 0th row and column are displayed."""
    swapped = PICTURE.swapaxes(0, 1)
    return {
        1: PICTURE, 2: PICTURE[:, ::-1], 3: PICTURE[::-1, ::-1], 4: PICTURE[::-1],
        5: swapped, 6: swapped[:, ::-1], 7: swapped[::-1, ::-1], 8: swapped[::-1],
    }[orientation]  # fmt: skip


def _grey_faded() -> Image.Image:
    return Image.merge("LA", (GREY, FADED.getchannel("A")))


def _over_white(image: Image.Image) -> Pixels:
    flat = Image.new("RGB", image.size, "white")
    flat.paste(image.convert("RGB"), mask=image.getchannel("A"))
    return np.asarray(flat)


def png_of_size(width_px: int, height_px: int) -> bytes:
    """Write a PNG that declares a size but contains a few bytes of compressed data: a decompression bomb."""
    head = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1 << 20), 9)
    chunks = [(b"IHDR", head), (b"IDAT", data), (b"IEND", b"")]
    made = b"\x89PNG\r\n\x1a\n"
    for name, content in chunks:
        made += (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )
    return made


def srgb_of_littlecms() -> bytes:
    """Return littlecms's own profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
