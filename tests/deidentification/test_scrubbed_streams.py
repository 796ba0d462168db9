"""Tiles, tables and profiles lose what can carry text, and none of their pixels or colours."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from vsv.deidentification import scrub_icc, scrub_jpeg, scrub_jpeg2000
from vsv.errors import CorruptTileError
from vsv.rendering.icc import Profile

from tests.support.slides.aperio import segments, texture
from tests.support.slides.identified import picture, with_codestream_comment, with_comment, with_exif
from tests.support.slides.profiles import lut_profile, matrix_profile

SECRET = b"mustermann"


def decoded(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def saved(mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(texture(64, 48)).convert(mode).save(out, "JPEG", **options)
    return out.getvalue()


JPEGS = {
    "baseline": saved(quality=80),
    "progressive": saved(quality=80, progressive=True),
    "restarts": saved(quality=80, restart_marker_rows=1),
    "grey": saved("L", quality=80),
    "optimized": saved(quality=95, optimize=True, subsampling=0),
}


@pytest.mark.parametrize("jpeg", JPEGS.values(), ids=JPEGS)
def test_scrub_jpeg_keeps_clean_jpeg_unchanged(jpeg: bytes) -> None:
    assert scrub_jpeg.clean(jpeg) == (jpeg, frozenset())


def jfif_with_picture(jpeg: bytes) -> bytes:
    body = jpeg[4 + 2 : 4 + 2 + 12] + b"\x04\x01" + b"mustermann!!"
    return b"\xff\xd8\xff\xe0" + struct.pack(">H", len(body) + 2) + body + jpeg[20:]


def long_adobe(jpeg: bytes) -> bytes:
    body = b"Adobe\0\x64\0\0\0\0\x01" + SECRET
    return jpeg[:2] + b"\xff\xee" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


SPOILED = {
    "comment": lambda jpeg: with_comment(jpeg, SECRET),
    "Exif": lambda jpeg: with_exif(jpeg, SECRET),
    "behind the end": lambda jpeg: jpeg + SECRET,
    "a second picture behind the end": lambda jpeg: jpeg + with_comment(picture(), SECRET),
    "comment before the scan": lambda jpeg: jpeg.replace(
        b"\xff\xda", b"\xff\xfe\x00\x0c" + SECRET + b"\xff\xda", 1
    ),
    "JFIF's own picture": jfif_with_picture,
    "behind Adobe's words": long_adobe,
    "between two segments": lambda jpeg: jpeg.replace(b"\xff\xda", SECRET + b"\xff\xda", 1),
    "JFXX": lambda jpeg: jpeg[:20] + b"\xff\xe0\x00\x12JFXX\0\x10" + SECRET + jpeg[20:],
}


@pytest.mark.parametrize("marker", [b"\xff\xdb", b"\xff\xc4", b"\xff\xda", b"\xff\xd9"])
@pytest.mark.parametrize("fill", [1, 15, 500])
@pytest.mark.parametrize("jpeg", JPEGS.values(), ids=JPEGS)
def test_scrub_jpeg_drops_legal_fill_bytes_before_any_marker(jpeg: bytes, fill: int, marker: bytes) -> None:
    at = jpeg.rindex(marker)
    filled = jpeg[:at] + b"\xff" * fill + jpeg[at:]
    assert scrub_jpeg.clean(filled) == (jpeg, frozenset())


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
@pytest.mark.parametrize("jpeg", JPEGS.values(), ids=JPEGS)
def test_scrub_jpeg_removes_text_and_keeps_pixels(jpeg: bytes, spoil: object) -> None:
    spoiled = spoil(jpeg)  # type: ignore[operator]
    clean, removed = scrub_jpeg.clean(spoiled)
    assert SECRET not in clean
    assert removed
    assert np.array_equal(decoded(clean), decoded(spoiled))
    assert scrub_jpeg.clean(clean) == (clean, frozenset())


def test_scrub_jpeg_removes_trailing_zeros_without_reporting() -> None:
    assert scrub_jpeg.clean(JPEGS["baseline"] + b"\0\0") == (JPEGS["baseline"], frozenset())


def test_scrub_jpeg_refuses_tables_as_tile_and_tile_as_tables() -> None:
    tables = b"\xff\xd8" + b"".join(
        part for kind, part in segments(JPEGS["baseline"]) if kind in {0xDB, 0xC4}
    )
    tables += b"\xff\xd9"
    assert scrub_jpeg.clean(tables, tables=True) == (tables, frozenset())
    assert scrub_jpeg.clean(with_comment(tables, SECRET) + SECRET, tables=True)[0] == tables
    for data, as_tables in ((tables, False), (JPEGS["baseline"], True)):
        with pytest.raises(CorruptTileError):
            scrub_jpeg.clean(data, tables=as_tables)


def lengthened(marker: int) -> bytes:
    """Hide text behind what a segment's own content needs."""
    parts = [
        part
        if kind != marker
        else part[:2] + struct.pack(">H", len(part) - 2 + len(SECRET)) + part[4:] + SECRET
        for kind, part in segments(JPEGS["baseline"])
    ]
    return b"\xff\xd8" + b"".join(parts)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xff\xd8", b"\xff\xd9", JPEGS["baseline"][:-2], JPEGS["baseline"][:200], b"GIF89a" + bytes(50),
        lengthened(0xC0), lengthened(0xC4), lengthened(0xDB),
        JPEGS["baseline"][:2] + b"\xff\xd8" + JPEGS["baseline"][2:],
        JPEGS["baseline"][:2] + b"\xff\xf7\x00\x0c" + SECRET + JPEGS["baseline"][2:],
        JPEGS["baseline"][:2] + b"\xff\xfe\xff\xff" + JPEGS["baseline"][2:],
        JPEGS["baseline"][:2] + b"\xff\xfe\x00\x02" * 3000 + JPEGS["baseline"][2:],
    ],
    ids=lambda data: f"{len(data)} bytes",
)  # fmt: skip
def test_scrub_jpeg_refuses_malformed_jpeg(data: bytes) -> None:
    with pytest.raises(CorruptTileError):
        scrub_jpeg.clean(data)


