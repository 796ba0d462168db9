"""ICC profiles rebuilt from the tags that define colours: names, makers, serial numbers and dates are removed.

Source: ICC.1:2022, sections 7 (header and tags), 9 and 10 (tags and their types), and ICC.1:2001-04 for version 2.
"""

import struct
from dataclasses import dataclass

from vsv.rendering.icc import MAX_BYTES

_HEADER_BYTES, _MAX_TAGS = 128, 100
NAME = "Slide scanner"
_RIGHTS = "None"
# Tags that littlecms and other programs calculate with.
_COLOUR_TAGS = frozenset(
    (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC", b"wtpt", b"bkpt", b"chad",
     b"A2B0", b"A2B1", b"A2B2", b"B2A0", b"B2A1", b"B2A2",
     b"D2B0", b"D2B1", b"D2B2", b"D2B3", b"B2D0", b"B2D1", b"B2D2", b"B2D3")
)  # fmt: skip
_COLOUR_TYPES = frozenset((b"XYZ ", b"curv", b"para", b"sf32", b"mft1", b"mft2", b"mAB ", b"mBA ", b"mpet"))
# Header fields that identify maker, device and date: CMM, date, platform, flags to model, the half of the attributes
# that is the maker's own, creator, ID.
_BLANK = ((4, 8), (24, 36), (40, 56), (56, 60), (80, 128))
_DATE = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)  # the field must hold a valid date


@dataclass(frozen=True, slots=True)
class Element:
    """A tag of a profile and its content."""

    signature: bytes
    content: bytes

    @property
    def makes_colour(self) -> bool:
        """Whether the tag defines colours, and is copied."""
        return self.signature in _COLOUR_TAGS and self.content[:4] in _COLOUR_TYPES


def elements(profile: bytes) -> list[Element]:
    """Return a profile's tags; raise ValueError for data that is no profile or a damaged one."""
    if not _HEADER_BYTES + 4 <= len(profile) <= MAX_BYTES or profile[36:40] != b"acsp":
        raise ValueError("this is no ICC profile")
    (count,) = struct.unpack_from(">I", profile, _HEADER_BYTES)
    if count > _MAX_TAGS or len(profile) < _HEADER_BYTES + 4 + 12 * count:
        raise ValueError("the profile has too many tags")
    tags = []
    for index in range(count):
        signature, at, length = struct.unpack_from(">4sII", profile, _HEADER_BYTES + 4 + 12 * index)
        if length < 8 or at < _HEADER_BYTES or at + length > len(profile):
            raise ValueError("the profile is damaged")
        tags.append(Element(signature, profile[at : at + length]))
    return tags


def rebuild_profile(profile: bytes) -> bytes:
    """Return a profile of the same colours and no other content; raise ValueError for damaged or other data."""
    header = bytearray(profile[:_HEADER_BYTES])
    tags = [_trim(element) for element in elements(profile) if element.makes_colour]
    if not tags or len({element.signature for element in tags}) != len(tags):
        raise ValueError("the profile has no colours, or some of them twice")
    for first, end in _BLANK:
        header[first:end] = bytes(end - first)
    header[24:36] = _DATE
    encode_text = _encode_text_v2 if header[8] < 4 else _encode_text_v4
    tags += [
        Element(b"desc", encode_text(b"desc", NAME)),
        Element(b"cprt", encode_text(b"cprt", _RIGHTS)),
    ]
    return _write_profile(header, tags)


def _write_profile(header: bytearray, tags: list[Element]) -> bytes:
    at = _HEADER_BYTES + 4 + 12 * len(tags)
    table, contents, offsets = [], [], dict[bytes, int]()
    for element in tags:
        if element.content not in offsets:  # three channels often share a curve
            offsets[element.content] = at
            padded = element.content + bytes(-len(element.content) % 4)
            contents.append(padded)
            at += len(padded)
        table.append(struct.pack(">4sII", element.signature, offsets[element.content], len(element.content)))
    header[:4] = struct.pack(">I", at)
    return b"".join((header, struct.pack(">I", len(tags)), *table, *contents))


def _trim(element: Element) -> Element:
    """Return a tag without the bytes behind the end of a simple type, and with its reserved bytes blank."""
    content = element.content[:4] + bytes(4) + element.content[8:]
    count, kind = int.from_bytes(content[8:12]), int.from_bytes(content[8:10])
    parameters = (1, 3, 4, 5, 7)[min(kind, 4)]
    ends = {b"XYZ ": 20, b"curv": 12 + 2 * count, b"sf32": 44, b"para": 12 + 4 * parameters}
    return Element(element.signature, content[: ends.get(content[:4], len(content))])


def _encode_text_v4(_signature: bytes, text: str) -> bytes:
    coded = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">4xII2s2sII", 1, 12, b"en", b"US", len(coded), 28) + coded


def _encode_text_v2(signature: bytes, text: str) -> bytes:
    coded = text.encode("ascii") + b"\0"
    if signature == b"cprt":
        return b"text" + bytes(4) + coded
    return b"desc" + struct.pack(">4xI", len(coded)) + coded + bytes(4 + 4 + 2 + 1 + 67)
