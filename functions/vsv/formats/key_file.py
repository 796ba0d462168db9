"""Key files: texts of groups, keys and values, by which MRXS and Hamamatsu slides name their files.

Read as GLib's GKeyFile reads them, which OpenSlide uses: of a key that is repeated, the last value counts.
"""

from collections.abc import Mapping
from pathlib import Path

from vsv.errors import UnreadableSlideError

# OpenSlide refuses larger ones, too.
MAX_BYTES = 1 << 20
KeyFile = Mapping[str, Mapping[str, str]]


def read_key_file(path: Path) -> KeyFile:
    """Return the values by group and key; raise UnreadableSlideError for a file too large, OSError.

    Bytes that are not UTF-8 become surrogates, which no filename may have.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UnreadableSlideError(f"{path.name} is too large to be the text that names the slide's files")
    return parse_key_file(data.decode("utf-8", "surrogateescape").removeprefix("\ufeff"))


def parse_key_file(text: str) -> KeyFile:
    """Return the values by group and key; lines of any other form are skipped."""
    groups: dict[str, dict[str, str]] = {}
    group: dict[str, str] = {}
    for line in (line.strip() for line in text.split("\n")):
        key, equals, value = line.partition("=")
        if line.startswith("[") and line.endswith("]"):
            group = groups.setdefault(line[1:-1], {})
        elif equals and not line.startswith("#"):
            group[key.rstrip()] = value.lstrip()
    return groups


def whole_number(text: str | None, most: int) -> int | None:
    """Return the number from 0 to ``most`` that a value is; None for any other value."""
    is_number = text is not None and text.isascii() and text.isdigit() and len(text) <= len(str(most))
    number = int(text) if text is not None and is_number else most + 1
    return number if number <= most else None
