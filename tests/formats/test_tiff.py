"""TIFF directories: what real slides say is read, what hostile files claim is refused."""

import struct
from pathlib import Path

import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vsv.errors import UnavailableError, UnreadableSlideError
from vsv.formats import tiff, tiff_directories
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import last_byte, read_pages
from vsv.formats.tile_offsets import TileSpans

from tests.support.slides.aperio import (
    JPEG2000_RGB,
    LIBRARY,
    Plan,
    damage_tables,
    patch,
    patch_item,
    tile_bytes,
    write_slide,
)

FORMS = {
    "classic": Plan(),
    "big": Plan(bigtiff=True),
    "classic big-endian": Plan(byteorder=">"),
    "big big-endian": Plan(bigtiff=True, byteorder=">"),
    "240": Plan(tile=240, chroma="420"),
    "jpeg 2000": Plan(codec=JPEG2000_RGB),
}


@pytest.fixture(scope="module", params=FORMS)
def slide(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slide(tmp_path_factory.mktemp("tiff") / "slide.svs", FORMS[request.param])


def test_read_pages_returns_the_same_pages_as_tifffile(slide: Path) -> None:
    with tifffile.TiffFile(slide) as other:
        pages = read_pages(OpenFile(slide))
        assert len(pages) == len(other.pages)
        for page, expected in zip(pages, other.pages, strict=True):
            assert (page.width_px, page.height_px) == (expected.imagewidth, expected.imagelength)
            assert page.is_tiled == expected.is_tiled
            assert (page.tile_width_px, page.tile_height_px) == (expected.tilewidth, expected.tilelength)
            assert (page.compression, page.photometric) == (expected.compression, expected.photometric)
            assert (page.samples, page.bits_per_sample) == (expected.samplesperpixel, 8)
            assert page.subfile_type == expected.subfiletype
            assert page.description == expected.description
            assert page.jpeg_tables == (expected.jpegtables or b"")


def test_tile_spans_equal_offsets_and_sizes_of_tifffile(slide: Path) -> None:
    file = OpenFile(slide)
    with tifffile.TiffFile(slide) as other:
        for page, expected in zip(read_pages(file), other.pages, strict=True):
            spans = [TileSpans(file, page).span(i) for i in range(page.offsets.count)]
            assert spans == list(zip(expected.dataoffsets, expected.databytecounts, strict=True))
            assert last_byte(file, page) == max(sum(span) for span in spans)


def test_read_pages_returns_known_pages_of_the_real_slide(real_slide: Path) -> None:
    pages = read_pages(OpenFile(real_slide))
    assert [(p.width_px, p.height_px, p.is_tiled) for p in pages] == [
        (2220, 2967, True),
        (574, 768, False),
        (387, 463, False),
        (1280, 431, False),
    ]
    assert (pages[0].columns, pages[0].rows, pages[0].photometric) == (10, 13, tiff.PHOTOMETRIC_RGB)


def test_read_pages_returns_empty_description_for_page_without_description(tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(associated="undescribed"))
    assert [page.description for page in read_pages(OpenFile(path))][-2:] == ["", ""]


def test_read_pages_keeps_line_ends_and_decodes_code_page_in_descriptions(tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(description=f"{LIBRARY}a\r\nb|X = 1"))
    patch(path, path.read_bytes().index(b"a\r\nb|X"), b"\xe9")
    assert read_pages(OpenFile(path))[0].description == f"{LIBRARY}é\r\nb|X = 1"
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].tags["ImageDescription"].value == f"{LIBRARY}é\r\nb|X = 1"


