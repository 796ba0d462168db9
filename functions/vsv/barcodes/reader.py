"""Reads the barcode on a slide's label: first Data Matrix, then QR, Code 128 and Code 39.

A wrong text files a slide under the wrong patient, no text only asks a person to type. So a text counts only
when enough independent reads agree on it (``VOTES_NEEDED``), and a reading that takes too long is given up.
"""

import contextlib
import ctypes
import ctypes.util
import importlib
import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import zxingcpp
from PIL import Image

from vsv.barcodes.strategies import ATTEMPTS, Attempt, Picture, Views

RANK = ("Data Matrix", "QR", "Code 128", "Code 39")  # which wins when a label has several
BUDGET_S = 1.2  # two labels in a hundred more would be read in 2 s, and every import with none take that long
MAX_TEXT = 100
MIN_TEXT = 3  # two characters are more likely noise than an identifier
MIN_SIDE = 8
# A matrix code corrects its own errors, and a read of it with correction to spare is worth two votes. Code 39
# has no check character at all; Code 128 has one, of which wrong reads of blurred labels get past one in 103.
VOTES_NEEDED = {"Data Matrix": 2, "QR": 2, "Code 128": 2, "Code 39": 3}
SPARE_CORRECTION = 0.25
MAX_PIXELS = 16_000_000  # no label camera makes more; refusing costs nothing
LINEAR_CHARACTERS = frozenset(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz -./:;_,#+()$%*&="
)
SURE_ATTEMPTS = 9  # made before settling for a code that a better one on the same label would outrank
SLOWEST_START = {False: 0.25, True: 2.5}  # seconds per megapixel before any was measured; True: redrawing
LEAST_MEGAPIXELS = 0.1  # below this the time no longer falls with the size
SPENT = 0.85  # of the budget: the rest is for a machine that is busy just then
CAUTION = 2.0  # an attempt may cost this many times the slowest so far, per pixel
LIBDMTX_S = 0.5
LIBDMTX_NAME = "libdmtx.so.0"
LIBDMTX_GRACE_S = 0.2  # libdmtx finishes the place it is at before it looks at its clock

_FORMATS = {
    zxingcpp.BarcodeFormat.DataMatrix: "Data Matrix",
    zxingcpp.BarcodeFormat.QRCode: "QR",
    zxingcpp.BarcodeFormat.Code128: "Code 128",
    zxingcpp.BarcodeFormat.Code39Std: "Code 39",  # as printed: +A stays +A, unlike in "full ASCII" Code 39
}
_ALL_FORMATS = zxingcpp.BarcodeFormats(list(_FORMATS))
_FORMATS[zxingcpp.BarcodeFormat.Code39] = "Code 39"  # what the library calls its finds of Code39Std
_MATRIX = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.DataMatrix)
Clock = Callable[[], float]


@dataclass(frozen=True)
class Barcode:
    """A text that was read, the kind of code it stood in, and the reader that read it."""

    text: str
    format: str
    reader: str


@dataclass(frozen=True)
class Read:
    """One code read in one picture: ``area`` and ``centre`` in pixels of the label, ``votes`` its worth."""

    text: str
    format: str
    votes: int
    area: float
    centre: tuple[float, float]


def read_label(
    image: Image.Image,
    budget_s: float = BUDGET_S,
    attempts: Sequence[Attempt] = ATTEMPTS,
    clock: Clock = time.monotonic,
) -> Barcode | None:
    """Read the label's most important code, or None when no text is certain within ``budget_s`` seconds.

    Data Matrix wins over QR, Code 128 and Code 39; among codes of one kind the largest, then the topmost, then
    the leftmost.
    """
    if image.width * image.height > MAX_PIXELS:
        return None
    deadline = clock() + SPENT * budget_s
    views = Views(image)
    if min(views.grey.size) < MIN_SIDE:
        return None
    found = _zxing(views, attempts, deadline, clock)
    if found is None and (text := _libdmtx(views.grey, deadline - clock())):
        return Barcode(text, "Data Matrix", "libdmtx")
    return found


def libdmtx_missing() -> str | None:
    """Return None when libdmtx can be used, otherwise what is missing and what is lost, for the start-up."""
    try:
        _libdmtx_module()
    except (ImportError, OSError) as error:
        part = "the system library libdmtx" if "shared library" in str(error) else "the package pylibdmtx"
        return (
            f"Barcodes are read without libdmtx, because {part} cannot be loaded: "
            "now and then a damaged Data Matrix label more may have to be typed."
        )
    return None


def _libdmtx_module() -> Any:
    """Import pylibdmtx, which needs distutils: setuptools brings it back on Python 3.12 and newer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pylibdmtx compares versions with distutils
        with contextlib.suppress(ImportError):  # which Python 3.11 still has itself
            importlib.import_module("setuptools")
        search: Any = importlib.import_module("pylibdmtx.dmtx_library")
        search.find_library = _find_libdmtx
        return importlib.import_module("pylibdmtx.pylibdmtx")


def _find_libdmtx(name: str) -> str | None:
    """Find libdmtx as the system's loader does; the usual search asks compilers and ldconfig, and Lambda has none."""
    try:
        ctypes.CDLL(LIBDMTX_NAME)
    except OSError:
        return ctypes.util.find_library(name)  # other systems have other names for it
    return LIBDMTX_NAME


