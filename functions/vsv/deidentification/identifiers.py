"""Identifying texts of a slide and its record (PHI, dates, machines), which no copy may hold."""

import re
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePath

from vsv.barcodes.reader import read_codes
from vsv.deidentification import scrub_icc
from vsv.deidentification.geometry import geometry_of
from vsv.deidentification.image_description import HEAD, Field, rebuild
from vsv.deidentification.policy import Policy
from vsv.deidentification.pseudonyms import written_days
from vsv.deidentification.tag_allowlist import DESCRIPTION, PLACES, PROFILE, TABLES, is_text, tag_name, value
from vsv.errors import UnreadableSlideError
from vsv.formats.aperio_description import parse_tags
from vsv.formats.random_access import OpenFile
from vsv.formats.scan_time import scan_time
from vsv.formats.text_encoding import decode_text
from vsv.formats.tiff import read_pages
from vsv.formats.tiff_directories import Entry, Reader, directories
from vsv.records.models import SlideRecord
from vsv.rendering.associated_images import read_associated
from vsv.rendering.icc import MAX_BYTES

MAX_VALUES = 5000
MAX_CHARACTERS = 200
_MAX_TEXT = 1 << 20
_MAX_DIRECTORIES = 64
_ASCII = 2
_DIRECTORY_TAGS = (330, 34665, 34853)  # SubIFDs, Exif, GPS
_RUN = re.compile(rb"[\x20-\x7e\xa0-\xff]{6,}")
_BETWEEN = re.compile(r"[<>\"\r\n\t\0]+")
_BY_RECORD = (
    "image_id", "slide_id", "case_id", "filename", "barcode", "scanner_id", "reviewer", "note", "scan_date",
    "modified_by",
)  # fmt: skip
# The last change of a record may be the system's own, which identifies no person.
_SYSTEM = {"import", "vsv"}


@dataclass(frozen=True, slots=True)
class Value:
    """Text that a copy may not hold, and the name that stands for it in reports, which must not repeat the text."""

    name: str
    text: str


def identifying_values(path: Path, record: SlideRecord | None, policy: Policy) -> tuple[Value, ...]:
    """Return the identifying texts of an original and its record, each once.

    Raises UnreadableSlideError for a damaged slide, or for more than ``MAX_VALUES`` texts.
    """
    values = dict[str, Value]()
    outside = (*_record_values(record), *_name_values(path, record), *_label_values(path))
    for item in (*outside, *islice(_file_values(path, policy), MAX_VALUES + 1)):
        for text in _split(item.text):
            values.setdefault(text.lower(), Value(item.name, text))
    if len(values) > MAX_VALUES:
        raise UnreadableSlideError("the slide has more texts than can be searched for")
    return tuple(values.values())


def _split(text: str) -> Iterator[str]:
    """Yield a text's lines, long lines in parts: a part that a copy holds is a leak too."""
    for line in _BETWEEN.split(text):
        for start in range(0, len(line), MAX_CHARACTERS):
            if piece := line[start : start + MAX_CHARACTERS].strip():
                yield piece


def _record_values(record: SlideRecord | None) -> Iterator[Value]:
    if record is None:
        return
    for attribute in _BY_RECORD:
        text = getattr(record, attribute)
        if text and text not in _SYSTEM:
            yield Value(f"record: {attribute.replace('_', ' ')}", str(text))
    yield from (Value("record: candidate of its ID", text) for text in record.id_candidates or {})
    yield from _scan_dates(record.scan_date or "")


def _scan_dates(moment: str) -> Iterator[Value]:
    yield from (Value("scan date", text) for text in written_days(moment))


def _name_values(path: Path, record: SlideRecord | None) -> Iterator[Value]:
    """Yield the filename with and without suffix; a stored slide's filename is in its record."""
    name = record.filename if record is not None else path.name
    yield Value("file name", name)
    yield Value("file name", PurePath(name).stem)


def _label_values(path: Path) -> Iterator[Value]:
    label = None
    with suppress(UnreadableSlideError):  # OpenSlide cannot read a classic TIFF of the other byte order
        label = read_associated(path).get("label")
    codes = read_codes(label) if label is not None else ()
    yield from (Value("barcode on the label", code.text) for code in codes)


def _file_values(path: Path, policy: Policy) -> Iterator[Value]:
    file = OpenFile(path)
    reader = Reader(file)
    pages = read_pages(file)
    for page in pages:
        description = rebuild(page.description, policy, None, geometry_of(pages))
        yield from (_field_value(field) for field in description.removed)
        yield from (Value(HEAD, text) for text in description.strange)
        time = scan_time(parse_tags(page.description))
        yield from _scan_dates(time.text if time else "")
    for entries in _all_directories(reader):
        for tag, entry in entries.items():
            if tag == PROFILE and entry.length <= MAX_BYTES:
                yield from _profile_values(value(reader, entry, MAX_BYTES))
            elif is_text(entry) and tag not in {DESCRIPTION, TABLES, PROFILE, *PLACES}:
                yield from (Value(tag_name(tag), text) for text in _tag_texts(reader, entry))


def _tag_texts(reader: Reader, entry: Entry) -> Iterator[str]:
    data = value(reader, entry, _MAX_TEXT)
    if entry.type != _ASCII:
        return _extract_texts(data)
    return (decode_text(text) for text in data.split(b"\0"))


def _field_value(field: Field) -> Value:
    return Value(f"description key {field.name}", field.value)


def _all_directories(reader: Reader) -> Iterator[dict[int, Entry]]:
    """Yield the entries of pages and of the directories that pages point to; damaged directories are skipped."""
    waiting, seen = deque(directories(reader)), set[int]()
    while waiting:
        entries = waiting.popleft()
        yield entries
        for at in _directory_offsets(reader, entries):
            if at not in seen and len(seen) < _MAX_DIRECTORIES:
                seen.add(at)
                with suppress(UnreadableSlideError):
                    waiting.append(reader.directory(at)[0])


def _directory_offsets(reader: Reader, entries: dict[int, Entry]) -> Iterator[int]:
    for tag in _DIRECTORY_TAGS:
        entry = entries.get(tag)
        if entry is not None and entry.type in {4, 13, 16, 18}:
            code = "I" if entry.type in {4, 13} else "Q"
            yield from reader.unpack(code * min(entry.count, _MAX_DIRECTORIES), entry.at)


def _profile_values(data: bytes) -> Iterator[Value]:
    with suppress(ValueError):
        for element in scrub_icc.elements(data):
            if not element.makes_colour:
                yield from (Value("ICC profile", text) for text in _extract_texts(element.content[8:]))


def _extract_texts(data: bytes) -> Iterator[str]:
    """Yield the runs of characters in any bytes, for characters of one byte and of two bytes."""
    for view in (data, data.replace(b"\0", b"")):
        for run in _RUN.findall(view):
            try:
                yield run.decode("utf-8")
            except UnicodeDecodeError:
                yield run.decode("latin-1")


def allowed_texts(path: Path, policy: Policy) -> tuple[str, ...]:
    """Return the texts that a copy holds by its policy: a value that is part of such a text is no leak.

    The texts of the policy's ``keep_keys`` are left out: they can be any text, and may hold a person's name, which
    no copy may hold.
    """
    pages = read_pages(OpenFile(path))
    geometry, no_keys = geometry_of(pages), replace(policy, keep_keys=())
    kept = {field for page in pages for field in rebuild(page.description, no_keys, None, geometry).kept}
    heads = (page.description.partition("|")[0] for page in pages)
    sizes = (rebuild(head, policy, None, geometry).text for head in heads)
    return tuple(field.value for field in kept) + tuple(sizes)