@given(st.data())
def test_scrub_jpeg_refuses_or_cleans_damaged_jpeg(data: st.DataObject) -> None:
    jpeg = bytearray(with_comment(JPEGS["baseline"], SECRET))
    for _ in range(data.draw(st.integers(1, 4))):
        jpeg[data.draw(st.integers(0, len(jpeg) - 1))] = data.draw(st.integers(0, 255))
    try:
        clean, _ = scrub_jpeg.clean(bytes(jpeg))
    except CorruptTileError:
        return
    assert scrub_jpeg.clean(clean) == (clean, frozenset())


def codestream(**options: object) -> bytes:
    found: bytes = imagecodecs.jpeg2k_encode(texture(64, 64), codecformat="j2k", **options)
    return found


def test_scrub_jpeg2000_blanks_comments_and_keeps_pixels() -> None:
    spoiled = with_codestream_comment(codestream(), SECRET) + SECRET
    clean, removed = scrub_jpeg2000.clean(spoiled)
    assert SECRET not in clean
    assert b"OpenJPEG" not in clean
    assert removed == {scrub_jpeg2000.COMMENT, scrub_jpeg.TRAILING}
    assert np.array_equal(imagecodecs.jpeg2k_decode(clean), texture(64, 64))
    assert scrub_jpeg2000.clean(clean) == (clean, frozenset())


