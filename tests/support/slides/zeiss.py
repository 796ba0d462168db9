"""Writer of small Zeiss CZI slides, as OpenSlide reads them (openslide-vendor-zeiss.c): uncompressed BGR tiles."""

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

TILE = 256


def write_czi(path: Path, pixels: Pixels, *, label: Pixels | None = None) -> Path:
    """Write a slide of two levels, whose label is a file of the same kind within it; return ``path``."""
    attached = czi_bytes([(0, 0, 1, label)]) if label is not None else None
    halved = np.ascontiguousarray(pixels[::2, ::2])
    tiles = [
        (column, row, step, level[row // step :, column // step :][:TILE, :TILE])
        for step, level in ((1, pixels), (2, halved))
        for row in range(0, pixels.shape[0], TILE * step)
        for column in range(0, pixels.shape[1], TILE * step)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(czi_bytes(tiles, attached))
    return path


def czi_bytes(
    tiles: list[tuple[int, int, int, Pixels]],
    attached: bytes | None = None,
    claimed: tuple[int, int] | None = None,
) -> bytes:
    """Return a file of tiles: left, top, reduction and pixels of each; ``claimed`` is their size in the directory."""
    width = max(left + step * tile.shape[1] for left, _, step, tile in tiles)
    height = max(top + step * tile.shape[0] for _, top, step, tile in tiles)
    body, entries = bytearray(544), []
    for left, top, step, tile in tiles:
        size = claimed or (tile.shape[1], tile.shape[0])
        entries.append(_entry(left, top, step, size, len(body)))
        data = tile[:, :, ::-1].tobytes()
        head = struct.pack("<iiq", 0, 0, len(data)) + entries[-1]
        body += _segment(b"ZISRAWSUBBLOCK", head.ljust(256, b"\0") + data)
    directory = len(body)
    body += _segment(b"ZISRAWDIRECTORY", struct.pack("<i124x", len(entries)) + b"".join(entries))
    metadata = len(body)
    xml = _xml(width, height).encode()
    body += _segment(b"ZISRAWMETADATA", struct.pack("<ii248x", len(xml), 0) + xml)
    attachments = len(body)
    entry = b"A1".ljust(12, b"\0") + struct.pack("<qi16x8s80s", attachments + 1024, 0, b"CZI", b"Label")
    count = 0 if attached is None else 1
    body += _segment(b"ZISRAWATTDIR", struct.pack("<i252x", count) + entry * count)
    if attached is not None:
        body = body.ljust(attachments + 1024, b"\0")
        body += _segment(b"ZISRAWATTACH", struct.pack("<i12x", len(attached)) + entry + bytes(112) + attached)
    header = struct.pack("<iiii32xiqqiq", 1, 0, 0, 0, 0, directory, metadata, 0, attachments)
    first = _segment(b"ZISRAWFILE", header)
    body[: len(first)] = first
    return bytes(body)


def _segment(name: bytes, content: bytes) -> bytes:
    return name.ljust(16, b"\0") + struct.pack("<qq", len(content), len(content)) + content


def _entry(left: int, top: int, step: int, size: tuple[int, int], at: int) -> bytes:
    dimensions = [(b"X", left, size[0]), (b"Y", top, size[1])]
    head = b"DV" + struct.pack("<iqiibb4xi", 3, at, 0, 0, 0, 0, len(dimensions))
    return head + b"".join(
        struct.pack("<4siifi", name, start, length * step, 0.0, length) for name, start, length in dimensions
    )


def _xml(width: int, height: int) -> str:
    return (
        "<ImageDocument><Metadata><Information><Image>"
        f"<SizeX>{width}</SizeX><SizeY>{height}</SizeY></Image></Information><Scaling><Items>"
        '<Distance Id="X"><Value>2.5E-07</Value></Distance><Distance Id="Y"><Value>2.5E-07</Value></Distance>'
        "</Items></Scaling></Metadata></ImageDocument>"
    )
