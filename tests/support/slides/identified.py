"""Slides with secrets in every place that can hold one; written without the code under test."""

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from PIL import Image, ImageCms

from tests.support.slides.aperio import (
    Pixels,
    Plan,
    _encode_jpeg2000,
    encode_tile,
    floor_reduced,
    split_tables,
    texture,
    thumbnail_image,
    tiles,
)

LIBRARY = "Aperio Image Library v11.2.1"
GT450 = "Aperio Leica Biosystems GT450 v1.0.1"
SIDE_X, SIDE_Y, TILE = 1100, 800, 256
# Every secret by its place. Each is a different word, so that a test shows where a leak comes from.
SECRETS = {
    "User": "mustermann-user",
    "Filename": "S12-34567-A1",
    "Title": "Erika Mustermann",
    "Date": "12/29/09",
    "Time": "09:59:15",
    "ScanScope ID": "SS1302XYZ",
    "ImageID": "1004486",
    "Barcode": "S12-34567-A1-B",
    "tag 315": "artist Mustermann",
    "tag 306": "2009:12:29 09:59:15",
    "tag 305": "Scan Console of Mustermann",
    "tag 316": "host-mustermann",
    "tag 269": "document-mustermann",
    "tag 32781": "image-id-mustermann",
    "tag 65000": "private-mustermann",
    "tag 700": "xmp-mustermann",
    "tag 33723": "iptc-mustermann",
}
ICC_SECRET = "Profile of scanner 4711-mustermann"


@dataclass(frozen=True)
class Secret:
    """What to write, and how."""

    codec: int = 7
    bigtiff: bool = False
    byteorder: Literal["<", ">"] = "<"
    gt450: bool = False
    icc: bytes | None = None
    thumbnail: bool = True
    spoil: Callable[[bytes], bytes] = field(default=lambda tile: tile)
    fields: str = ""


def description(plan: Secret) -> str:
    """Return a first page's description, with a secret under every key that may identify somebody."""
    told = "".join(f"|{key} = {text}" for key, text in SECRETS.items() if not key.startswith("tag "))
    library, how = (GT450, "JPEG/YCC Q=91") if plan.gt450 else (LIBRARY, "JPEG/RGB Q=70")
    return (
        f"{library} \r\n{SIDE_X}x{SIDE_Y} [0,0 {SIDE_X}x{SIDE_Y}] ({TILE}x{TILE}) {how}"
        f"|AppMag = 20|MPP = 0.4990|StripeWidth = 2040|Filtered = 5|OriginalWidth = {SIDE_X}{told}{plan.fields}"
    )


def write_identified(path: Path, plan: Secret = Secret()) -> Path:
    """Write full size, thumbnail, a smaller level, label and macro."""
    pixels = texture(SIDE_X, SIDE_Y)
    with tifffile.TiffWriter(path, bigtiff=plan.bigtiff, byteorder=plan.byteorder) as tiff:
        _write_level(tiff, plan, pixels, description(plan))
        if plan.thumbnail:
            small = np.asarray(thumbnail_image(pixels))
            _write_strips(tiff, small, description(plan).replace("|", " -> 256x186 - |", 1), 0, plan)
        _write_level(tiff, plan, floor_reduced(pixels, 4), description(plan))
        macro = Image.fromarray(texture(300, 100, seed=2))
        described = not plan.gt450
        label = np.full(
            (150, 120, 3), 255, np.uint8
        )  # mostly white: in noise the barcode reader searches until its time limit
        label[:20] = texture(120, 20, seed=1)
        _write_lzw(tiff, label, f"{LIBRARY} \r\nlabel 120x150" if described else None, 1)
        _write_strips(tiff, np.asarray(macro), f"{LIBRARY} \r\nmacro 300x100" if described else None, 9, plan)
    return path


def _extra() -> list[tuple[int, int, int, Any, bool]]:
    tags = [(int(key[4:]), text) for key, text in SECRETS.items() if key.startswith("tag ")]
    ascii_tags = [
        (tag, 2, len(text) + 1, text, True) for tag, text in tags if tag not in {305, 306, 700, 33723}
    ]
    data = [(tag, text.encode()) for tag, text in tags if tag in {700, 33723}]
    return [*ascii_tags, *((tag, 1, len(text), text, True) for tag, text in data)]


