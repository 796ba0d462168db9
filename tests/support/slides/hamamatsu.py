"""Writer of small Hamamatsu slides of several files, as OpenSlide reads them (openslide-vendor-hamamatsu.c).

A VMS is a text that names JPEG files with restart markers, a VMU one that names uncompressed files (NGR).
"""

import io
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]

TILE = 64  # pixels between two restart markers


def write_vms(path: Path, pixels: Pixels, *, macro: Image.Image | None = None) -> Path:
    """Write a slide of two JPEG files side by side, a map, an optimisation file, maybe a macro; return ``path``."""
    stem, half = path.stem, pixels.shape[1] // 2
    path.parent.mkdir(parents=True, exist_ok=True)
    names = {
        "ImageFile": f"{stem}.jpg",
        "ImageFile(1,0)": f"{stem}(1,0).jpg",
        "MapFile": f"{stem}_map2.jpg",
        "OptimisationFile": f"{stem}.opt",
    }
    contents = {
        "ImageFile": _jpeg(pixels[:, :half]),
        "ImageFile(1,0)": _jpeg(pixels[:, half:]),
        "MapFile": _jpeg(np.ascontiguousarray(pixels[::4, ::4])),
        "OptimisationFile": b"",
    }
    if macro is not None:
        names["MacroImage"] = f"{stem}_macro.jpg"
        contents["MacroImage"] = _jpeg(np.asarray(macro.convert("RGB")))
    for key, name in names.items():
        (path.parent / name).write_bytes(contents[key])
    path.write_bytes(vms_text(names).encode())
    return path


def vms_text(names: dict[str, str], group: str = "Virtual Microscope Specimen") -> str:
    """Return the index of a slide of two columns whose files have these names."""
    lines = [f"[{group}]", "NoLayers=1", "NoJpegColumns=2", "NoJpegRows=1", "SourceLens=20"]
    return "\r\n".join([*lines, *(f"{key}={name}" for key, name in names.items()), ""])


def write_vmu(path: Path, pixels: Pixels) -> Path:
    """Write an uncompressed slide of 12 bits a sample; return ``path``."""
    names = {"ImageFile": f"{path.stem}_x.ngr", "MapFile": f"{path.stem}_map.ngr"}
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / names["ImageFile"]).write_bytes(_ngr(pixels))
    (path.parent / names["MapFile"]).write_bytes(_ngr(np.ascontiguousarray(pixels[::4, ::4])))
    lines = ["[Uncompressed Virtual Microscope Specimen]", "NoLayers=1", "BitsPerPixel=36", "PixelOrder=RGB"]
    path.write_text("\r\n".join([*lines, *(f"{key}={name}" for key, name in names.items()), ""]))
    return path


def _jpeg(pixels: Pixels) -> bytes:
    out = io.BytesIO()
    blocks = TILE // 8
    Image.fromarray(pixels).save(out, "JPEG", quality=95, subsampling=0, restart_marker_blocks=blocks)
    return out.getvalue()


def _ngr(pixels: Pixels) -> bytes:
    """Return columns of 64 pixels, one after the other, each sample as 16 bits of which 12 are used."""
    height, width = pixels.shape[:2]
    columns = [pixels[:, left : left + TILE] for left in range(0, width, TILE)]
    body = b"".join((column.astype("<u2") << 4).tobytes() for column in columns)
    return b"GN\0\0" + struct.pack("<6i", width, height, TILE, 0, 0, 28) + body
