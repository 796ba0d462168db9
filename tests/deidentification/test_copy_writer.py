"""A published copy shows the same pixels and tells nothing: the real slide's, JPEG 2000's, GT450's, any TIFF's."""

import json
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from vsv.deidentification.byte_audit import account
from vsv.deidentification.copy_writer import write_copy
from vsv.deidentification.policy import Policy
from vsv.errors import UnavailableError, UnreadableSlideError, UnsupportedError
from vsv.formats.random_access import OpenFile

from tests.support.slides.aperio import (
    JPEG2000_RGB,
    JPEG2000_YCBCR,
    Plan,
    patch,
    patch_item,
    replace_tile,
    tile_bytes,
    write_slide,
)
from tests.support.slides.identified import (
    ICC_SECRET,
    SECRETS,
    Secret,
    all_secrets,
    contains,
    icc_profile,
    with_codestream_comment,
    with_comment,
    with_exif,
    write_identified,
)
from tests.support.slides.opened import opened, whole_level
from tests.support.slides.small import slide_bytes
from tests.support.slides.unusual import in_focus_order, write_pages

MUSTERMANN = b"mustermann"
PLANS = {
    "classic": Secret(),
    "classic big-endian": Secret(byteorder=">"),
    "BigTIFF": Secret(bigtiff=True),
    "BigTIFF big-endian": Secret(bigtiff=True, byteorder=">"),
    "JPEG 2000 YCbCr": Secret(codec=JPEG2000_YCBCR),
    "JPEG 2000 RGB, big-endian": Secret(codec=JPEG2000_RGB, bigtiff=True, byteorder=">"),
    "GT450": Secret(gt450=True, icc=icc_profile()),
    "GT450, BigTIFF": Secret(gt450=True, icc=icc_profile(), bigtiff=True),
    "without thumbnail": Secret(thumbnail=False),
}