def _write_level(tiff: tifffile.TiffWriter, plan: Secret, level: Pixels, text: str) -> None:
    extra: dict[str, Any] = {}
    photometric = "rgb"
    if plan.codec == 7:
        chroma: Literal["rgb", "422"] = "422" if plan.gt450 else "rgb"
        coded = [split_tables(encode_tile(tile, chroma, 70)) for tile in tiles(level, TILE)]
        blocks = [rest for _, rest in coded]
        extra["jpegtables"] = coded[0][0]
        if plan.gt450:
            photometric, extra["subsampling"] = "ycbcr", (2, 1)
        else:
            extra["compressionargs"] = {"outcolorspace": "rgb"}
    else:
        blocks = [_encode_jpeg2000(tile, Plan(codec=plan.codec)) for tile in tiles(level, TILE)]
    tiff.write(
        iter([plan.spoil(block) for block in blocks]),
        shape=level.shape,
        dtype="uint8",
        tile=(TILE, TILE),
        photometric=photometric,
        compression=plan.codec,
        description=text,
        subfiletype=0,
        metadata=None,
        software=SECRETS["tag 305"],
        datetime=SECRETS["tag 306"],
        extratags=_extra(),
        iccprofile=plan.icc,
        resolution=(20040, 20040),
        resolutionunit="CENTIMETER",
        **extra,
    )


def _write_strips(
    tiff: tifffile.TiffWriter, image: Pixels, text: str | None, kind: int, plan: Secret
) -> None:
    rows = 16
    strips = [np.ascontiguousarray(image[top : top + rows]) for top in range(0, image.shape[0], rows)]
    coded = [split_tables(encode_tile(strip, "rgb", 80)) for strip in strips]
    tiff.write(
        iter([rest for _, rest in coded]),
        shape=image.shape,
        dtype="uint8",
        rowsperstrip=rows,
        photometric="rgb",
        compression=7,
        jpegtables=coded[0][0],
        compressionargs={"outcolorspace": "rgb"},
        description=text,
        subfiletype=kind,
        metadata=None,
        software=False,
        iccprofile=plan.icc,
        extratags=_extra() if kind == 0 else [],
    )


def _write_lzw(tiff: tifffile.TiffWriter, image: Pixels, text: str | None, kind: int) -> None:
    tiff.write(
        image,
        photometric="rgb",
        compression="lzw",
        predictor=2,
        rowsperstrip=10,
        description=text,
        subfiletype=kind,
        metadata=None,
        software=False,
    )


def icc_profile() -> bytes:
    """Return sRGB as littlecms writes it, with a secret in place of its name."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    at = profile.index("sRGB built-in".encode("utf-16-be"))
    coded = ICC_SECRET[:13].encode("utf-16-be")
    return profile[:at] + coded + profile[at + 26 :]


def all_secrets() -> Iterator[str]:
    """Yield every secret of such a slide."""
    yield from SECRETS.values()
    yield ICC_SECRET[:13]


def contains(data: bytes, secret: str) -> bool:
    """Return whether bytes contain a text, in any of its encodings and any case, by a plain search."""
    low = data.lower()
    ways = (secret.lower().encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be"))
    return any(way in low for way in ways)


def with_comment(tile: bytes, text: bytes) -> bytes:
    """Put a comment into a JPEG, as its first segment."""
    return tile[:2] + b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + tile[2:]


def with_exif(tile: bytes, text: bytes) -> bytes:
    """Put an Exif segment into a JPEG."""
    body = b"Exif\0\0" + text
    return tile[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + tile[2:]


def with_codestream_comment(tile: bytes, text: bytes) -> bytes:
    """Put a comment into a JPEG 2000 codestream, behind its first segment."""
    at = 4 + struct.unpack(">H", tile[4:6])[0]
    return tile[:at] + b"\xff\x64" + struct.pack(">HH", len(text) + 4, 1) + text + tile[at:]


def picture(size: tuple[int, int] = (64, 64)) -> bytes:
    """Return a complete small JPEG."""
    out = io.BytesIO()
    Image.fromarray(texture(*size)).save(out, "JPEG", quality=80)
    return out.getvalue()
