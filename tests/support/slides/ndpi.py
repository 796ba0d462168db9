"""Small NDPI slides as Hamamatsu's scanners write them, written byte by byte; larger than 4 GiB with a hole."""

import io
import struct
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests.support.slides.aperio import Pixels, floor_reduced, macro_image, texture

SIZE = 1293, 1051
FOUR_GIB = 1 << 32
PRODUCT = b"NanoZoomer\0"
TAGS = 12
_SHORT, _LONG, _SLONG, _FLOAT, _ASCII = 3, 4, 9, 11, 2


@dataclass(frozen=True)
class Layout:
    """Where the first picture begins, and how many bytes lie between a picture and its directory."""

    picture_at: int = 16
    gap: int = 0


# OpenSlide finds the high bits of an offset from its directory's offset: both ways to do so are among these.
LAYOUTS = {
    "small": Layout(),
    "all beyond 4 GiB": Layout(FOUR_GIB + 100_000),
    "directories beyond 4 GiB": Layout(1 << 20, FOUR_GIB - (1 << 20)),
    "all beyond 8 GiB": Layout(2 * FOUR_GIB + 16),
}


def write_ndpi(path: Path, layout: Layout = Layout()) -> Path:
    """Write two levels and a macro, each a picture that its directory follows; holes take no disk space."""
    pixels = texture(*SIZE)
    pictures = (pixels, 20.0, 90), (floor_reduced(pixels, 2), 10.0, 90), (macro_image(), -1.0, 80)
    at, link_at = layout.picture_at, 4
    with path.open("wb") as file:
        file.write(b"II*\0" + bytes(12))
        for index, (picture, lens, quality) in enumerate(pictures):
            jpeg = _jpeg(picture, quality)
            file.seek(at)
            file.write(jpeg)
            text_at = at + len(jpeg) + (layout.gap if index == 0 else 0)
            directory_at = text_at + len(PRODUCT) + 5
            file.seek(text_at)
            file.write(PRODUCT)
            file.seek(link_at)
            file.write(struct.pack("<Q", directory_at))
            file.seek(directory_at)
            height_px, width_px = (
                (picture.height, picture.width) if isinstance(picture, Image.Image) else picture.shape[:2]
            )
            body = _directory((width_px, height_px), (at, len(jpeg)), text_at, lens)
            file.write(body)
            link_at, at = directory_at + 2 + 12 * TAGS, directory_at + len(body) + 7
    return path


def _jpeg(picture: Pixels | Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(file, "JPEG", quality=quality, subsampling=0)
    return file.getvalue()


def _directory(size: tuple[int, int], picture: tuple[int, int], text_at: int, lens: float) -> bytes:
    """Return a directory of 12-byte entries, 8 bytes for the offset of the next one, and the values' high bits."""
    entries = [
        (256, _LONG, 1, size[0]), (257, _LONG, 1, size[1]), (259, _SHORT, 1, 7), (262, _SHORT, 1, 6),
        (272, _ASCII, len(PRODUCT), text_at), (273, _LONG, 1, picture[0]), (277, _SHORT, 1, 3),
        (278, _LONG, 1, size[1]), (279, _LONG, 1, picture[1]), (65420, _LONG, 1, 1),
        (65421, _FLOAT, 1, struct.unpack("<I", struct.pack("<f", lens))[0]), (65424, _SLONG, 1, 0),
    ]  # fmt: skip
    body = b"".join(struct.pack("<HHII", tag, kind, n, value & 0xFFFFFFFF) for tag, kind, n, value in entries)
    high = b"".join(struct.pack("<I", value >> 32) for *_, value in entries)
    return struct.pack("<H", len(entries)) + body + bytes(8) + high
