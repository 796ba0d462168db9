"""Files that are still being written: what is missing is found, and complete files of any kind are left in peace."""

import struct
from functools import cache
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vsv.formats.random_access import OpenFile
from vsv.formats.write_completeness import FILE_TILES, find_unwritten

from tests.support.slides.aperio import JPEG2000_RGB, JPEG2000_YCBCR, Plan, texture, write_slide
from tests.support.slides.small import half_written

PLANS = {
    "JPEG": Plan(tile=64),
    "JPEG without YCbCr": Plan(tile=64, chroma="420"),
    "big, big-endian": Plan(tile=64, bigtiff=True, byteorder=">"),
    "JPEG 2000": Plan(width_px=300, height_px=200, tile=64, codec=JPEG2000_RGB),
    "JPEG 2000 YCbCr": Plan(width_px=300, height_px=200, tile=64, codec=JPEG2000_YCBCR),
    "no associated images": Plan(tile=64, associated="none", thumbnail=False),
}
CODECS: dict[str, dict[str, Any]] = {
    "deflate": {"compression": "adobe_deflate"},
    "LZW": {"compression": "lzw"},
    "LZW with predictor": {"compression": "lzw", "predictor": True},
    "none": {},
}
EXAMPLES = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@cache
def planned(name: str, folder: Path) -> bytes:
    return write_slide(folder / "slide.svs", PLANS[name]).read_bytes()