@pytest.fixture(params=["the real one", *PLANS])
def original(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "the real one":
        real: Path = request.getfixturevalue("real_slide")
        return real
    return write_identified(tmp_path / "original.svs", PLANS[request.param])


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    write_copy(original, tmp_path / "copy.svs", Policy(), None)
    return tmp_path / "copy.svs"


def opens_in_openslide(path: Path) -> bool:
    return openslide.OpenSlide.detect_format(path) == "aperio"


def test_copy_has_the_tile_bytes_of_the_original(original: Path, copy: Path) -> None:
    with tifffile.TiffFile(original) as one, tifffile.TiffFile(copy) as other:
        tiled = [page for page in one.pages if page.is_tiled]
        same = [page for page in other.pages if page.is_tiled]
        assert [page.shape for page in tiled] == [page.shape for page in same]
        assert len(tiled) > 0
        for page, its_copy in zip(tiled, same, strict=True):
            for index in range(len(page.dataoffsets)):
                stored = tile_bytes(original, page.index, index)
                found = tile_bytes(copy, its_copy.index, index)
                if page.compression == tifffile.COMPRESSION.JPEG:
                    assert found == stored
                else:  # the encoder's own name stands in a comment
                    assert len(found) == len(stored)
                    assert found[-200:] == stored[-200:]


def test_copy_has_the_same_pixels_in_tifffile_and_openslide(original: Path, copy: Path) -> None:
    with tifffile.TiffFile(original) as one, tifffile.TiffFile(copy) as other:
        levels = [page for page in one.pages if page.is_tiled]
        copied = [page for page in other.pages if page.is_tiled]
        for page, its_copy in zip(levels, copied, strict=True):
            assert np.array_equal(page.asarray(), its_copy.asarray())
    if opens_in_openslide(original):  # it reads no classic big-endian TIFF; the copy is always BigTIFF
        with openslide.OpenSlide(original) as slide, openslide.OpenSlide(copy) as its_slide:
            assert slide.level_dimensions == its_slide.level_dimensions
            for level, size in enumerate(slide.level_dimensions):
                regions = [s.read_region((0, 0), level, size) for s in (slide, its_slide)]
                assert regions[0].tobytes() == regions[1].tobytes()


def test_copy_is_an_aperio_slide_in_openslide_without_identifiers(original: Path, copy: Path) -> None:
    with openslide.OpenSlide(copy) as slide:
        assert slide.properties["openslide.vendor"] == "aperio"
        assert slide.properties["openslide.objective-power"] == "20"
        assert float(slide.properties["openslide.mpp-x"]) == 0.499
        assert set(slide.associated_images) <= {"thumbnail"}
        assert (
            set(slide.properties) & {"aperio.Filename", "aperio.User", "aperio.Date", "aperio.ImageID"}
            == set()
        )
    with tifffile.TiffFile(original) as one, tifffile.TiffFile(copy) as other:
        kept = [
            page.index for page in one.pages if page.is_tiled or (page.index == 1 and page.subfiletype == 0)
        ]
        assert len(other.pages) == len(kept)
        assert other.is_svs


@pytest.mark.skipif(shutil.which("vips") is None, reason="Debian's libvips-tools are not installed")
def test_copy_has_the_same_pixels_in_libvips(original: Path, copy: Path, tmp_path: Path) -> None:
    loader = subprocess.run(
        ["vipsheader", "-f", "vips-loader", copy], check=True, capture_output=True, text=True
    ).stdout
    assert loader.strip() == "openslideload"
    with openslide.OpenSlide(copy) as slide:
        width, height = slide.dimensions
    found = []
    # Of a TIFF that OpenSlide cannot read, the same slide as one that it can.
    readable = original if opens_in_openslide(original) else write_identified(tmp_path / "twin.svs")
    for path in (readable, copy):
        raw = tmp_path / f"{len(found)}.raw"
        subprocess.run(["vips", "rawsave", path, raw], check=True, capture_output=True)
        found.append(raw.read_bytes())
    assert len(found[1]) == width * height * 4
    assert found[0] == found[1]


def test_copy_contains_no_secret_in_any_byte(original: Path, copy: Path) -> None:
    data = copy.read_bytes()
    before = original.read_bytes()
    for secret in ("CMU-1", "b414003d-95c6-48b0-9369-8010ed517ba7", "CPAPERIOCS", "1004486", *all_secrets()):
        assert not contains(data, secret), secret
    assert contains(before, "1004486")
    with tifffile.TiffFile(original) as tiff:
        gone = [page for page in tiff.pages if page.subfiletype in {1, 9}]
        assert len(gone) == 2
        for page in gone:
            for at, length in zip(page.dataoffsets, page.databytecounts, strict=True):
                assert before[at : at + length][:48] not in data
                assert before[at : at + length][-48:] not in data


def test_copy_has_only_structural_tags_and_accounts_for_every_byte(original: Path, copy: Path) -> None:
    allowed = {
        254,
        256,
        257,
        258,
        259,
        262,
        270,
        273,
        277,
        278,
        279,
        282,
        283,
        284,
        296,
        322,
        323,
        324,
        325,
        339,
    }
    with tifffile.TiffFile(copy) as tiff:
        for page in tiff.pages:
            assert set(page.tags.keys()) <= allowed | {347, 530, 531, 532, 32997, 34675}
    assert account(OpenFile(copy), Policy()).problems == {}
    assert original.read_bytes() != copy.read_bytes()


def test_write_copy_is_deterministic(original: Path, copy: Path) -> None:
    again = copy.with_name("again.svs")
    write_copy(original, again, Policy(), None)
    assert again.read_bytes() == copy.read_bytes()


def test_report_names_removed_items_without_their_values(tmp_path: Path) -> None:
    original = write_identified(tmp_path / "a.svs", Secret(icc=icc_profile(), fields="|Erika Mustermann = 1"))
    report = write_copy(original, tmp_path / "copy.svs", Policy(), None)
    assert report.pages == ("label", "macro")
    assert {"Artist", "DateTime", "Software", "XMP", "IPTC", "ImageID", "tag 65000"} <= set(report.tags)
    assert {"User", "Filename", "Date", "ScanScope ID", "a key that is not Aperio's"} <= set(report.keys)
    assert report.changed == ("ICC profile (names, makers and dates removed)",)
    assert report.kept == ("AppMag", "MPP", "OriginalWidth")
    for text in (json.dumps(report.to_item()), report.text()):
        assert not any(contains(text.encode(), secret) for secret in all_secrets())
    assert "Tags removed: DocumentName, Software" in report.text()


def test_write_copy_follows_the_policy(tmp_path: Path) -> None:
    original = write_identified(tmp_path / "a.svs", Secret(icc=icc_profile()))
    keeps = Policy("shift", "keep", "keep", "drop", "drop", ("Filtered",))
    report = write_copy(original, tmp_path / "copy.svs", keeps, 363)
    with openslide.OpenSlide(tmp_path / "copy.svs") as slide:
        assert slide.properties["aperio.Date"] == "12/31/08"
        assert slide.properties["aperio.Time"] == SECRETS["Time"]
        assert slide.properties["aperio.ScanScope ID"] == SECRETS["ScanScope ID"]
        assert slide.properties["aperio.Filtered"] == "5"
        assert set(slide.associated_images) == set()
        assert "openslide.icc-size" not in slide.properties
    assert report.pages == ("thumbnail", "label", "macro")
    assert report.changed == ("Date (shifted)",)
    assert "ICC profile" in report.tags


def test_copy_keeps_icc_profile_without_secret_text(tmp_path: Path) -> None:
    original = write_identified(tmp_path / "a.svs", Secret(gt450=True, icc=icc_profile()))
    assert contains(original.read_bytes(), ICC_SECRET[:13])
    write_copy(original, tmp_path / "copy.svs", Policy(), None)
    with openslide.OpenSlide(tmp_path / "copy.svs") as slide:
        assert slide.color_profile is not None
    assert not contains((tmp_path / "copy.svs").read_bytes(), ICC_SECRET[:13])


Spoil = Callable[[bytes], bytes]
TILES: dict[str, tuple[int, Spoil, str]] = {
    "comment": (7, lambda tile: with_comment(tile, MUSTERMANN), "JPEG comment"),
    "Exif": (7, lambda tile: with_exif(tile, MUSTERMANN), "JPEG application segment 1"),
    "behind the end": (7, lambda tile: tile + MUSTERMANN, "bytes behind a picture's end"),
    "comment, JPEG 2000": (
        JPEG2000_RGB,
        lambda tile: with_codestream_comment(tile, MUSTERMANN),
        "JPEG 2000 comment",
    ),
    "behind the end, JPEG 2000": (
        JPEG2000_YCBCR,
        lambda tile: tile + MUSTERMANN,
        "bytes behind a picture's end",
    ),
}


@pytest.mark.parametrize(("codec", "spoil", "name"), TILES.values(), ids=TILES)
def test_copy_removes_text_hidden_in_tiles(codec: int, spoil: Spoil, name: str, tmp_path: Path) -> None:
    original = write_identified(tmp_path / "a.svs", Secret(codec=codec, spoil=spoil))
    assert original.read_bytes().count(MUSTERMANN) > 10
    report = write_copy(original, tmp_path / "copy.svs", Policy(), None)
    assert MUSTERMANN not in (tmp_path / "copy.svs").read_bytes()
    assert name in report.coded
    with openslide.OpenSlide(original) as slide, openslide.OpenSlide(tmp_path / "copy.svs") as its_copy:
        one, other = (s.read_region((0, 0), 0, s.dimensions).tobytes() for s in (slide, its_copy))
        assert one == other


def test_copy_removes_text_hidden_in_jpeg_tables(tmp_path: Path) -> None:
    original = write_identified(tmp_path / "a.svs")
    with tifffile.TiffFile(original) as tiff:
        tag = tiff.pages[0].tags["JPEGTables"]
        at, tables = tag.offset, tag.value
    spoiled = with_comment(tables, MUSTERMANN) + MUSTERMANN
    end = original.stat().st_size
    with original.open("ab") as file:
        file.write(spoiled)
    patch(original, at + 4, struct.pack("<II", len(spoiled), end))
    write_copy(original, tmp_path / "copy.svs", Policy(), None)
    assert MUSTERMANN not in (tmp_path / "copy.svs").read_bytes()


def test_copy_removes_text_between_tiles_and_after_the_end(tmp_path: Path) -> None:
    original = tmp_path / "a.svs"
    write_identified(original)
    with original.open("ab") as file:
        file.write(MUSTERMANN * 3)
    last = tile_bytes(original, 0, 3)
    replace_tile(original, 0, 3, last)  # the old place is a gap now, and the text before it another
    with tifffile.TiffFile(original) as tiff:
        gap = tiff.pages[0].dataoffsets[0] + len(tile_bytes(original, 0, 0)) - 2
    assert gap > 0
    write_copy(original, tmp_path / "copy.svs", Policy(), None)
    assert MUSTERMANN not in (tmp_path / "copy.svs").read_bytes()
    assert tile_bytes(tmp_path / "copy.svs", 0, 3) == last


def test_copy_omits_sub_ifds(tmp_path: Path) -> None:
    path = tmp_path / "a.svs"
    level = np.zeros((512, 512, 3), np.uint8)
    text = "Aperio Image Library v11.2.1 \r\n512x512 (256x256) JPEG/RGB Q=70|AppMag = 20"
    with tifffile.TiffWriter(path) as tiff:
        more = {"tile": (256, 256), "compression": "jpeg", "metadata": None, "photometric": "rgb"}
        tiff.write(level, subifds=1, description=text, software=False, **more)
        tiff.write(level[::2, ::2], description="a label of Mustermann", software=False, **more)
    report = write_copy(path, tmp_path / "copy.svs", Policy(), None)
    assert "SubIFDs" in report.tags
    assert not contains((tmp_path / "copy.svs").read_bytes(), "Mustermann")


@pytest.mark.parametrize("kind", ["label", "macro"])
@pytest.mark.parametrize("by", ["named", "subfile type", "shape"])
def test_copy_omits_tiled_label_and_macro(kind: str, by: str, tmp_path: Path) -> None:
    path, text = tmp_path / "a.svs", "Aperio Image Library v11.2.1 \r\n"
    level = np.zeros((512, 512, 3), np.uint8)
    other = level[:, :256] if by == "shape" else level[::2, ::2]
    with tifffile.TiffWriter(path) as tiff:
        more = {
            "tile": (128, 128),
            "compression": "jpeg",
            "metadata": None,
            "software": False,
            "photometric": "rgb",
        }
        tiff.write(level, description=f"{text}512x512 (128x128)|AppMag = 20", **more)
        described = f"{text}{kind} 256x256" if by == "named" else f"{text}256x256"
        tiff.write(other, description=described, subfiletype=9 if by == "subfile type" else 0, **more)
    report = write_copy(path, tmp_path / "copy.svs", Policy(), None)
    assert len(report.pages) == 1
    with tifffile.TiffFile(tmp_path / "copy.svs") as tiff:
        assert len(tiff.pages) == 1


def test_copy_omits_label_in_place_of_thumbnail(tmp_path: Path) -> None:
    """OpenSlide shows the second page as thumbnail, whatever it is."""
    path = tmp_path / "a.svs"
    write_slide(path, Plan(thumbnail=False, downsamples=(1,)))
    report = write_copy(path, tmp_path / "copy.svs", Policy(), None)
    assert report.pages == ("label", "macro")
    with openslide.OpenSlide(tmp_path / "copy.svs") as slide:
        assert set(slide.associated_images) == set()


def test_copy_omits_thumbnail_that_is_not_jpeg(tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs", Plan())  # its thumbnail is LZW: bytes may lie behind its end
    assert write_copy(path, tmp_path / "copy.svs", Policy(), None).pages == ("thumbnail", "label", "macro")


@pytest.mark.parametrize(("page", "tag"), [(3, "StripOffsets"), (4, "StripOffsets")])
def test_write_copy_refuses_tiles_that_share_bytes_with_the_label(
    page: int, tag: str, tmp_path: Path
) -> None:
    path = write_identified(tmp_path / "a.svs")
    with tifffile.TiffFile(path) as tiff:
        at, length = tiff.pages[page].dataoffsets[0], tiff.pages[page].databytecounts[0]
    with path.open("r+b") as file:
        file.seek(at)
        file.write(tile_bytes(path, 0, 0)[:length])
    patch_item(path, 0, "TileOffsets", 0, at - 4)
    with pytest.raises(UnreadableSlideError, match="share bytes"):
        write_copy(path, tmp_path / "copy.svs", Policy(), None)
    assert not (tmp_path / "copy.svs").exists()


def test_write_copy_refuses_tile_that_overlaps_a_text(tmp_path: Path) -> None:
    path = write_identified(tmp_path / "a.svs")
    with tifffile.TiffFile(path) as tiff:
        text_at, tile_at = tiff.pages[0].tags[65000].valueoffset, tiff.pages[0].dataoffsets[0]
    assert text_at < tile_at  # tifffile writes a page's directory, then its tiles
    patch_item(path, 0, "TileOffsets", 0, text_at)
    with pytest.raises(UnreadableSlideError, match="share bytes"):
        write_copy(path, tmp_path / "copy.svs", Policy(), None)


def test_copy_keeps_missing_tiles_missing(tmp_path: Path) -> None:
    path = write_identified(tmp_path / "a.svs")
    patch_item(path, 0, "TileByteCounts", 5, 0)
    write_copy(path, tmp_path / "copy.svs", Policy(), None)
    with tifffile.TiffFile(tmp_path / "copy.svs") as tiff:
        assert (tiff.pages[0].dataoffsets[5], tiff.pages[0].databytecounts[5]) == (0, 0)
        assert tiff.pages[0].databytecounts[6] > 0
    assert account(OpenFile(tmp_path / "copy.svs"), Policy()).problems == {}


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: replace_tile(path, 0, 2, b"no JPEG at all"), "tile 2 of page 0"),
        (lambda path: replace_tile(path, 0, 2, tile_bytes(path, 0, 2)[:-9]), "tile 2 of page 0"),
        (lambda path: patch_item(path, 0, "TileByteCounts", 1, 0x7FFFFFFF), "impossible"),
        (lambda path: patch_item(path, 0, "TileOffsets", 1, 0x7FFFFFFF), "truncated"),
        (lambda path: [patch_item(path, 0, "TileOffsets", i, 1 << 31) for i in range(20)], "truncated"),
    ],
)
def test_write_copy_refuses_damaged_slides_and_leaves_no_file(
    damage: Callable[[Path], object], says: str, tmp_path: Path
) -> None:
    path = write_identified(tmp_path / "a.svs")
    damage(path)
    with pytest.raises(UnreadableSlideError, match=says):
        write_copy(path, tmp_path / "copy.svs", Policy(), None)
    assert [p.name for p in tmp_path.iterdir()] == ["a.svs"]


