"""OME-XML in the first description of an OME-TIFF: channels, the order of planes, pixel size and objective.

Source: the OME data model 2016-06 (Pixels, Channel, TiffData) and "The OME-TIFF format". The text is untrusted: a
document with a DTD is not read, and counts are bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_CHANNELS, MAX_PLANES, MAX_NAME = 256, 65536, 100
_MICROMETRES = {"µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "pm": 1e-6}
_NANOMETRES = {unit: 1e3 * scale for unit, scale in _MICROMETRES.items()}

Color = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class OmeChannel:
    """A channel as it is described; ``samples`` is the number of its samples in a pixel: 3 for RGB."""

    name: str | None
    color: Color | None
    emission_nm: float | None
    samples: int


@dataclass(frozen=True, slots=True)
class OmePixels:
    """The first image of an OME-TIFF.

    ``planes`` holds for each channel the index of the TIFF directory with its plane, of the first time point and the
    focal plane nearest the middle; None where all of its planes are in other files or nowhere.
    """

    channels: tuple[OmeChannel, ...]
    planes: tuple[int | None, ...]
    mpp: float | None
    power: float | None
    moment: str | None


def is_ome(description: str) -> bool:
    """Return whether a description is OME-XML."""
    return "<OME" in description[:4096] and "openmicroscopy.org" in description[:4096]


def read_ome(document: bytes) -> OmePixels | None:
    """Return the first image that a document describes; None where it describes none that can be understood."""
    from xml.etree import ElementTree  # noqa: PLC0415  cold start

    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        return None
    try:
        root = ElementTree.fromstring(document)  # noqa: S314  without a DTD, nothing is expanded
        image = next(_children(root, "Image"))
        pixels = next(_children(image, "Pixels"))
        return _pixels(root, image, pixels)
    except (ElementTree.ParseError, StopIteration, ValueError, KeyError, RecursionError):
        return None


def _pixels(root: Element, image: Element, pixels: Element) -> OmePixels:
    count, depth, times = (_count(pixels, name) for name in ("SizeC", "SizeZ", "SizeT"))
    channels = tuple(_channel(element) for element in _children(pixels, "Channel"))[:MAX_CHANNELS]
    missing = max(0, min(count, MAX_CHANNELS) - sum(channel.samples for channel in channels))
    channels += (OmeChannel(None, None, None, 1),) * missing  # a document may leave them out
    sizes = {"C": len(channels), "Z": depth, "T": times}
    date = next(_children(image, "AcquisitionDate"), None)
    return OmePixels(
        channels,
        _middle_planes(_planes(root, pixels, sizes), sizes),
        mpp=_length(pixels, "PhysicalSizeX", "µm", _MICROMETRES),
        power=_power(root),
        moment=None if date is None else (date.text or "").strip() or None,
    )


def _channel(element: Element) -> OmeChannel:
    name = (element.get("Name") or element.get("Fluor") or "").strip()
    color = element.get("Color")
    return OmeChannel(
        name="".join(letter for letter in name[:MAX_NAME] if letter.isprintable()) or None,
        color=None if color is None else _color(int(color)),
        emission_nm=_length(element, "EmissionWavelength", "nm", _NANOMETRES),
        samples=_count(element, "SamplesPerPixel"),
    )


def _color(number: int) -> Color:
    """Return the colour of a signed number of 32 bits: red, green, blue, opacity from the highest byte on."""
    red, green, blue, _ = (number & 0xFFFFFFFF).to_bytes(4)
    return red, green, blue


def _planes(root: Element, pixels: Element, sizes: dict[str, int]) -> dict[tuple[int, int, int], int | None]:
    """Return the directory of each plane by channel, focal plane and time, as the TiffData elements say."""
    order = pixels.attrib["DimensionOrder"][2:]
    total = sizes["C"] * sizes["Z"] * sizes["T"]
    if sorted(order) != ["C", "T", "Z"] or not 0 < total <= MAX_PLANES:
        raise ValueError("the order of planes is not one of OME's")
    own, planes, room = root.get("UUID"), dict[tuple[int, int, int], int | None](), 2 * MAX_PLANES
    elements = list(_children(pixels, "TiffData"))
    for element in elements:
        first = tuple(int(element.get(f"First{axis}") or 0) for axis in order)
        default = 1 if element.get("IFD") is not None else total
        start, at = int(element.get("IFD") or 0), _place(first, order, sizes)
        uuid = next(_children(element, "UUID"), None)
        is_here = uuid is None or own is None or (uuid.text or "").strip() == own
        count = max(0, min(int(element.get("PlaneCount") or default), total - at))
        room -= count + 1
        if room < 0:
            raise ValueError("the document names planes again and again")
        for index in range(count):
            planes[_coordinates(at + index, order, sizes)] = start + index if is_here else None
    if not elements:
        return {_coordinates(index, order, sizes): index for index in range(total)}
    return planes


def _middle_planes(
    planes: dict[tuple[int, int, int], int | None], sizes: dict[str, int]
) -> tuple[int | None, ...]:
    """Return for each channel the directory of the earliest plane that is here, nearest the middle of the focus."""
    middle, best = sizes["Z"] // 2, dict[int, tuple[int, int, int]]()
    for (channel, z, t), at in planes.items():
        if at is not None and (channel not in best or (t, abs(z - middle), at) < best[channel]):
            best[channel] = t, abs(z - middle), at
    return tuple(best[channel][2] if channel in best else None for channel in range(sizes["C"]))


def _place(first: tuple[int, ...], order: str, sizes: dict[str, int]) -> int:
    """Return the place of a plane in the order of planes."""
    place, step = 0, 1
    for number, axis in zip(first, order, strict=True):
        if not 0 <= number < sizes[axis]:
            raise ValueError("a plane lies outside the image")
        place, step = place + number * step, step * sizes[axis]
    return place


def _coordinates(place: int, order: str, sizes: dict[str, int]) -> tuple[int, int, int]:
    """Return channel, focal plane and time of the plane at a place in the order of planes."""
    found = {}
    for axis in order:
        place, found[axis] = divmod(place, sizes[axis])
    return found["C"], found["Z"], found["T"]


def _count(element: Element, name: str) -> int:
    return max(1, int(element.get(name) or 1))


def _length(element: Element, name: str, unit: str, scales: dict[str, float]) -> float | None:
    """Return a length in the unit whose scale is 1, None where it is missing, not positive or of another unit."""
    value = float(element.get(name) or 0) * scales.get(element.get(f"{name}Unit") or unit, 0)
    return value if 0 < value < 1e6 else None


def _power(root: Element) -> float | None:
    """Return the magnification of the first objective that has one."""
    for instrument in _children(root, "Instrument"):
        for objective in _children(instrument, "Objective"):
            power = float(objective.get("NominalMagnification") or 0)
            if 0 < power < 1e4:
                return power
    return None


def _children(element: Element, name: str) -> Iterator[Element]:
    """Yield an element's children of a name, of any version's namespace."""
    return (child for child in element if child.tag.rpartition("}")[2] == name)