def directories_first(image: np.ndarray[Any, Any], tile: int = 64) -> bytes:
    """Write a TIFF as some scanners do: header, directory and its lists, then the tiles in their order."""
    rows, columns = -(-image.shape[0] // tile), -(-image.shape[1] // tile)
    padded = np.zeros((rows * tile, columns * tile, 3), np.uint8)
    padded[: image.shape[0], : image.shape[1]] = image
    blocks = [
        imagecodecs.jpeg_encode(padded[y : y + tile, x : x + tile], level=85)
        for y in range(0, rows * tile, tile)
        for x in range(0, columns * tile, tile)
    ]
    lists = 8 + 2 + 12 * 11 + 4
    first = lists + 8 * len(blocks) + 6
    offsets = [first + sum(map(len, blocks[:index])) for index in range(len(blocks))]
    entries = [
        (256, 4, 1, image.shape[1]), (257, 4, 1, image.shape[0]), (258, 3, 3, lists + 8 * len(blocks)),
        (259, 3, 1, 7), (262, 3, 1, 6), (277, 3, 1, 3), (284, 3, 1, 1), (322, 3, 1, tile), (323, 3, 1, tile),
        (324, 4, len(blocks), lists), (325, 4, len(blocks), lists + 4 * len(blocks)),
    ]  # fmt: skip
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    numbers = struct.pack(f"<{2 * len(blocks)}I3H", *offsets, *map(len, blocks), 8, 8, 8)
    return b"II*\0\x08\0\0\0" + directory + bytes(4) + numbers + b"".join(blocks)


@cache
def own_slide() -> tuple[bytes, tuple[int, ...]]:
    """Return a slide whose directory comes first, and the offsets of its tiles."""
    content = directories_first(texture(700, 500))
    count = 11 * 8
    return content, struct.unpack_from(f"<{count}I", content, 8 + 2 + 12 * 11 + 4)


def written(folder: Path, content: bytes, name: str = "a.svs") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", PLANS)
def test_complete_slide_has_nothing_unwritten(tmp_path: Path, name: str) -> None:
    assert find_unwritten(written(tmp_path, planned(name, tmp_path))) is None


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_complete_tiff_of_other_codecs_has_nothing_unwritten(
    tmp_path: Path, codec: str, tile: tuple[int, int] | None
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, texture(300, 200), photometric="rgb", tile=tile, **CODECS[codec])
    assert find_unwritten(path) is None


def test_written_slide_of_these_tests_is_read_by_an_independent_reader(tmp_path: Path) -> None:
    content, offsets = own_slide()
    path = written(tmp_path, content)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.pages[0].asarray().shape == (500, 700, 3)
        assert tiff.pages[0].dataoffsets == offsets
    assert find_unwritten(path) is None


@EXAMPLES
@given(st.data())
def test_tiles_after_the_writer_are_found_wherever_the_writer_is(tmp_path: Path, data: st.DataObject) -> None:
    content, offsets = own_slide()
    at = data.draw(st.integers(0, offsets[-1]))
    found = find_unwritten(written(tmp_path, half_written(content, at)))
    assert found is not None
    assert found.is_tail
    after = sum(offset < at for offset in offsets) + 1
    if offsets[0] < at and after < len(offsets):
        first = next(i for i, offset in enumerate(offsets) if at <= offset) + 1
        assert found.reason in {f"tiles {n} to {len(offsets)} are empty" for n in (first - 1, first)} | {
            f"tile {len(offsets)} is empty"
        }


@EXAMPLES
@given(st.data())
def test_digest_changes_as_the_writer_goes_on(tmp_path: Path, data: st.DataObject) -> None:
    content, offsets = own_slide()
    tile = data.draw(st.integers(1, len(offsets) - 2))
    later = data.draw(st.integers(tile + 1, len(offsets) - 1))
    looks = [
        find_unwritten(written(tmp_path, half_written(content, offsets[index]))) for index in (tile, later)
    ]
    again = find_unwritten(written(tmp_path, half_written(content, offsets[later])))
    assert None not in looks
    assert looks[0].digest != looks[1].digest == again.digest  # type: ignore[union-attr]


@EXAMPLES
@given(st.sampled_from(list(PLANS)), st.binary(max_size=40), st.integers(0), st.integers(0))
def test_any_damage_is_looked_at_without_an_error(
    tmp_path: Path, name: str, damage: bytes, at: int, end: int
) -> None:
    content = bytearray(planned(name, tmp_path))
    at %= len(content)
    content[at : at + len(damage)] = damage
    find_unwritten(written(tmp_path, bytes(content[: max(1, end % (2 * len(content)))])))


@pytest.mark.parametrize("filler", [b"\0", b"\xcd", b"\xff"])
def test_tiles_of_old_bytes_of_the_disk_are_found(tmp_path: Path, filler: bytes) -> None:
    content, offsets = own_slide()
    path = written(tmp_path, content[: offsets[40]] + filler * (len(content) - offsets[40]))
    found = find_unwritten(path)
    assert found is not None
    assert found.reason == "tiles 41 to 88 are empty"


def test_hole_in_a_sparse_file_is_found(tmp_path: Path) -> None:
    content, offsets = own_slide()
    path = written(tmp_path, content[: offsets[40]])
    with path.open("r+b") as file:
        file.truncate(len(content))
    assert find_unwritten(path) is not None


def test_scattered_empty_tiles_are_no_tail(tmp_path: Path) -> None:
    content, offsets = own_slide()
    damaged = bytearray(content)
    for index in (10, 30, 50):
        damaged[offsets[index] : offsets[index + 1]] = bytes(offsets[index + 1] - offsets[index])
    found = find_unwritten(written(tmp_path, bytes(damaged)))
    assert found is not None
    assert (found.reason, found.is_tail) == ("3 of 88 tiles that were looked at are empty", False)


@pytest.mark.parametrize(("first", "last"), [(0, 30), (60, 87)])
def test_tiles_up_to_an_end_of_a_page_are_a_writer_at_work_wherever_they_lie(
    tmp_path: Path, first: int, last: int
) -> None:
    """A writer may go backward, or write a later page first."""
    content, offsets = own_slide()
    ends = [*offsets, len(content)]
    damaged = content[: offsets[first]] + bytes(ends[last + 1] - offsets[first]) + content[ends[last + 1] :]
    found = find_unwritten(written(tmp_path, damaged + b"further pages " * 500))
    assert found is not None
    assert (found.reason, found.is_tail) == (f"tiles {first + 1} to {last + 1} are empty", True)


def test_page_without_any_tile_is_named_whole(tmp_path: Path) -> None:
    content, offsets = own_slide()
    found = find_unwritten(written(tmp_path, half_written(content, offsets[0]) + b"further pages " * 500))
    assert found is not None
    assert found.reason == "tiles 1 to 88 are empty"


def test_last_tile_that_is_half_written_is_found(tmp_path: Path) -> None:
    content, _ = own_slide()
    found = find_unwritten(written(tmp_path, half_written(content, len(content) - 300)))
    assert found is not None
    assert found.reason == "tile 88 is empty"


def test_truncated_file_is_left_to_validation(tmp_path: Path) -> None:
    content, offsets = own_slide()
    assert find_unwritten(written(tmp_path, content[: offsets[70]])) is None


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"", "the file's beginning is empty"),
        (b"II*\0", "the file's directories are empty"),
        (b"II*\0\0\x10\0\0", "the file's directories are empty"),
        (b"II+\0\x08\0\0\0\0\x10\0\0\0\0\0\0", "the file's directories are empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "the file's end is empty"),
    ],
)
def test_allocated_file_without_directories_or_end_is_found(tmp_path: Path, head: bytes, reason: str) -> None:
    found = find_unwritten(written(tmp_path, half_written(head.ljust(100_000, b"\0"), len(head))))
    assert found is not None
    assert (found.reason, found.is_tail) == (reason, True)


@pytest.mark.parametrize("content", [b"", b"II*\0", b"text" * 50, b"\xff\xd8\xff\xe0" * 50])
def test_file_that_is_no_slide_is_left_to_validation(tmp_path: Path, content: bytes) -> None:
    assert find_unwritten(written(tmp_path, content)) is None


def test_reads_stay_few_however_many_tiles_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((16 * 200, 16 * 200), np.uint8), tile=(16, 16), compression="lzw")
    reads = []
    read = OpenFile.read

    def counted(self: OpenFile, at: int, length: int) -> bytes:
        reads.append(length)
        return read(self, at, length)

    monkeypatch.setattr(OpenFile, "read", counted)
    assert find_unwritten(path) is None
    assert len(reads) < 1.5 * FILE_TILES
    assert sum(reads) < path.stat().st_size
