"""What a slide and its record say that might tell a person, a day or a machine: what no copy may hold."""

import re
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePath

from vsv.barcodes.reader import read_label
from vsv.deidentification import scrub_icc
from vsv.deidentification.image_description import HEAD, Field, rebuild
from vsv.deidentification.policy import Policy
from vsv.deidentification.pseudonyms import written_days
from vsv.deidentification.tag_allowlist import DESCRIPTION, PLACES, PROFILE, TABLES, is_text, tag_name, value
from vsv.errors import UnreadableSlideError
from vsv.formats.aperio_description import parse_tags, scan_time
from vsv.formats.random_access import OpenFile
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
# Who changed a record last may be the system itself, which is nobody.
_NOBODY = {"import", "vsv"}


@dataclass(frozen=True, slots=True)
class Value:
    """A text that a copy may not hold, and what it is called where it must not be repeated."""

    name: str
    text: str


def identifying_values(path: Path, record: SlideRecord | None, policy: Policy) -> tuple[Value, ...]:
    """Collect what the original and its record tell; raises UnreadableSlideError, or for values without number."""
    found = dict[str, Value]()
    every = (*_in_record(record), *_in_name(path, record), *_on_label(path))
    for item in (*every, *islice(_in_file(path, policy), MAX_VALUES + 1)):
        for text in _pieces(item.text):
            found.setdefault(text.lower(), Value(item.name, text))
    if len(found) > MAX_VALUES:
        raise UnreadableSlideError("the slide has more texts than can be searched for")
    return tuple(found.values())


def _pieces(text: str) -> Iterator[str]:
    """Cut a text into lines, and long ones into parts: a part that is found is a leak too."""
    for line in _BETWEEN.split(text):
        for start in range(0, len(line), MAX_CHARACTERS):
            if piece := line[start : start + MAX_CHARACTERS].strip():
                yield piece


def _in_record(record: SlideRecord | None) -> Iterator[Value]:
    if record is None:
        return
    for attribute in _BY_RECORD:
        text = getattr(record, attribute)
        if text and text not in _NOBODY:
            yield Value(f"record: {attribute.replace('_', ' ')}", str(text))
    yield from _scan_dates(record.scan_date or "")


def _scan_dates(moment: str) -> Iterator[Value]:
    yield from (Value("scan date", text) for text in written_days(moment))


def _in_name(path: Path, record: SlideRecord | None) -> Iterator[Value]:
    """Give the file's name with and without suffix; a stored slide's is in its record."""
    name = record.filename if record is not None else path.name
    yield Value("file name", name)
    yield Value("file name", PurePath(name).stem)


def _on_label(path: Path) -> Iterator[Value]:
    label = None
    with suppress(UnreadableSlideError):  # OpenSlide reads no old TIFF of the other byte order
        label = read_associated(path).get("label")
    barcode = read_label(label) if label is not None else None
    if barcode is not None:
        yield Value("barcode on the label", barcode.text)


def _in_file(path: Path, policy: Policy) -> Iterator[Value]:
    file = OpenFile(path)
    reader = Reader(file)
    for page in read_pages(file):
        found = rebuild(page.description, policy, None)
        yield from (_of_field(field) for field in found.removed)
        yield from (Value(HEAD, text) for text in found.strange)
        time = scan_time(parse_tags(page.description))
        yield from _scan_dates(time.text if time else "")
    for entries in _every_directory(reader):
        for tag, entry in entries.items():
            if tag == PROFILE and entry.length <= MAX_BYTES:
                yield from _in_profile(value(reader, entry, MAX_BYTES))
            elif is_text(entry) and tag not in {DESCRIPTION, TABLES, PROFILE, *PLACES}:
                yield from (Value(tag_name(tag), text) for text in _of_tag(reader, entry))


def _of_tag(reader: Reader, entry: Entry) -> Iterator[str]:
    data = value(reader, entry, _MAX_TEXT)
    if entry.type != _ASCII:
        return _texts(data)
    return (text.decode("utf-8", "replace") for text in data.split(b"\0"))


def _of_field(field: Field) -> Value:
    return Value(f"description key {field.name}", field.value)


def _every_directory(reader: Reader) -> Iterator[dict[int, Entry]]:
    """Give the entries of pages and of the directories that they point to; damaged ones are passed over."""
    waiting, seen = deque(directories(reader)), set[int]()
    while waiting:
        entries = waiting.popleft()
        yield entries
        for at in _pointed_to(reader, entries):
            if at not in seen and len(seen) < _MAX_DIRECTORIES:
                seen.add(at)
                with suppress(UnreadableSlideError):
                    waiting.append(reader.directory(at)[0])


def _pointed_to(reader: Reader, entries: dict[int, Entry]) -> Iterator[int]:
    for tag in _DIRECTORY_TAGS:
        entry = entries.get(tag)
        if entry is not None and entry.type in {4, 13, 16, 18}:
            code = "I" if entry.type in {4, 13} else "Q"
            yield from reader.unpack(code * min(entry.count, _MAX_DIRECTORIES), entry.at)


def _in_profile(data: bytes) -> Iterator[Value]:
    with suppress(ValueError):
        for element in scrub_icc.elements(data):
            if not element.makes_colour:
                yield from (Value("ICC profile", text) for text in _texts(element.content[8:]))


def _texts(data: bytes) -> Iterator[str]:
    """Give the runs of characters in bytes of any kind: of one byte each, and of two."""
    for view in (data, data.replace(b"\0", b"")):
        for run in _RUN.findall(view):
            try:
                yield run.decode("utf-8")
            except UnicodeDecodeError:
                yield run.decode("latin-1")


def on_purpose(path: Path, policy: Policy) -> tuple[str, ...]:
    """Give the texts that a copy holds because the policy says so: a value that is part of one is no leak there.

    Without those of its ``keep_keys``, which can be any text: one may hold a name, and none is to be in a copy.
    """
    kept = {
        field
        for page in read_pages(OpenFile(path))
        for field in rebuild(page.description, replace(policy, keep_keys=()), None).kept
    }
    sizes = (
        rebuild(page.description.partition("|")[0], policy, None).text for page in read_pages(OpenFile(path))
    )
    return tuple(field.value for field in kept) + tuple(sizes)