def test_write_copy_refuses_overlapping_tiles_that_exceed_the_file_size(tmp_path: Path) -> None:
    path = write_identified(tmp_path / "a.svs")
    large = with_comment(tile_bytes(path, 0, 0), b"x" * 60_000)
    for index in range(20):
        replace_tile(path, 0, index, large) if index == 0 else None
        with tifffile.TiffFile(path) as tiff:
            at = tiff.pages[0].dataoffsets[0]
        patch_item(path, 0, "TileOffsets", index, at)
        patch_item(path, 0, "TileByteCounts", index, len(large))
    with pytest.raises(UnreadableSlideError, match="larger than the file"):
        write_copy(path, tmp_path / "copy.svs", Policy(), None)


@pytest.mark.parametrize("what", ["other format", "tiles of LZW"])
def test_write_copy_refuses_unsupported_formats_with_advice(what: str, tmp_path: Path) -> None:
    path = tmp_path / "a.svs"
    level = np.zeros((512, 512, 3), np.uint8)
    text = "Something else" if what == "other format" else "Aperio Image Library v11.2.1 \r\n512x512"
    coded = "jpeg" if what == "other format" else "lzw"
    tifffile.imwrite(
        path, level, tile=(256, 256), compression=coded, description=text, metadata=None, photometric="rgb"
    )
    says = "own program" if what == "other format" else "JPEG or JPEG 2000"
    with pytest.raises(UnsupportedError, match=says):
        write_copy(path, tmp_path / "copy.svs", Policy(), None)


