"""Writer of small MRXS slides: an index file, and a folder of the same name with the pixels.

The format is written as OpenSlide reads it (openslide-vendor-mirax.c): pages of ``Index.dat`` point to pictures in
the data files, by level and position. Pixels are stored as PNG, so that what a reader shows can be compared exactly.
"""

import io
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]

SIDE = 256  # pixels of a stored picture
SLIDE_ID = "5F2B8C11D4A94E0CB7D0A1E6C3F49B72"


@dataclass(slots=True)
class _Data:
    """The data files: pictures go to one after the other, so that all are needed."""

    files: list[bytearray] = field(default_factory=lambda: [bytearray(b"\0" * 16) for _ in range(3)])
    _count: int = 0

    def add(self, content: bytes) -> tuple[int, int, int]:
        """Store a content; return its offset, length and file number."""
        number = self._count % len(self.files)
        self._count += 1
        offset = len(self.files[number])
        self.files[number] += content
        return offset, len(content), number


def write_mrxs(path: Path, pixels: Pixels, *, label: Image.Image | None = None, levels: int = 2) -> Path:
    """Write a slide of these pixels, whose sides are multiples of ``SIDE`` << (levels - 1); return ``path``."""
    folder, data = path.with_suffix(""), _Data()
    folder.mkdir(parents=True)
    rows, columns = pixels.shape[0] // SIDE, pixels.shape[1] // SIDE
    pages = [_level_page(pixels, level, columns, data) for level in range(levels)]
    pictures = [data.add(_jpeg(label))] if label is not None else []
    (folder / "Index.dat").write_bytes(_index(pages, pictures))
    for number, content in enumerate(data.files):
        (folder / f"Data{number:04d}.dat").write_bytes(content)
    text = _slidedat(rows, columns, levels, len(data.files), has_label=label is not None)
    (folder / "Slidedat.ini").write_bytes(text.encode("utf-8-sig"))
    path.write_bytes(_jpeg(Image.fromarray(pixels).resize((64, 64))))
    return path


def _level_page(pixels: Pixels, level: int, columns: int, data: _Data) -> bytes:
    step, entries = 1 << level, []
    reduced = _halved(pixels, level)
    for row in range(0, pixels.shape[0] // SIDE, step):
        for column in range(0, columns, step):
            top, left = row // step * SIDE, column // step * SIDE
            picture = Image.fromarray(reduced[top : top + SIDE, left : left + SIDE])
            out = io.BytesIO()
            picture.save(out, "PNG")
            entries.append(struct.pack("<4i", row * columns + column, *data.add(out.getvalue())))
    return struct.pack("<2i", len(entries), 0) + b"".join(entries)


def _halved(pixels: Pixels, times: int) -> Pixels:
    for _ in range(times):
        height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
        pixels = pixels.reshape(height, 2, width, 2, 3).mean((1, 3)).astype(np.uint8)
    return pixels


def _index(pages: list[bytes], pictures: list[tuple[int, int, int]]) -> bytes:
    """Return ``Index.dat``: two roots, each of pointers to a record, which points to its page."""
    head = f"01.02{SLIDE_ID}".encode()
    records = [*pages, *(struct.pack("<7i", 1, 0, 0, 0, at, size, number) for at, size, number in pictures)]
    roots = len(head)
    pointers = roots + 8
    entries = pointers + 4 * len(records)
    place = entries + 8 * len(records)
    body = b""
    starts = []
    for record in records:
        starts.append(place + len(body))
        body += record
    first = [pointers, pointers + 4 * len(pages)]
    to_entries = [entries + 8 * number for number in range(len(records))]
    return (
        head
        + struct.pack("<2i", *first)
        + struct.pack(f"<{len(records)}i", *to_entries)
        + b"".join(struct.pack("<2i", 0, start) for start in starts)
        + body
    )


def _slidedat(rows: int, columns: int, levels: int, files: int, *, has_label: bool) -> str:
    lines = [
        "[GENERAL]",
        "SLIDE_VERSION = 01.02",
        f"SLIDE_ID = {SLIDE_ID}",
        f"IMAGENUMBER_X = {columns}",
        f"IMAGENUMBER_Y = {rows}",
        "OBJECTIVE_MAGNIFICATION = 20",
        "[HIERARCHICAL]",
        "HIER_COUNT = 1",
        f"NONHIER_COUNT = {1 if has_label else 0}",
        "INDEXFILE = Index.dat",
        "HIER_0_NAME = Slide zoom level",
        f"HIER_0_COUNT = {levels}",
        *(f"HIER_0_VAL_{level}_SECTION = LAYER_0_LEVEL_{level}_SECTION" for level in range(levels)),
    ]
    if has_label:
        lines += [
            "NONHIER_0_NAME = Scan data layer",
            "NONHIER_0_COUNT = 1",
            "NONHIER_0_VAL_0 = ScanDataLayer_SlideBarcode",
            "NONHIER_0_VAL_0_SECTION = LABEL_SECTION",
            "[LABEL_SECTION]",
            "BARCODE_IMAGE_TYPE = JPEG",
        ]
    lines += ["[DATAFILE]", f"FILE_COUNT = {files}"]
    lines += [f"FILE_{number} = Data{number:04d}.dat" for number in range(files)]
    for level in range(levels):
        lines += _level_section(level)
    return "\r\n".join([*lines, ""])


def _level_section(level: int) -> list[str]:
    return [
        f"[LAYER_0_LEVEL_{level}_SECTION]",
        "OVERLAP_X = 0.000000",
        "OVERLAP_Y = 0.000000",
        f"MICROMETER_PER_PIXEL_X = {0.5 * (1 << level)}",
        f"MICROMETER_PER_PIXEL_Y = {0.5 * (1 << level)}",
        "IMAGE_FORMAT = PNG",
        "IMAGE_FILL_COLOR_BGR = 16777215",
        f"DIGITIZER_WIDTH = {SIDE}",
        f"DIGITIZER_HEIGHT = {SIDE}",
        f"IMAGE_CONCAT_FACTOR = {0 if level == 0 else 1}",
    ]


def _jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.convert("RGB").save(out, "JPEG", quality=92, subsampling=0)
    return out.getvalue()
