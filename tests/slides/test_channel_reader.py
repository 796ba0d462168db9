"""Pixels deeper than 8 bits and of several channels: held against numpy's work on the lossless samples."""

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from vsv.errors import CorruptTileError, UnreadableSlideError
from vsv.ingest.validation import inspect
from vsv.pyramids.renderer import render_pyramid
from vsv.slides.channel_reader import ChannelReader
from vsv.slides.image_reader import ImageReader
from vsv.slides.openslide_reader import OpenSlideReader
from vsv.slides.readers import reader_of

from tests.support.paths import ROOT
from tests.support.slides.aperio import Pixels, Plan, patch, patch_item, texture, write_slide
from tests.support.slides.channels import (
    APERIO,
    BLUE,
    DEFAULTS,
    GREEN,
    RED,
    SIZE,
    composite,
    deep,
    difference,
    grey,
    halved,
    mapped,
    write,
    write_ome,
)
from tests.support.slides.images import encoded
from tests.support.slides.opened import decibels, grey_levels_apart, opened, whole_level

Floats = NDArray[np.float64]
GREY = deep()
COLOURS = np.stack([deep(seed) for seed in (0, 3, 5)], axis=-1)
OPACITY = deep(11, bits=16)
WIDE = deep().astype(np.uint32) * 70_000 + 11
SIGNED = (deep().astype(np.int32) - 2048).astype(np.int16)
LIGHT = composite(
    [mapped(COLOURS[..., part], np.percentile(COLOURS, [1, 99.9])) for part in range(3)], [RED, GREEN, BLUE]
)


def whole(path: Path) -> Pixels:
    reader = reader_of(path)
    assert type(reader) is ChannelReader
    return reader.region(0, (0, 0, *reader.check()))


def jpeg2000(path: Path) -> Path:
    return write(path, GREY, compression=33005, compressionargs={"level": 0, "codecformat": "j2k"})


def interleaved(path: Path) -> Path:
    return write(path, COLOURS, planarconfig="contig")


KINDS: dict[str, tuple[Callable[[Path], Path], Floats]] = {
    "12 bits in 16": (lambda path: write(path, GREY), grey(GREY)),
    "an Aperio slide": (lambda path: write(path.with_suffix(".svs"), GREY, description=APERIO), grey(GREY)),
    "16 bits": (lambda path: write(path, deep(bits=16)), grey(deep(bits=16))),
    "big-endian": (lambda path: write(path, GREY, byteorder=">"), grey(GREY)),
    "BigTIFF": (lambda path: write(path, GREY, bigtiff=True, byteorder=">"), grey(GREY)),
    "LZW with predictor": (lambda path: write(path, GREY, compression="lzw", predictor=2), grey(GREY)),
    "big-endian with predictor": (
        lambda path: write(path, GREY, byteorder=">", compression="deflate", predictor=2),
        grey(GREY),
    ),
    "PackBits": (lambda path: write(path, GREY, compression="packbits"), grey(GREY)),
    "Zstandard": (lambda path: write(path, GREY, compression="zstd"), grey(GREY)),
    "uncompressed": (lambda path: write(path, GREY, compression=None), grey(GREY)),
    "JPEG 2000": (jpeg2000, grey(GREY)),
    "RGB in JPEG 2000": (
        lambda path: write(
            path,
            COLOURS,
            photometric="rgb",
            compression=33005,
            compressionargs={"level": 0, "codecformat": "j2k"},
        ),
        LIGHT,
    ),
    "tiles that are not square": (lambda path: write(path, GREY, tile=(128, 64)), grey(GREY)),
    "0 is white": (lambda path: write(path, GREY, photometric="miniswhite"), 255 - grey(GREY)),
    "0 is white, in strips": (
        lambda path: write(path, GREY, photometric="miniswhite", tile=None, rowsperstrip=50),
        255 - grey(GREY),
    ),
    "signed": (lambda path: write(path, SIGNED), grey(SIGNED)),
    "signed, 8 bits": (lambda path: write(path, (SIGNED >> 4).astype(np.int8)), grey(SIGNED >> 4)),
    "32 bits": (lambda path: write(path, WIDE), grey(WIDE)),
    "32 bits, big-endian": (lambda path: write(path, WIDE, byteorder=">"), grey(WIDE)),
    "32 bits, signed": (
        lambda path: write(path, WIDE.astype(np.int32) - 9),
        grey(WIDE.astype(np.int32) - 9),
    ),
    "RGB of 16 bits": (lambda path: write(path, COLOURS, photometric="rgb"), LIGHT),
    "RGB in planes": (
        lambda path: write(path, np.moveaxis(COLOURS, 2, 0), photometric="rgb", planarconfig="separate"),
        LIGHT,
    ),
    "RGB in strips": (
        lambda path: write(path, COLOURS, photometric="rgb", tile=None, rowsperstrip=40),
        LIGHT,
    ),
    "RGB of 16 bits and alpha": (
        lambda path: write(
            path, np.dstack([COLOURS, OPACITY]), photometric="rgb", extrasamples=["unassalpha"]
        ),
        LIGHT * (OPACITY[..., None] / 65535) + 255 * (1 - OPACITY[..., None] / 65535),
    ),
    "12 bits, packed": (
        lambda path: write(path, GREY, compression=None, bitspersample=12),
        grey(GREY),
    ),
}