def test_write_copy_without_target_folder_raises_unavailable(tmp_path: Path) -> None:
    original = tmp_path / "a.svs"
    original.write_bytes(slide_bytes())
    with pytest.raises(UnavailableError, match="disk full or read only"):
        write_copy(original, tmp_path / "missing" / "copy.svs", Policy(), None)


@pytest.mark.parametrize("depths", [(-1.0, 0.0, 1.0), (0.0, 2.5, 5.0, 7.5)])
def test_copy_of_focal_planes_shows_the_same_plane_and_keeps_the_others(
    tmp_path: Path, depths: tuple[float, ...]
) -> None:
    original, copy = write_pages(tmp_path / "a.svs", in_focus_order(depths)), tmp_path / "b.svs"
    write_copy(original, copy, Policy(), None)
    assert account(OpenFile(copy), Policy()).problems == {}
    shown, copied = opened(original), opened(copy)
    assert np.array_equal(whole_level(copied, copied.max_level), whole_level(shown, shown.max_level))
    with tifffile.TiffFile(original) as one, tifffile.TiffFile(copy) as other:
        planes = [
            [
                page.asarray()
                for page in file.pages
                if page.is_tiled and page.imagewidth == shown.grid.width_px
            ]
            for file in (one, other)
        ]
    assert len(planes[0]) == len(depths)
    assert np.array_equal(planes[0], planes[1])
