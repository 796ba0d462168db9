"""ICC profiles rebuilt of what changes colours: their names, makers, serial numbers and dates go.

Source: ICC.1:2022, sections 7 (header and tags), 9 and 10 (tags and their types), and ICC.1:2001-04 for version 2.
"""

import struct
from dataclasses import dataclass

from vsv.rendering.icc import MAX_BYTES

_HEADER_BYTES, _MAX_TAGS = 128, 100
NAME = "Slide scanner"
_RIGHTS = "None"
# What littlecms and others compute with.
_COLOUR_TAGS = frozenset(
    (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC", b"wtpt", b"bkpt", b"chad",
     b"A2B0", b"A2B1", b"A2B2", b"B2A0", b"B2A1", b"B2A2",
     b"D2B0", b"D2B1", b"D2B2", b"D2B3", b"B2D0", b"B2D1", b"B2D2", b"B2D3")
)  # fmt: skip
_COLOUR_TYPES = frozenset((b"XYZ ", b"curv", b"para", b"sf32", b"mft1", b"mft2", b"mAB ", b"mBA ", b"mpet"))
# Where the header tells who, what and when: CMM, date, platform, flags to model, attributes' own half, creator, ID.
_BLANK = ((4, 8), (24, 36), (40, 56), (56, 60), (80, 128))
_DATE = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)  # it must be one


@dataclass(frozen=True, slots=True)
class Element:
    """One tag's content."""

    signature: bytes
    content: bytes

    @property
    def makes_colour(self) -> bool:
        """Tell whether it is copied."""
        return self.signature in _COLOUR_TAGS and self.content[:4] in _COLOUR_TYPES


def elements(profile: bytes) -> list[Element]:
    """Give a profile's tags; raises ValueError where it is none or damaged."""
    if not _HEADER_BYTES + 4 <= len(profile) <= MAX_BYTES or profile[36:40] != b"acsp":
        raise ValueError("this is no ICC profile")
    (count,) = struct.unpack_from(">I", profile, _HEADER_BYTES)
    if count > _MAX_TAGS or len(profile) < _HEADER_BYTES + 4 + 12 * count:
        raise ValueError("the profile has too many tags")
    found = []
    for index in range(count):
        signature, at, length = struct.unpack_from(">4sII", profile, _HEADER_BYTES + 4 + 12 * index)
        if length < 8 or at < _HEADER_BYTES or at + length > len(profile):
            raise ValueError("the profile is damaged")
        found.append(Element(signature, profile[at : at + length]))
    return found


def rebuilt(profile: bytes) -> bytes:
    """Write a profile of the same colours that says nothing else; raises ValueError where it is none or damaged."""
    header = bytearray(profile[:_HEADER_BYTES])
    kept = [_trimmed(element) for element in elements(profile) if element.makes_colour]
    if not kept or len({element.signature for element in kept}) != len(kept):
        raise ValueError("the profile has no colours, or some of them twice")
    for first, end in _BLANK:
        header[first:end] = bytes(end - first)
    header[24:36] = _DATE
    text = _text_2 if header[8] < 4 else _text_4
    kept += [Element(b"desc", text(b"desc", NAME)), Element(b"cprt", text(b"cprt", _RIGHTS))]
    return _joined(header, kept)


def _joined(header: bytearray, kept: list[Element]) -> bytes:
    at = _HEADER_BYTES + 4 + 12 * len(kept)
    table, contents, places = [], [], dict[bytes, int]()
    for element in kept:
        if element.content not in places:  # three channels often share one curve
            places[element.content] = at
            padded = element.content + bytes(-len(element.content) % 4)
            contents.append(padded)
            at += len(padded)
        table.append(struct.pack(">4sII", element.signature, places[element.content], len(element.content)))
    header[:4] = struct.pack(">I", at)
    return b"".join((header, struct.pack(">I", len(kept)), *table, *contents))


def _trimmed(element: Element) -> Element:
    """Cut off what lies behind a simple type's own end, and blank what is reserved in it."""
    content = element.content[:4] + bytes(4) + element.content[8:]
    count, kind = int.from_bytes(content[8:12]), int.from_bytes(content[8:10])
    parameters = (1, 3, 4, 5, 7)[min(kind, 4)]
    ends = {b"XYZ ": 20, b"curv": 12 + 2 * count, b"sf32": 44, b"para": 12 + 4 * parameters}
    return Element(element.signature, content[: ends.get(content[:4], len(content))])


def _text_4(_signature: bytes, text: str) -> bytes:
    coded = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">4xII2s2sII", 1, 12, b"en", b"US", len(coded), 28) + coded


def _text_2(signature: bytes, text: str) -> bytes:
    coded = text.encode("ascii") + b"\0"
    if signature == b"cprt":
        return b"text" + bytes(4) + coded
    return b"desc" + struct.pack(">4xI", len(coded)) + coded + bytes(4 + 4 + 2 + 1 + 67)