class TestPixels:
    @pytest.mark.parametrize("kind", KINDS)
    def test_pixels_are_the_samples_between_first_and_last_percentiles(
        self, kind: str, tmp_path: Path
    ) -> None:
        write_kind, expected = KINDS[kind]
        path = write_kind(tmp_path / "a.tif")
        inspect(path, path.stat().st_size)
        assert difference(whole(path), expected) <= 1
        assert expected.mean() > 60

    @pytest.mark.parametrize(
        "box", [(3, 5, 301, 266), (255, 255, 257, 257), (SIZE[0] - 1, SIZE[1] - 1, *SIZE)]
    )
    @pytest.mark.parametrize("kind", ["12 bits in 16", "RGB in planes", "RGB in strips", "12 bits, packed"])
    def test_region_is_the_same_part_of_the_whole(
        self, kind: str, box: tuple[int, int, int, int], tmp_path: Path
    ) -> None:
        path = KINDS[kind][0](tmp_path / "a.tif")
        left, top, right, bottom = box
        assert np.array_equal(reader_of(path).region(0, box), whole(path)[top:bottom, left:right])

    @pytest.mark.parametrize("kind", ["12 bits in 16", "RGB of 16 bits"])
    def test_levels_with_and_without_pyramid_are_means_of_full_resolution(
        self, kind: str, tmp_path: Path
    ) -> None:
        path = KINDS[kind][0](tmp_path / "a.tif")
        expected = KINDS[kind][1].round().astype(np.uint8)
        bare = opened(path)
        render_pyramid(bare, tmp_path / "pyramid.tif", jobs=2)
        slide = opened(path, tmp_path / "pyramid.tif")
        assert set(slide.levels) == set(range(slide.grid.level_count))
        assert decibels(whole_level(slide, slide.max_level), expected) > 36
        for shift in (1, 2, 4):
            here, there = (whole_level(each, each.max_level - shift) for each in (bare, slide))
            # libjpeg reduces the coded picture another way than means do: noise differs, and nothing else.
            assert grey_levels_apart(here, there) < 7
            assert np.abs(here.mean(axis=(0, 1)) - there.mean(axis=(0, 1))).max() < 0.5

    def test_long_uncompressed_strip_is_read_in_parts(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("vsv.slides.sample_level.PART_BYTES", 30_000)
        path = write(tmp_path / "a.tif", WIDE, tile=None, compression=None, rowsperstrip=SIZE[1])
        assert difference(whole(path), grey(WIDE)) <= 1
        path = write(tmp_path / "b.tif", WIDE, tile=None, compression=None, rowsperstrip=97)
        assert difference(whole(path), grey(WIDE)) <= 1

    def test_tile_without_bytes_holds_zeros(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.tif", GREY)
        with tifffile.TiffFile(path, mode="r+b") as tiff:
            counts = list(tiff.pages[0].tags["TileByteCounts"].value)
            tiff.pages[0].tags["TileByteCounts"].overwrite([0, *counts[1:]])
        found = whole(path)
        assert not found[:256, :256].any()
        assert found[:256, 256:].mean() > 60


class TestWindows:
    def test_few_bright_outliers_leave_the_window_as_it_was(self, tmp_path: Path) -> None:
        hot = GREY.copy()
        hot.ravel()[::2001] = 65535
        found = whole(write(tmp_path / "a.tif", hot))
        assert difference(found, grey(hot)) <= 1
        assert grey_levels_apart(found, grey(GREY).round().astype(np.uint8)) < 2

    @pytest.mark.parametrize("value", [0, 1, 900, 65535])
    def test_constant_image_is_drawn_by_the_range_of_its_type(self, value: int, tmp_path: Path) -> None:
        found = whole(write(tmp_path / "a.tif", np.full(SIZE[::-1], value, np.uint16)))
        assert difference(found, np.full(found.shape, 255 * value / 65535)) <= 1

    def test_signal_in_fewer_pixels_than_a_thousandth_is_shown(self, tmp_path: Path) -> None:
        sparse = np.full(SIZE[::-1], 100, np.uint16)
        sparse[50:55, 60:70] = 3000
        found = whole(write(tmp_path / "a.tif", sparse))
        assert (found[52, 65].tolist(), found[0, 0].tolist()) == ([255] * 3, [0] * 3)

    @pytest.mark.parametrize("samples", [GREY, SIGNED, WIDE], ids=["uint16", "int16", "uint32"])
    def test_window_is_numpys_percentiles(self, samples: NDArray[Any], tmp_path: Path) -> None:
        (channel,) = reader_of(write(tmp_path / "a.tif", samples)).channels().channels  # type: ignore[attr-defined]
        window = channel.window
        assert (window.start, window.end) == pytest.approx(tuple(np.percentile(samples, [1, 99.9])))
        assert (window.low, window.high) == (samples.min(), samples.max())

    def test_large_image_is_measured_in_an_even_selection(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("vsv.slides.channel_windows.MAX_PIXELS", 64 * 64 * 40)
        path = write(tmp_path / "a.tif", GREY, tile=(64, 64))
        windows = [reader_of(path).channels().channels[0].window for _ in range(2)]  # type: ignore[attr-defined]
        assert windows[0] == windows[1]
        expected = np.percentile(GREY, [1, 99.9])
        assert abs(windows[0].start - expected[0]) < 300
        assert abs(windows[0].end - expected[1]) < 300

    def test_windows_are_read_from_beside_the_original_where_they_were_stored(self, tmp_path: Path) -> None:
        path = write(tmp_path / "slide.svs", GREY, description=APERIO)
        first = reader_of(path).channels()  # type: ignore[attr-defined]
        stored = tmp_path / "channels.json"
        text = stored.read_text()
        stored.write_text(text.replace(str(first.channels[0].window.end), "2000.0"))
        assert reader_of(path).channels().channels[0].window.end == 2000  # type: ignore[attr-defined]
        for damage in ("", "{}", "[1", "[]", text.replace("start", "begin"), text.replace(": 1,", ": 99,")):
            stored.write_text(damage)
            assert reader_of(path).channels() == first  # type: ignore[attr-defined]
            assert stored.read_text() == text


PLANES = [deep(seed) for seed in (0, 3, 5, 7, 9)]
NAMED: dict[str, Any] = {
    "Name": ["DAPI", "FITC", "Cy5"],
    "Color": [int.from_bytes(bytes((*c, 255)), signed=True) for c in (BLUE, (0, 255, 100), (255, 0, 255))],
    "EmissionWavelength": [461, 519, 668],
    "EmissionWavelengthUnit": ["nm"] * 3,
}


class TestChannels:
    def layout(self, path: Path) -> list[tuple[str, tuple[int, ...], float | None]]:
        found = reader_of(path).channels().channels  # type: ignore[attr-defined]
        return [(channel.name, channel.color, channel.emission_nm) for channel in found]

    def test_directories_of_an_ome_tiff_have_its_names_and_colours(self, tmp_path: Path) -> None:
        path = write_ome(tmp_path / "a.ome.tif", PLANES[:3], NAMED)
        colors = [BLUE, (0, 255, 100), (255, 0, 255)]
        assert self.layout(path) == list(zip(NAMED["Name"], colors, NAMED["EmissionWavelength"], strict=True))
        assert difference(whole(path), composite([mapped(plane) for plane in PLANES[:3]], colors)) <= 3

    @pytest.mark.parametrize("count", [2, 3, 4, 5])
    def test_channels_without_colours_have_those_of_imagej(self, count: int, tmp_path: Path) -> None:
        path = write_ome(tmp_path / "a.ome.tif", PLANES[:count])
        assert self.layout(path) == [(f"Channel {i + 1}", DEFAULTS[i], None) for i in range(count)]
        expected = composite([mapped(plane) for plane in PLANES[:count]], DEFAULTS[:count])
        assert difference(whole(path), expected) <= count

    def test_wavelengths_of_emission_give_colours(self, tmp_path: Path) -> None:
        channel = {"EmissionWavelength": [668, 461, 0.519], "EmissionWavelengthUnit": ["nm", "nm", "µm"]}
        found = self.layout(write_ome(tmp_path / "a.ome.tif", PLANES[:3], channel))
        assert [color for _, color, _ in found] == [RED, BLUE, GREEN]
        assert found[2][2] == pytest.approx(519)

    @pytest.mark.parametrize(
        "kind", ["interleaved", "separate", "ome separate", "imagej", "8 bits", "grey JPEG"]
    )
    def test_all_ways_of_storing_channels_give_the_same_picture(self, kind: str, tmp_path: Path) -> None:
        path, planes, tolerance = tmp_path / "a.tif", PLANES[:2], 2
        stack, pixels = np.stack(planes), np.stack(planes, axis=-1)
        if kind == "interleaved":
            write(path, pixels, planarconfig="contig", extrasamples=["unspecified"])
        elif kind == "separate":
            write(path, stack, planarconfig="separate", extrasamples=["unspecified"])
        elif kind == "ome separate":
            options: dict[str, Any] = {
                "tile": (256, 256),
                "planarconfig": "separate",
                "photometric": "minisblack",
            }
            tifffile.imwrite(path, stack, ome=True, metadata={"axes": "CYX"}, **options)
        elif kind == "imagej":
            tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "CYX"})
        else:
            planes, tolerance = [(plane >> 4).astype(np.uint8) for plane in planes], 2
            more = {"compression": "jpeg", "compressionargs": {"level": 100}} if kind == "grey JPEG" else {}
            write_ome(path, planes, **more)
            tolerance = 12 if more else 2
        expected = composite([mapped(plane) for plane in planes], DEFAULTS[:2])
        assert difference(whole(path), expected) <= tolerance

    def test_middle_focal_plane_of_each_channel_is_shown(self, tmp_path: Path) -> None:
        stack = np.stack([np.stack([deep(10 * c + z) for z in range(3)]) for c in range(2)])
        for axes, ordered in (("CZYX", stack), ("ZCYX", stack.swapaxes(0, 1))):
            path = tmp_path / f"{axes}.ome.tif"
            tifffile.imwrite(
                path, ordered, ome=True, metadata={"axes": axes}, photometric="minisblack", tile=(256, 256)
            )
            expected = composite([mapped(stack[c, 1]) for c in range(2)], DEFAULTS[:2])
            assert difference(whole(path), expected) <= 2

    def test_nearest_focal_plane_that_is_here_is_shown(self, tmp_path: Path) -> None:
        stack = np.stack([np.stack([deep(10 * c + z) for z in range(3)]) for c in range(2)])
        path = tmp_path / "a.ome.tif"
        options: dict[str, Any] = {"photometric": "minisblack", "tile": (256, 256)}
        tifffile.imwrite(path, stack, ome=True, metadata={"axes": "CZYX"}, **options)
        whole_list = b'<TiffData IFD="0" PlaneCount="6"/>'
        parts = b'<TiffData IFD="0" PlaneCount="1"/><TiffData FirstC="1" FirstZ="2" IFD="5"/>'
        data = path.read_bytes()
        assert whole_list in data
        text = data[data.index(b"<?xml") : data.index(b"</OME>") + 6]
        shorter = text.replace(whole_list, parts).replace(b' Creator="tifffile.py 2026.3.3"', b"")
        shorter = shorter.replace(b"<LightPath/>", b"")
        assert len(shorter) <= len(text)
        path.write_bytes(data.replace(text, shorter.ljust(len(text))))
        expected = composite([mapped(stack[0, 0]), mapped(stack[1, 2])], DEFAULTS[:2])
        assert difference(whole(path), expected) <= 2

    def test_properties_are_those_of_ome(self, tmp_path: Path) -> None:
        scan = reader_of(write_ome(tmp_path / "a.ome.tif", PLANES[:3], NAMED)).properties()
        assert (scan.mpp, scan.width_px, scan.height_px) == (0.325, *SIZE)
        assert scan.tags["Channel 2"] == "FITC, #00FF64, 519 nm"

    def test_at_most_seven_channels_are_shown_at_first(self, tmp_path: Path) -> None:
        path = write_ome(tmp_path / "a.ome.tif", [deep(seed, size=(64, 64)) for seed in range(9)])
        found = reader_of(path).channels().channels  # type: ignore[attr-defined]
        assert [channel.active for channel in found] == [True] * 7 + [False] * 2


class TestLevels:
    def test_levels_in_subifds_are_read_where_they_match(self, tmp_path: Path) -> None:
        planes = [deep(seed, size=(2100, 1555)) for seed in (0, 3)]
        reader = reader_of(write_ome(tmp_path / "a.ome.tif", planes, levels=2))
        assert [reader.halvings(shift) for shift in range(5)] == [0, 0, 0, 1, 2]
        windows = [tuple(np.percentile(plane, [1, 99.9])) for plane in planes]
        small = [halved(halved(plane)) for plane in planes]
        expected = composite([mapped(*pair) for pair in zip(small, windows, strict=True)], DEFAULTS[:2])
        found = reader.region(2, (0, 0, 525, 389))
        assert difference(found[: small[0].shape[0], : small[0].shape[1]], expected) <= 2

    def test_levels_of_another_picture_are_not_believed(self, tmp_path: Path) -> None:
        planes = [deep(seed, size=(1400, 1066)) for seed in (0, 3)]
        path = tmp_path / "a.ome.tif"
        options: dict[str, Any] = {"tile": (256, 256), "compression": "deflate", "photometric": "minisblack"}
        with tifffile.TiffWriter(path, ome=True) as tiff:
            tiff.write(np.stack(planes), subifds=1, metadata={"axes": "CYX"}, **options)
            other = np.stack([halved(planes[0]), halved(planes[1])[::-1]])
            tiff.write(other, subfiletype=1, metadata=None, **options)
        reader = reader_of(path)
        assert [reader.halvings(shift) for shift in range(3)] == [0, 1, 2]
        bare = opened(write_ome(tmp_path / "b.ome.tif", planes))
        assert np.array_equal(reader.region(1, (0, 0, 700, 533)), bare.reader.region(1, (0, 0, 700, 533)))


def with_tag(path: Path, tag: int, value: int, samples: NDArray[Any] = GREY) -> Path:
    """Write a file and overwrite a short tag's value in place."""
    write(path, samples)
    data = bytearray(path.read_bytes())
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, entry)[0] == tag:
            struct.pack_into("<H", data, entry + 8, value)
    path.write_bytes(data)
    return path


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "floating point": (lambda path: write(path, GREY.astype(np.float32)), "pixels of floating point"),
    "floating point, doubles": (
        lambda path: write(path, GREY.astype(np.float64)),
        "pixels of floating point",
    ),
    "half floats": (lambda path: write(path, GREY.astype(np.float16)), "pixels of floating point"),
    "complex": (lambda path: write(path, GREY.astype(np.complex64)), "pixels of complex numbers"),
    "64 bits": (lambda path: write(path, GREY.astype(np.uint64)), "pixels of 64 bits"),
    "CIELAB": (lambda path: with_tag(path, 262, 8), "photometric interpretation 8"),
    "another compression": (lambda path: with_tag(path, 259, 33007), "uncompressed YCbCr .33007"),
    "a predictor of floats": (lambda path: with_tag(path, 317, 3), "predictor 3"),
}


