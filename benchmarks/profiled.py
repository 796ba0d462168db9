"""Copy a slide and add an ICC profile, for timing: the first directory is written again with one more tag."""

import struct
from pathlib import Path

from PIL import ImageCms

ICC_TAG, UNDEFINED = 34675, 7


def scanner_profile() -> bytes:
    """Return a profile that is not sRGB: littlecms's own sRGB profile with red and green exchanged."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return data.replace(b"rXYZ", b"\0tmp", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"\0tmp", b"gXYZ", 1)


def write_profiled(source: Path, target: Path) -> Path:
    """Copy a classic, little-endian TIFF and add the profile to its first page."""
    data, profile = bytearray(source.read_bytes()), scanner_profile()
    assert data[:4] == b"II*\0", "only classic TIFF is copied"
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    entries, following = data[at + 2 : at + 2 + 12 * count], data[at + 2 + 12 * count : at + 6 + 12 * count]
    data += bytes(len(data) % 2)
    tag = struct.pack("<HHII", ICC_TAG, UNDEFINED, len(profile), len(data))
    data += profile + bytes(len(profile) % 2)
    struct.pack_into("<I", data, 4, len(data))
    data += struct.pack("<H", count + 1) + entries + tag + following
    target.write_bytes(data)
    return target