def test_read_pages_truncates_oversized_description(tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs", Plan(description=LIBRARY + "x" * 3_000_000))
    assert read_pages(OpenFile(path))[0].description == LIBRARY + "x" * (
        tiff.DESCRIPTION_BYTES - len(LIBRARY)
    )


def made(*entries: tuple[int, int, int, int], count: int | None = None, following: int = 0) -> bytes:
    """Make a classic little-endian TIFF of one directory of (tag, type, count, value)."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    count = len(entries) if count is None else count
    return b"II*\0" + struct.pack("<IH", 8, count) + body + struct.pack("<I", following)


SIZE = (256, 4, 1, 512), (257, 4, 1, 512)
TILED = (322, 4, 1, 256), (323, 4, 1, 256)
LISTS = (324, 4, 4, 0), (325, 4, 4, 0)


def test_read_pages_accepts_directory_with_only_required_tags(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(made(*SIZE, *TILED, *LISTS))
    (page,) = read_pages(OpenFile(path))
    assert (page.columns, page.rows) == (2, 2)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"II*\0",
        b"II*\0\0\0\0\0",
        b"GIF89a" + bytes(100),
        b"MM\0\x2b\0\x04\0\0" + bytes(100),
        b"II+\0\x08\0\0\0",
        b"II*\0\xff\xff\xff\xff" + bytes(100),
        made(),
        made(*SIZE, count=60000),
        made(*SIZE, *LISTS, *TILED, following=8),
        made(*SIZE, *LISTS, *TILED, following=1 << 31),
        made(*TILED, *LISTS),
        made((256, 2, 1, 512), SIZE[1], *TILED, *LISTS),
        made((256, 4, 0, 512), SIZE[1], *TILED, *LISTS),
        made((256, 4, 1, 0), SIZE[1], *TILED, *LISTS),
        made((256, 4, 1, 0xFFFFFFFF), SIZE[1], *TILED, *LISTS),
        made(*SIZE, (322, 4, 1, 256), *LISTS),
        made(*SIZE, (322, 4, 1, 1 << 20), TILED[1], *LISTS),
        made(*SIZE, *TILED),
        made(*SIZE, *TILED, (324, 4, 3, 0), (325, 4, 3, 0)),
        made(*SIZE, *TILED, (324, 4, 4, 1 << 30), (325, 4, 4, 0)),
        made(*SIZE, *TILED, (324, 4, 0xFFFFFFFF, 0), (325, 4, 4, 0)),
        made(*SIZE, *TILED, (324, 12, 4, 0), (325, 4, 4, 0)),
        made(*SIZE, *TILED, *LISTS, (270, 2, 0xFFFFFFF, 8)),
        made(*SIZE, *TILED, *LISTS, (347, 7, 0xFFFFFFF, 8)),
    ],
)
def test_read_pages_refuses_impossible_headers_with_a_reason(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(data)
    with pytest.raises(UnreadableSlideError, match=r"\w+ \w+"):
        read_pages(OpenFile(path))


def test_read_pages_refuses_circular_directory_chain(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(made(*SIZE, *TILED, *LISTS, following=8))
    with pytest.raises(UnreadableSlideError, match="circle"):
        read_pages(OpenFile(path))


def test_read_pages_refuses_many_directories_that_share_a_long_tile_list(tmp_path: Path) -> None:
    """A file of a megabyte that would cost a loop over 50 million tiles."""
    tiles, pages, directory_bytes = 200_000, 250, 2 + 6 * 12 + 4
    lists_at = 8 + pages * directory_bytes
    entries = (*SIZE, *TILED, (324, 4, tiles, lists_at), (325, 4, tiles, lists_at))
    chain = [
        made(*entries, following=8 + i * directory_bytes if i < pages else 0)[8:] for i in range(1, pages + 1)
    ]
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0\x08\0\0\0" + b"".join(chain) + bytes(4 * tiles))
    with pytest.raises(UnreadableSlideError, match="more tiles"):
        read_pages(OpenFile(path))


def test_read_pages_reads_a_chain_of_directories_in_any_order_as_tifffile_does(tmp_path: Path) -> None:
    path, directory_bytes, pages = tmp_path / "a.tif", 2 + 6 * 12 + 4, 300
    places = [8 + (i * 7 % pages) * directory_bytes for i in range(pages)]  # each place once
    data = bytearray(8 + pages * directory_bytes + 64)
    data[:8] = b"II*\0" + struct.pack("<I", places[0])
    for i, (at, following) in enumerate(zip(places, [*places[1:], 0], strict=True)):
        size = (256, 4, 1, 100 + i), (257, 4, 1, 512)
        body = made(*size, *TILED, *LISTS, following=following)[8:]
        data[at : at + len(body)] = body
    path.write_bytes(data)
    with tifffile.TiffFile(path) as other:
        assert [page.width_px for page in read_pages(OpenFile(path))] == [
            page.imagewidth for page in other.pages
        ]


def test_read_pages_refuses_more_directories_than_any_slide_has_and_names_their_number(
    tmp_path: Path,
) -> None:
    entries = (*SIZE, *TILED, *LISTS)
    body = made(*entries)[8:]
    path = tmp_path / "a.tif"
    pages = tiff_directories.MAX_PAGES + 1
    links = (struct.pack("<I", 8 + i * len(body)) for i in range(1, pages + 1))
    path.write_bytes(b"II*\0\x08\0\0\0" + b"".join(body[:-4] + link for link in links) + bytes(64))
    with pytest.raises(UnreadableSlideError, match="too many images"):
        read_pages(OpenFile(path))


def test_read_pages_refuses_more_tags_in_all_than_any_slide_has(tmp_path: Path) -> None:
    entries = [*SIZE, *TILED, *LISTS, *((40_000 + i, 3, 1, 0) for i in range(506))]
    body = made(*entries)[8:]
    path = tmp_path / "a.tif"
    pages = tiff_directories.MAX_ALL_TAGS // tiff_directories.MAX_TAGS + 1
    links = (struct.pack("<I", 8 + i * len(body)) for i in range(1, pages + 1))
    path.write_bytes(b"II*\0\x08\0\0\0" + b"".join(body[:-4] + link for link in links) + bytes(64))
    with pytest.raises(UnreadableSlideError, match="too many images"):
        read_pages(OpenFile(path))


@pytest.mark.parametrize("tag", [32768, 65000, 33432])
@pytest.mark.parametrize("at", [100, 0xFFFFFFF0])
def test_private_tag_that_points_past_the_end_holds_what_the_file_has(
    tmp_path: Path, tag: int, at: int
) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(made(*SIZE, *TILED, *LISTS, (tag, 1, 5000, at)) + bytes(64))
    size = path.stat().st_size
    assert len(read_pages(OpenFile(path))) == 1
    reader = tiff_directories.Reader(OpenFile(path))
    (entries,) = tiff_directories.directories(reader)
    assert entries[tag].length == max(0, size - at)
    assert len(reader.read(entries[tag].at, entries[tag].length)) == max(0, size - at)


@pytest.mark.parametrize("tag", [339, 34675, 65426])
def test_tag_that_readers_use_and_that_points_past_the_end_is_refused(tmp_path: Path, tag: int) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(made(*SIZE, *TILED, *LISTS, (tag, 1, 5000, 100)) + bytes(64))
    with pytest.raises(UnreadableSlideError, match="truncated"):
        read_pages(OpenFile(path))


def test_last_byte_raises_unreadable_when_file_was_truncated_after_opening(tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs")
    file = OpenFile(path)
    pages = read_pages(file)
    with path.open("r+b") as shrinking:
        shrinking.truncate(100)
    with pytest.raises(UnreadableSlideError, match="truncated"):
        last_byte(file, pages[0])


def test_open_file_raises_unavailable_when_read_fails(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        OpenFile(tmp_path).read(0, 1)  # a folder opens, but cannot be read


@given(data=st.binary(max_size=400) | st.binary(max_size=400).map(lambda tail: b"II*\0\x08\0\0\0" + tail))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_read_pages_raises_only_unreadable_slide_error_for_arbitrary_bytes(
    tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "any.tif"
    path.write_bytes(data)
    try:
        read_pages(OpenFile(path))
    except UnreadableSlideError as error:
        assert str(tmp_path) not in str(error)


def test_slide_helpers_patch_the_intended_tile_count_and_tables(tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs")
    patch_item(path, 0, "TileByteCounts", 2, 0)
    damage_tables(path, 0, b"XX")
    page = read_pages(OpenFile(path))[0]
    assert TileSpans(OpenFile(path), page).span(2)[1] == 0
    assert page.jpeg_tables.startswith(b"XX")
    assert len(tile_bytes(path, 0, 1)) == TileSpans(OpenFile(path), page).span(1)[1]