def test_scrub_jpeg2000_blanks_comment_in_tile_part_header() -> None:
    data = codestream()
    at = data.index(b"\xff\x90")
    (length,) = struct.unpack_from(">I", data, at + 6)
    comment = b"\xff\x64" + struct.pack(">HH", len(SECRET) + 4, 1) + SECRET
    spoiled = (
        data[: at + 6]
        + struct.pack(">I", length + len(comment))
        + data[at + 10 : at + 12]
        + comment
        + data[at + 12 :]
    )
    clean, removed = scrub_jpeg2000.clean(spoiled)
    assert SECRET not in clean
    assert removed >= {scrub_jpeg2000.COMMENT}
    assert np.array_equal(imagecodecs.jpeg2k_decode(clean), texture(64, 64))


def test_scrub_jpeg2000_ends_part_of_open_length_at_end_marker() -> None:
    data = codestream()
    at = data.index(b"\xff\x90")
    clean, _ = scrub_jpeg2000.clean(data[: at + 6] + bytes(4) + data[at + 10 :] + SECRET)
    assert SECRET not in clean
    assert np.array_equal(imagecodecs.jpeg2k_decode(clean), texture(64, 64))


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\x4f", codestream()[:60], codestream()[:-20] + SECRET * 5, b"\xff\x4f\xff\x30" + codestream()[2:],
     codestream().replace(b"\xff\x52", b"\xff\x70", 1)],
    ids=lambda data: f"{len(data)} bytes",
)  # fmt: skip
def test_scrub_jpeg2000_refuses_damaged_codestream(data: bytes) -> None:
    with pytest.raises(CorruptTileError):
        scrub_jpeg2000.clean(data)


@given(st.data())
def test_scrub_jpeg2000_refuses_or_cleans_changed_codestream(data: st.DataObject) -> None:
    stream = bytearray(with_codestream_comment(codestream(), SECRET))
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(st.integers(0, min(300, len(stream) - 1)))] = data.draw(st.integers(0, 255))
    try:
        clean, _ = scrub_jpeg2000.clean(bytes(stream))
    except CorruptTileError:
        return
    assert scrub_jpeg2000.clean(clean) == (clean, frozenset())
    assert len(clean) <= len(stream)


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("make", [matrix_profile, lut_profile, srgb])
def test_scrub_icc_keeps_colours_and_removes_texts(make: object) -> None:
    profile = make()  # type: ignore[operator]
    clean = scrub_icc.rebuild_profile(profile)
    one, other = Profile(profile), Profile(clean)
    pixels = texture(64, 64)
    for intent in ("perceptual", "relative", "absolute"):
        assert np.array_equal(one.convert(pixels, intent), other.convert(pixels, intent))
    assert (one.intent, one.is_srgb) == (other.intent, other.is_srgb)
    assert other.name == scrub_icc.NAME
    assert scrub_icc.rebuild_profile(clean) == clean


def test_scrub_icc_removes_maker_date_and_private_tags() -> None:
    profile = bytearray(srgb())
    profile[48:52], profile[52:56], profile[80:84] = b"MUST", b"ERMA", b"NN!!"
    profile[24:36] = struct.pack(">6H", 2009, 12, 29, 9, 59, 15)
    (count,) = struct.unpack_from(">I", profile, 128)
    names = [bytes(profile[132 + 12 * n : 136 + 12 * n]) for n in range(count)]
    at = 132 + 12 * names.index(b"cprt")
    profile[at : at + 4] = b"secr"
    clean = scrub_icc.rebuild_profile(bytes(profile))
    for secret in (b"MUST", b"ERMA", b"NN!!", struct.pack(">3H", 2009, 12, 29), b"secr"):
        assert secret not in clean
    kept = {element.signature for element in scrub_icc.elements(clean)}
    assert {b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"wtpt", b"desc", b"cprt"} <= kept


@given(st.binary(max_size=400), st.integers(0, 600))
def test_scrub_icc_refuses_or_cleans_damaged_profile(noise: bytes, at: int) -> None:
    profile = bytearray(srgb())
    profile[at : at + len(noise)] = noise
    try:
        clean = scrub_icc.rebuild_profile(bytes(profile))
    except ValueError:
        return
    assert scrub_icc.rebuild_profile(clean) == clean
