"""OME-XML: planes in every order against numpy's own axes, and documents that are damaged or hostile."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vsv.formats.ome_xml import OmePixels, is_ome, read_ome

NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def document(pixels: str, inner: str = '<TiffData IFD="0" PlaneCount="{count}"/>', **sizes: int) -> bytes:
    count = int(np.prod(list(sizes.values()) or [1]))
    spelled = " ".join(f'Size{axis}="{size}"' for axis, size in sizes.items())
    channels = "<Channel/>" * sizes.get("C", 1)
    body = f"<Pixels {pixels} {spelled}>{channels}{inner.format(count=count)}</Pixels>"
    return f'<?xml version="1.0"?><OME xmlns="{NAMESPACE}" UUID="urn:uuid:1"><Image>{body}</Image></OME>'.encode()


def found(data: bytes) -> OmePixels:
    pixels = read_ome(data)
    assert pixels is not None
    return pixels


@pytest.mark.parametrize("order", ["".join(axes) for axes in permutations("CZT")])
@given(c=st.integers(1, 6), z=st.integers(1, 7), t=st.integers(1, 4), first=st.integers(0, 9))
@settings(max_examples=25)
def test_planes_are_those_of_numpys_axes_in_every_order(
    order: str, c: int, z: int, t: int, first: int
) -> None:
    sizes = {"C": c, "Z": z, "T": t}
    # The first axis of the order changes fastest: it is numpy's last.
    stack = np.arange(c * z * t).reshape([sizes[axis] for axis in reversed(order)]) + first
    by_axis = np.transpose(stack, [order[::-1].index(axis) for axis in "CZT"])
    inner = f'<TiffData IFD="{first}" PlaneCount="{{count}}"/>'
    pixels = found(document(f'DimensionOrder="XY{order}"', inner, **sizes))
    assert list(pixels.planes) == by_axis[:, z // 2, 0].tolist()


def test_planes_without_tiff_data_follow_each_other() -> None:
    assert found(document('DimensionOrder="XYCZT"', "", C=3, Z=1, T=1)).planes == (0, 1, 2)


def test_planes_of_other_files_are_not_here() -> None:
    inner = (
        '<TiffData IFD="4" FirstC="0"><UUID FileName="a">urn:uuid:1</UUID></TiffData>'
        '<TiffData IFD="5" FirstC="1"><UUID FileName="b">urn:uuid:2</UUID></TiffData>'
    )
    assert found(document('DimensionOrder="XYCZT"', inner, C=2, Z=1, T=1)).planes == (4, None)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('PhysicalSizeX="0.5"', 0.5),
        ('PhysicalSizeX="500" PhysicalSizeXUnit="nm"', 0.5),
        ('PhysicalSizeX="0.0005" PhysicalSizeXUnit="mm"', 0.5),
        ('PhysicalSizeX="1" PhysicalSizeXUnit="pixel"', None),
        ('PhysicalSizeX="-1"', None),
        ('PhysicalSizeX="nan"', None),
        ("", None),
    ],
)
def test_pixel_size_is_in_micrometres(attributes: str, expected: float | None) -> None:
    assert found(document(f'DimensionOrder="XYCZT" {attributes}', C=1)).mpp == pytest.approx(expected)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<OME",
        b"<OME/>",
        document('DimensionOrder="XYC"', C=1),
        document('DimensionOrder="XYCZT"', C=300, Z=300, T=300),
        document('DimensionOrder="XYCZT"', '<TiffData FirstC="7"/>', C=2),
        document('DimensionOrder="XYCZT" SizeC="many"'),
        b'<!DOCTYPE x [<!ENTITY a "b">]>' + document('DimensionOrder="XYCZT"', C=1),
        b"<OME>" * 5000,
        document('DimensionOrder="XYCZT"', "<TiffData/>" * 5000, C=100, Z=100, T=1),
    ],
)
def test_documents_that_cannot_be_understood_are_none(data: bytes) -> None:
    assert read_ome(data) is None


@pytest.mark.parametrize("count", ["-5000000000", "0", "99999999999999999999"])
def test_number_of_samples_that_no_channel_has_adds_no_channels(count: str) -> None:
    inner = f'<Channel SamplesPerPixel="{count}"/><TiffData/>'
    assert len(found(document('DimensionOrder="XYCZT"', inner, C=2, Z=1, T=1)).channels) == 3


@given(st.data())
@settings(max_examples=150)
def test_damaged_documents_raise_no_error(data: st.DataObject) -> None:
    whole = bytearray(document('DimensionOrder="XYZCT" PhysicalSizeX="0.25"', C=3, Z=2, T=1))
    places = st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255))
    for at, value in data.draw(st.lists(places, min_size=1, max_size=6)):
        whole[at] = value
    pixels = read_ome(bytes(whole))
    assert pixels is None or len(pixels.planes) == len(pixels.channels) >= 1


def test_descriptions_are_told_apart() -> None:
    assert is_ome(document("", C=1).decode())
    assert not is_ome("Aperio Image Library v11.2.1")
    assert not is_ome("<OMERO/>")
