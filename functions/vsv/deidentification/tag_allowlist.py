"""The TIFF tags that a copy has: what describes the pixels, and nothing else. The names are TIFF 6.0's."""

import struct
from collections.abc import Mapping

from vsv.errors import UnreadableSlideError
from vsv.formats.tiff_directories import INTEGER_CODES, TYPE_BYTES, Entry, Reader
from vsv.formats.tiff_writer import Tags

_BYTE, _SHORT, _LONG, _RATIONAL, _LONG8 = 1, 3, 4, 5, 16
DESCRIPTION, TABLES, PROFILE = 270, 347, 34675
PLACES = frozenset((273, 279, 324, 325))
# Which numbers, and how many at most.
_NUMBERS = {
    254: 1, 256: 1, 257: 1, 258: 4, 259: 1, 262: 1, 274: 1, 277: 1, 278: 1, 284: 1, 296: 1, 322: 1, 323: 1,
    339: 4, 530: 2, 531: 1, 32997: 1,
}  # fmt: skip
_RATIONALS = {282: 1, 283: 1, 529: 3, 532: 6}
# Whoever counts the tags of a copy finds these, and where its blocks lie.
ALLOWED = frozenset((*_NUMBERS, *_RATIONALS, DESCRIPTION, TABLES, PROFILE, *PLACES))
_NAMES = {
    254: "NewSubfileType", 258: "BitsPerSample", 263: "Threshholding", 266: "FillOrder", 269: "DocumentName",
    270: "ImageDescription", 271: "Make", 272: "Model", 274: "Orientation", 280: "MinSampleValue",
    281: "MaxSampleValue", 285: "PageName", 297: "PageNumber", 305: "Software", 306: "DateTime", 315: "Artist",
    316: "HostComputer", 317: "Predictor", 330: "SubIFDs", 333: "InkNames", 337: "TargetPrinter",
    347: "JPEGTables", 700: "XMP", 32781: "ImageID", 33432: "Copyright", 33723: "IPTC", 34377: "Photoshop",
    34665: "Exif", 34675: "ICC profile", 34853: "GPS", 36867: "DateTimeOriginal", 42016: "ImageUniqueID",
    37510: "UserComment", 40092: "XPComment", 40093: "XPAuthor", 50839: "ImageJ", 65420: "Hamamatsu",
}  # fmt: skip


def tag_name(tag: int) -> str:
    """Give what a report calls a tag."""
    return _NAMES.get(tag, f"tag {tag}")


def structure(reader: Reader, entries: Mapping[int, Entry]) -> Tags:
    """Give the tags that are copied as they are; one of a wrong type, or of too many values, is left out."""
    tags: Tags = {}
    for tag, most in _NUMBERS.items():
        entry = entries.get(tag)
        if entry is not None and entry.type in INTEGER_CODES and 0 < entry.count <= most:
            numbers = reader.unpack(INTEGER_CODES[entry.type] * entry.count, entry.at)
            tags[tag] = _LONG if max(numbers) > 0xFFFF else _SHORT, numbers
    for tag, most in _RATIONALS.items():
        entry = entries.get(tag)
        if entry is not None and entry.type == _RATIONAL and 0 < entry.count <= most:
            numbers = reader.unpack("I" * (2 * entry.count), entry.at)
            tags[tag] = _RATIONAL, struct.pack(f"<{len(numbers)}I", *numbers)
    if max((max(v) for _, v in tags.values() if isinstance(v, tuple)), default=0) > 0xFFFFFFFF:
        raise UnreadableSlideError("damaged TIFF directory: impossible numbers")
    return tags


def value(reader: Reader, entry: Entry, most: int) -> bytes:
    """Read the bytes of a tag's value, at most so many."""
    return reader.read(entry.at, min(entry.length, most))


def is_text(entry: Entry) -> bool:
    """Tell whether a tag's value is text, or bytes that may hold some."""
    return TYPE_BYTES.get(entry.type, 1) == 1
