"""Allow-list of the TIFF tags that a copy may have: only tags that describe the pixels. The names are TIFF 6.0's."""

import struct
from collections.abc import Mapping

from vsv.errors import UnreadableSlideError
from vsv.formats.tiff_directories import INTEGER_CODES, TYPE_BYTES, Entry, Reader
from vsv.formats.tiff_writer import Tags

_BYTE, _SHORT, _LONG, _RATIONAL, _LONG8 = 1, 3, 4, 5, 16
DESCRIPTION, TABLES, PROFILE = 270, 347, 34675
PLACES = frozenset((273, 279, 324, 325))
# Tags of integers, and the largest number of values of each.
_NUMBERS = {
    254: 1, 256: 1, 257: 1, 258: 4, 259: 1, 262: 1, 274: 1, 277: 1, 278: 1, 284: 1, 296: 1, 322: 1, 323: 1,
    339: 4, 530: 2, 531: 1, 32997: 1,
}  # fmt: skip
_RATIONALS = {282: 1, 283: 1, 529: 3, 532: 6}
# All tags that a copy may hold, with those that locate its tiles and strips.
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
    """Return the name of a tag in a report."""
    return _NAMES.get(tag, f"tag {tag}")


def structure(reader: Reader, entries: Mapping[int, Entry]) -> Tags:
    """Return the tags that are copied unchanged; a tag of a wrong type or with too many values is left out.

    Raises UnreadableSlideError for impossible numbers.
    """
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
    """Return the bytes of a tag's value, at most ``most``."""
    return reader.read(entry.at, min(entry.length, most))


def is_text(entry: Entry) -> bool:
    """Return whether a tag's value is text, or bytes that may hold text."""
    return TYPE_BYTES.get(entry.type, 1) == 1