class TestRefusals:
    @pytest.mark.parametrize("kind", REFUSED)
    def test_inspect_names_what_is_not_supported(self, kind: str, tmp_path: Path) -> None:
        if kind == "a predictor of floats":
            path = write(tmp_path / "a.tif", GREY, compression="deflate", predictor=2)
            data = path.read_bytes()
            path.write_bytes(
                data.replace(struct.pack("<HHIH", 317, 3, 1, 2), struct.pack("<HHIH", 317, 3, 1, 3))
            )
        else:
            path = REFUSED[kind][0](tmp_path / "a.tif")
        with pytest.raises(UnreadableSlideError, match=REFUSED[kind][1]) as refusal:
            inspect(path, path.stat().st_size)
        assert "scan the slide again" not in str(refusal.value)
        with pytest.raises(CorruptTileError):
            reader_of(path).region(0, (0, 0, 10, 10))

    def test_channels_in_other_files_are_named(self, tmp_path: Path) -> None:
        path = write_ome(tmp_path / "a.ome.tif", PLANES[:2])
        text = path.read_bytes()
        path.write_bytes(text.replace(b'SizeC="2"', b'SizeC="3"'))
        with pytest.raises(UnreadableSlideError, match="channels that are not in this file"):
            inspect(path, path.stat().st_size)

    def test_channel_of_24_bits_is_named(self, tmp_path: Path) -> None:
        path = write_ome(tmp_path / "a.ome.tif", PLANES[:2])
        patch_item(path, 1, "BitsPerSample", 0, 24)
        with pytest.raises(UnreadableSlideError, match="pixels of 24 bits are not shown"):
            inspect(path, path.stat().st_size)

    def test_smaller_level_of_24_bits_is_no_level(self, tmp_path: Path) -> None:
        planes = [deep(seed, size=(1400, 1066)) for seed in (0, 3)]
        path = write_ome(tmp_path / "a.ome.tif", planes, levels=1)
        with tifffile.TiffFile(path) as tiff:
            places = [page.pages[0].tags["BitsPerSample"].valueoffset for page in tiff.pages]
        for at in places:
            patch(path, at, struct.pack("<H", 24))
        assert [reader_of(path).halvings(shift) for shift in range(3)] == [0, 1, 2]
        assert reader_of(path).region(1, (0, 0, 100, 100)).shape == (100, 100, 3)

    def test_damaged_tile_raises_and_is_left_out_of_the_window(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.tif", GREY)
        with tifffile.TiffFile(path) as tiff:
            at, length = tiff.pages[0].dataoffsets[1], tiff.pages[0].databytecounts[1]
        data = bytearray(path.read_bytes())
        data[at : at + length] = bytes(length)
        path.write_bytes(data)
        reader = reader_of(path)
        with pytest.raises(CorruptTileError):
            reader.region(0, (256, 0, 300, 30))
        assert reader.region(0, (0, 0, 200, 200)).mean() > 60

    @pytest.mark.parametrize("kind", ["ome", "lzw", "strips"])
    def test_changed_bytes_are_refused_or_readable(self, kind: str, tmp_path: Path) -> None:
        size = (60, 50)
        planes = [deep(seed, size=size) for seed in (0, 3)]
        path, rng = tmp_path / "a.tif", np.random.default_rng(11)
        if kind == "ome":
            write_ome(path, planes, NAMED and {"Name": ["A", "B"]}, tile=(32, 32))
        elif kind == "lzw":
            write(path, planes[0], tile=(32, 32), compression="lzw", predictor=2)
        else:
            write(path, np.stack(planes, -1), tile=None, rowsperstrip=9, extrasamples=["unspecified"])
        sound = path.read_bytes()
        for _ in range(300):
            data = bytearray(sound)
            for at in rng.integers(0, len(data) if rng.random() < 0.5 else 300, 3):
                data[at] = rng.integers(0, 256)
            path.write_bytes(data)
            try:
                inspect(path, len(data))
            except UnreadableSlideError:
                continue
            slide = opened(path)
            if slide.grid.width_px * slide.grid.height_px < 1_000_000:
                assert whole_level(slide, slide.max_level).ndim == 3


class TestOtherReaders:
    def test_tile_of_an_ordinary_slide_loads_no_modules_of_channels(self, tmp_path: Path) -> None:
        program = (
            "import sys; from pathlib import Path; from vsv.slides.slide import open_slide;"
            "from vsv.rendering.tiles import *; import serve_image.deepzoom.protocol;"
            "n = Path('none'); s = open_slide(Path(sys.argv[1]), n, n); render_tile(s, s.max_level, 0, 0, 'jpeg');"
            "names = ('vsv.slides.channel', 'vsv.formats.tiff_samples', 'vsv.formats.ome', 'vsv.rendering.shown');"
            "sys.exit(any(name.startswith(names) for name in sys.modules))"
        )
        path = write_slide(tmp_path / "a.svs", Plan())
        subprocess.run(
            [sys.executable, "-c", program, str(path)], check=True, cwd=ROOT / "functions", timeout=60
        )

    @pytest.mark.parametrize("byteorder", ["<", ">"])
    def test_dark_plain_image_of_16_bits_is_windowed(self, byteorder: str, tmp_path: Path) -> None:
        path = write(tmp_path / "a.tif", GREY, tile=None, byteorder=byteorder, rowsperstrip=50)
        slide = opened(path)
        assert type(slide.reader) is ImageReader
        assert difference(whole_level(slide, slide.max_level), grey(GREY)) <= 1

    def test_dark_png_of_16_bits_is_windowed(self, tmp_path: Path) -> None:
        from PIL import Image  # noqa: PLC0415

        path = tmp_path / "a.png"
        path.write_bytes(encoded(Image.fromarray(GREY), "PNG"))
        slide = opened(path)
        assert difference(whole_level(slide, slide.max_level), grey(GREY)) <= 1

    def test_deep_aperio_slide_keeps_its_properties(self, tmp_path: Path) -> None:
        scan = reader_of(KINDS["an Aperio slide"][0](tmp_path / "a.tif")).properties()
        assert (scan.image_id, scan.app_mag, scan.mpp, scan.tile_size) == ("1004486", "20", 0.499, 256)

    def test_8_bit_grey_and_rgb_stay_with_their_readers(self, tmp_path: Path) -> None:
        light = texture(*SIZE)
        ome: dict[str, Any] = {"ome": True, "photometric": "rgb", "tile": (256, 256)}
        tifffile.imwrite(tmp_path / "a.ome.tif", light, metadata={"axes": "YXS"}, **ome)
        tifffile.imwrite(
            tmp_path / "b.ome.tif",
            np.moveaxis(light, 2, 0),
            metadata={"axes": "SYX"},
            planarconfig="separate",
            **ome,
        )
        write(tmp_path / "c.tif", light[..., 0])
        write(tmp_path / "d.tif", light, photometric="rgb")
        for name in ("a.ome.tif", "b.ome.tif", "c.tif", "d.tif"):
            assert type(reader_of(tmp_path / name)) is OpenSlideReader
