"""ICC profiles that tests write, and the colours that they stand for, computed without colour management.

Sources: ICC.1:2001-04 (version 2 profiles: header, tags, curveType, lut16Type); IEC 61966-2-1 (sRGB).
"""

import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tests.support.slides.aperio import Pixels

Floats = NDArray[np.float64]

D50 = np.array([0.9642, 1.0, 0.8249])
D65_XY = (0.3127, 0.3290)
ADOBE_PRIMARIES = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
SRGB_PRIMARIES = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE_GAMMA = 563 / 256
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
INTENTS = ("perceptual", "relative", "saturation", "absolute")


def _xyz(x: float, y: float) -> Floats:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def to_d50(primaries: tuple[tuple[float, float], ...]) -> Floats:
    """Return the matrix from linear RGB with white D65 to XYZ, adapted to D50 by the Bradford transform."""
    columns = np.stack([_xyz(*primary) for primary in primaries], axis=1)
    white = _xyz(*D65_XY)
    matrix = columns * np.linalg.solve(columns, white)
    gain = (BRADFORD @ D50) / (BRADFORD @ white)
    adapt: Floats = np.linalg.inv(BRADFORD) @ np.diag(gain) @ BRADFORD @ matrix
    return adapt


def srgb_from_d50(xyz: Floats) -> Pixels:
    """Return the sRGB grey levels of colours relative to D50, clipped to the gamut."""
    linear = (xyz @ np.linalg.inv(to_d50(SRGB_PRIMARIES)).T).clip(0, 1)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(coded * 255).astype(np.uint8)


def adobe_to_srgb(pixels: Pixels) -> Pixels:
    """Convert as the formulas say: power law, matrix, Bradford to D50, sRGB."""
    return srgb_from_d50((pixels / 255.0) ** ADOBE_GAMMA @ to_d50(ADOBE_PRIMARIES).T)


def _fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _text(text: str) -> bytes:
    ascii_text = text.encode() + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(ascii_text)) + ascii_text + bytes(4 + 4 + 2 + 1 + 67)


def _colour(xyz: Floats) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*xyz)


def _profile(pcs: bytes, tags: dict[bytes, bytes], intent: int = 0, space: bytes = b"RGB ") -> bytes:
    """Return a version 2 profile of a scanner."""
    at, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, value in tags.items():
        padded = value + bytes(-len(value) % 4)
        table += name + struct.pack(">II", at + len(data), len(padded))
        data += padded
    size = at + len(data)
    head = struct.pack(">I4sI4s4s4s", size, b"test", 0x02400000, b"scnr", space, pcs)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(24) + struct.pack(">I", intent)
    head += _fixed(*D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def matrix_profile(
    primaries: tuple[tuple[float, float], ...] = ADOBE_PRIMARIES,
    gamma: float = ADOBE_GAMMA,
    name: str = "Test scanner",
    intent: int = 0,
    padding: int = 0,
    white: Floats = D50,
) -> bytes:
    """Return a profile of three colorants and a power law; AdobeRGB by default."""
    red, green, blue = to_d50(primaries).T
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    tags = {
        b"desc": _text(name),
        b"cprt": b"text\0\0\0\0nobody's\0",
        b"wtpt": _colour(white),
        b"rXYZ": _colour(red),
        b"gXYZ": _colour(green),
        b"bXYZ": _colour(blue),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    if padding:
        tags[b"priv"] = b"data\0\0\0\0" + bytes(padding)
    return _profile(b"XYZ ", tags, intent)


def srgb_profile(name: str = "Something else") -> bytes:
    """Return a profile that is sRGB by its numbers, whatever its name: the curve sampled at 1,024 places."""
    red, green, blue = to_d50(SRGB_PRIMARIES).T
    coded = np.linspace(0, 1, 1024)
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    curve = b"curv\0\0\0\0" + struct.pack(">I", 1024) + np.round(linear * 65535).astype(">u2").tobytes()
    tags = {b"desc": _text(name), b"cprt": b"text\0\0\0\0nobody's\0", b"wtpt": _colour(D50)}
    tags |= {b"rXYZ": _colour(red), b"gXYZ": _colour(green), b"bXYZ": _colour(blue)}
    return _profile(b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


# What each table of ``lut_profile`` maps red, green and blue of 0 to 1 to: CIELAB colours relative to D50.
def lut_lab(rgb: Floats, which: str) -> Floats:
    """Return the Lab colours that ``lut_profile`` stands for, linear in RGB so that interpolation is exact."""
    lightness, chroma = {"perceptual": (90, 60), "relative": (100, 40), "saturation": (80, 80)}[which]
    red, green, blue = np.moveaxis(rgb, -1, 0)
    mean = (red + green + blue) / 3
    return np.stack([lightness * mean, chroma * (red - green), chroma * (mean - blue)], axis=-1)


def lut_to_srgb(pixels: Pixels, which: str) -> Pixels:
    """Convert as the formulas say: the table's Lab, XYZ, sRGB."""
    light, a, b = np.moveaxis(lut_lab(pixels / 255.0, which), -1, 0)
    fy = (light + 16) / 116
    f = np.stack([fy + a / 500, fy, fy - b / 200], axis=-1)
    return srgb_from_d50(np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * D50)


def _lut16(colours: Callable[[Floats], Floats], grid: int = 9) -> bytes:
    axis = np.linspace(0, 1, grid)
    lab = colours(np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1))
    coded = (lab * (652.80, 256, 256) + (0, 32768, 32768)).round().clip(0, 65535).astype(">u2")
    head = b"mft2\0\0\0\0" + bytes((3, 3, grid, 0)) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    straight = struct.pack(">2H", 0, 65535) * 3
    return head + struct.pack(">2H", 2, 2) + straight + coded.tobytes() + straight


def lut_profile(intent: int = 0) -> bytes:
    """Return a profile with a different table for each intent."""
    tags = {b"desc": _text("Test tables"), b"cprt": b"text\0\0\0\0nobody's\0", b"wtpt": _colour(D50)}
    for i, which in enumerate(INTENTS[:3]):
        tags[b"A2B%d" % i] = _lut16(lambda rgb, which=which: lut_lab(rgb, which))  # type: ignore[misc]
    return _profile(b"Lab ", tags, intent)


def large_profile(size: int, grid: int = 45, intent: int = 0) -> bytes:
    """Return a profile of ``size`` bytes with large tables, as a GT450 writes, and a private tag that fills it up."""
    tags = {b"desc": _text("Large tables"), b"cprt": b"text\0\0\0\0nobody's\0", b"wtpt": _colour(D50)}
    for i, which in enumerate(INTENTS[:3]):
        tags[b"A2B%d" % i] = _lut16(lambda rgb, which=which: lut_lab(rgb, which), grid)  # type: ignore[misc]
    tags[b"priv"] = b"data\0\0\0\0"
    tags[b"priv"] += bytes(size - len(_profile(b"Lab ", tags, intent)))
    return _profile(b"Lab ", tags, intent)
