"""Validation of file names and slide IDs from outside, before they become a path component.

A name that is not safe on every supported file system is refused. Each check costs one regular expression match.
"""

import re
from functools import lru_cache

from vsv.errors import InvalidNameError

# Single-file formats that OpenSlide opens; the system is made for Aperio's .svs.
# PNG and JPEG files are ordinary images; a TIFF file may be one too.
SLIDE_SUFFIXES = (".svs", ".tif", ".tiff", ".ndpi", ".scn", ".bif", ".svslide", ".png", ".jpg", ".jpeg")
ORDINARY_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
MAX_FILENAME = 200
# \Z and not $: a trailing newline is not part of a name.
_IMAGE_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?\Z")
_FILENAME = re.compile(r'[^\x00-\x1f\x7f/\\:*?"<>|.~\s-][^\x00-\x1f\x7f/\\:*?"<>|]*\Z')
# Names that Windows reserves for devices, with any suffix, and with blanks before the suffix.
_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|COM[\d¹²³]|LPT[\d¹²³])\s*(?:\.|\Z)", re.IGNORECASE)

# Bidirectional controls make a text look like another one: "Trojan Source", CVE-2021-42574. Unicode, UAX #9.
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_UNSHOWABLE = re.compile(
    rf"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_BIDI}\u2028\u2029\ud800-\udfff\ufffe\uffff]"
)
_LINE_ENDS = re.compile(r"[\t\n\r]")
# Characters without width, by which two IDs look the same; words of some languages need the joiners among them.
_INVISIBLE = re.compile(r"[\u00ad\u200b-\u200d\u2060\ufeff]")


def is_image_id(text: str) -> bool:
    """Return whether ``text`` is a valid ImageID."""
    return len(text) <= 64 and _is_name(text)


@lru_cache(maxsize=1024)  # a viewer requests hundreds of tiles of one slide
def _is_name(text: str) -> bool:
    return _IMAGE_ID.match(text) is not None and _DEVICE.match(text) is None


def unsupported_character(text: str, *, lines: bool = False, joiners: bool = False) -> str | None:
    """Return the first character that a text may not have, such as ``U+202E``; None where it may be stored.

    ``lines``: the text may have several lines. ``joiners``: the text is not an ID.
    """
    refused = (_UNSHOWABLE, *(() if lines else (_LINE_ENDS,)), *(() if joiners else (_INVISIBLE,)))
    found = next((match for pattern in refused if (match := pattern.search(text))), None)
    return None if found is None else f"U+{ord(found[0]):04X}"


def shown(text: str) -> str:
    """Return a text with a mark in place of characters that may change how other text is shown."""
    return _UNSHOWABLE.sub("\ufffd", text)


def checked_image_id(text: object) -> str:
    """Return ``text`` where it is a valid ImageID; raise InvalidNameError otherwise."""
    if not isinstance(text, str) or not is_image_id(text):
        raise InvalidNameError("an ImageID is 1 to 64 letters, digits, dots, dashes or underscores")
    return text


def checked_run_id(text: object) -> str:
    """Return ``text`` where it is a valid ID of an import run, safe in a path; raise InvalidNameError otherwise."""
    if not isinstance(text, str) or not is_image_id(text):
        raise InvalidNameError("this is not the ID of an import's run")
    return text


def is_slide_filename(text: str) -> bool:
    """Return whether ``text`` is one plain file name of a slide."""
    return (
        len(text) <= MAX_FILENAME
        and len(text.encode("utf-8", "surrogatepass")) <= MAX_FILENAME
        and _is_unicode(text)
        and text.lower().endswith(SLIDE_SUFFIXES)
        and _FILENAME.match(text) is not None
        and _DEVICE.match(text) is None
    )


def checked_filename(text: object) -> str:
    """Return ``text`` where it is one plain file name of a slide; raise InvalidNameError otherwise."""
    if not isinstance(text, str) or not is_slide_filename(text):
        raise InvalidNameError("filename must be the plain name of a slide file, such as 12345.svs")
    return text


def _is_unicode(text: str) -> bool:
    """Return whether a text has no lone surrogates, which can be neither stored nor sent."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