def _libdmtx(grey: Image.Image, left_s: float) -> str | None:
    """Ask libdmtx, if it is there and time is left."""
    limit = min(LIBDMTX_S, left_s - LIBDMTX_GRACE_S)
    if limit <= 0.05:
        return None
    try:
        decode = _libdmtx_module().decode
    except (ImportError, OSError):
        return None
    for found in decode(grey, timeout=int(limit * 1000), max_count=1, shrink=2):
        text = clean_text(found.data.decode("latin-1"), "Data Matrix")
        if text and text.isascii():
            return text
    return None


def _zxing(views: Views, attempts: Sequence[Attempt], deadline: float, clock: Clock) -> Barcode | None:
    """Make one attempt after the other until a text is certain or the next could take too long."""
    reads: list[Read] = []
    slowest = dict(SLOWEST_START)
    for number, attempt in enumerate(attempts, start=1):
        seen: list[Read] = []
        for place in views.places(attempt):
            before, size = clock(), max(views.megapixels(attempt), LEAST_MEGAPIXELS)
            if before + size * slowest[attempt.redraw] * CAUTION > deadline:
                break
            seen += [read for picture in views.pictures(attempt, place) for read in _codes(picture, attempt)]
            slowest[attempt.redraw] = max(slowest[attempt.redraw], (clock() - before) / size)
        reads += _distinct(seen)
        best = choose(reads)
        if best and (best.format == RANK[0] or number >= SURE_ATTEMPTS):
            return best
    return choose(reads)


def _codes(picture: Picture, attempt: Attempt) -> list[Read]:
    """Return the acceptable codes that zxing-cpp reads in one picture."""
    codes = zxingcpp.read_barcodes(
        picture.image,
        formats=_MATRIX if attempt.redraw else _ALL_FORMATS,
        binarizer=attempt.binarizer,
        is_pure=attempt.redraw,
        text_mode=zxingcpp.TextMode.Plain,
    )
    reads = (_read(code, picture) for code in codes)
    return [read for read in reads if read]


def _read(code: Any, picture: Picture) -> Read | None:
    """Translate what zxing-cpp found, or None if it is not a text for a label."""
    kind = _FORMATS.get(code.format)
    text = clean_text(code.text, kind) if kind and code.valid else None
    if kind is None or text is None:
        return None
    place = code.position
    corners = [(p.x, p.y) for p in (place.top_left, place.top_right, place.bottom_right, place.bottom_left)]
    middle = (sum(x for x, _ in corners) / 4, sum(y for _, y in corners) / 4)
    following = corners[1:] + corners[:1]
    twice = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(corners, following, strict=True))
    unused = (code.extra or {}).get("UEC", 0.0)
    votes = 2 if unused >= SPARE_CORRECTION else 1
    return Read(text, kind, votes, abs(twice) / 2 / picture.factor**2, picture.on_label(*middle))


def clean_text(text: str, kind: str) -> str | None:
    """Return the text without separators around it, or None where it cannot be an identifier.

    Group separators inside are dropped, as a hand scanner does; other control characters condemn the text.
    """
    text = text.strip("\x1c\x1d\x1e\x1f\x04\x00 \t\r\n").replace("\x1d", "")
    if not MIN_TEXT <= len(text) <= MAX_TEXT or not text.isprintable() or "\ufffd" in text:
        return None
    if kind in ("Code 128", "Code 39") and not LINEAR_CHARACTERS.issuperset(text):
        return None
    return text


def _distinct(reads: list[Read]) -> list[Read]:
    """Keep one read of each text: an attempt counts once, however many places it was seen at."""
    largest: dict[tuple[str, str], Read] = {}
    for read in sorted(reads, key=lambda read: read.area):
        largest[read.format, read.text] = read
    return list(largest.values())


def choose(reads: Sequence[Read]) -> Barcode | None:
    """Return the winner of all reads so far, or None while no text has the votes it needs."""
    texts = {(read.format, read.text) for read in reads}
    certain = [text for text in texts if _is_certain(text, reads)]
    if not certain:
        return None
    kind, text = min(certain, key=lambda text: _order(text, reads))
    return Barcode(text, kind, "zxing-cpp")


def _is_certain(text: tuple[str, str], reads: Sequence[Read]) -> bool:
    """Tell whether the text has its votes, and two more for each vote for another text in the same place."""
    own = [read for read in reads if (read.format, read.text) == text]
    rivals = [r for r in reads if (r.format, r.text) != text and any(_same_place(r, read) for read in own)]
    needed = VOTES_NEEDED[text[0]] + 2 * sum(read.votes for read in rivals)
    return sum(read.votes for read in own) >= needed


def _same_place(one: Read, other: Read) -> bool:
    return math.dist(one.centre, other.centre) < math.sqrt(max(one.area, other.area)) / 2


def _order(text: tuple[str, str], reads: Sequence[Read]) -> tuple[int, float, float, float, str]:
    """Return what sorts the winner first: kind, then size, then place."""
    first = next(read for read in reads if (read.format, read.text) == text)
    return RANK.index(first.format), -first.area, first.centre[1], first.centre[0], first.text
