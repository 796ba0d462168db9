"""Reader of the barcode on a slide's label: first Data Matrix, then QR, Code 128 and Code 39.

A wrong text files a slide under the wrong patient, whereas without a text a person only has to type one. Therefore a
text is accepted only when enough independent reads agree (``VOTES_NEEDED``), and reading stops when its time is up.
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

RANK = ("Data Matrix", "QR", "Code 128", "Code 39")  # which format wins when a label has several codes
BUDGET_S = (
    1.2  # 2 s would read 2 % more labels, and delay every import of a slide without a barcode that long
)
MAX_TEXT = 100
MIN_TEXT = 3  # two characters are more likely noise than an identifier
MIN_SIDE = 8
# Matrix codes have error correction: a read with correction to spare counts two votes. Code 39 has no check
# character; Code 128 has one, which one in 103 wrong reads of blurred labels passes.
VOTES_NEEDED = {"Data Matrix": 2, "QR": 2, "Code 128": 2, "Code 39": 3}
SPARE_CORRECTION = 0.25
MAX_PIXELS = 16_000_000  # no label camera delivers more, so nothing is lost by refusing
LINEAR_CHARACTERS = frozenset(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz -./:;_,#+()$%*&="
)
SURE_ATTEMPTS = (
    9  # attempts made before accepting a code that a higher-ranking one on the same label would replace
)
SLOWEST_START = {
    False: 0.25,
    True: 2.5,
}  # seconds per megapixel, before the first measurement; True: redrawing
LEAST_MEGAPIXELS = 0.1  # below this size the time no longer decreases with the size
SPENT = 0.85  # of the budget; the rest is a reserve for a busy machine
CAUTION = 2.0  # an attempt may take this many times as long per pixel as the slowest so far
LIBDMTX_S = 0.5
LIBDMTX_NAME = "libdmtx.so.0"
LIBDMTX_GRACE_S = 0.2  # libdmtx finishes the region in progress before it checks its timeout

_FORMATS = {
    zxingcpp.BarcodeFormat.DataMatrix: "Data Matrix",
    zxingcpp.BarcodeFormat.QRCode: "QR",
    zxingcpp.BarcodeFormat.Code128: "Code 128",
    zxingcpp.BarcodeFormat.Code39Std: "Code 39",  # as printed: +A stays +A, unlike in "full ASCII" Code 39
}
_ALL_FORMATS = zxingcpp.BarcodeFormats(list(_FORMATS))
_FORMATS[zxingcpp.BarcodeFormat.Code39] = "Code 39"  # the library reports reads of Code39Std as Code39
_MATRIX = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.DataMatrix)
Clock = Callable[[], float]


@dataclass(frozen=True)
class Barcode:
    """A barcode's text, its format, and the library that read the text."""

    text: str
    format: str
    reader: str


@dataclass(frozen=True)
class Read:
    """One code read in one picture: ``area`` and ``centre`` in pixels of the label, ``votes`` the read's weight."""

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
    """Return the label's highest-ranking code, None when no text is certain within ``budget_s`` seconds.

    Data Matrix wins over QR, Code 128 and Code 39; among codes of one kind the largest, then the topmost, then
    the leftmost.
    """
    if image.width * image.height > MAX_PIXELS:
        return None
    deadline = clock() + SPENT * budget_s
    views = Views(image)
    if min(views.grey.size) < MIN_SIDE:
        return None
    barcode = _read_zxing(views, attempts, deadline, clock)
    if barcode is None and (text := _read_libdmtx(views.grey, deadline - clock())):
        return Barcode(text, "Data Matrix", "libdmtx")
    return barcode


def libdmtx_missing() -> str | None:
    """Return None when libdmtx can be used, otherwise a start-up message that says what is missing and its effect."""
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
    """Return the module pylibdmtx, which needs distutils: on Python 3.12 and newer setuptools provides distutils."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pylibdmtx compares versions with distutils
        with contextlib.suppress(ImportError):  # Python 3.11 still includes distutils
            importlib.import_module("setuptools")
        search: Any = importlib.import_module("pylibdmtx.dmtx_library")
        search.find_library = _find_libdmtx
        return importlib.import_module("pylibdmtx.pylibdmtx")


def _find_libdmtx(name: str) -> str | None:
    """Return libdmtx's file name, tried with the system's loader first.

    ``ctypes.util`` searches by compilers and ldconfig, which Lambda does not have.
    """
    try:
        ctypes.CDLL(LIBDMTX_NAME)
    except OSError:
        return ctypes.util.find_library(name)  # the library's name differs on other systems
    return LIBDMTX_NAME


def _read_libdmtx(grey: Image.Image, left_s: float) -> str | None:
    """Return the Data Matrix text that libdmtx reads; None without one, without libdmtx or without time left."""
    limit = min(LIBDMTX_S, left_s - LIBDMTX_GRACE_S)
    if limit <= 0.05:
        return None
    try:
        decode = _libdmtx_module().decode
    except (ImportError, OSError):
        return None
    for result in decode(grey, timeout=int(limit * 1000), max_count=1, shrink=2):
        text = clean_text(result.data.decode("latin-1"), "Data Matrix")
        if text and text.isascii():
            return text
    return None


def _read_zxing(views: Views, attempts: Sequence[Attempt], deadline: float, clock: Clock) -> Barcode | None:
    """Return the code of the first attempts that make a text certain; stop before an attempt could take too long."""
    reads: list[Read] = []
    slowest = dict(SLOWEST_START)
    for number, attempt in enumerate(attempts, start=1):
        attempt_reads: list[Read] = []
        for region in views.places(attempt):
            before, size = clock(), max(views.megapixels(attempt), LEAST_MEGAPIXELS)
            if before + size * slowest[attempt.redraw] * CAUTION > deadline:
                break
            for picture in views.pictures(attempt, region):
                attempt_reads += _read_codes(picture, attempt)
            slowest[attempt.redraw] = max(slowest[attempt.redraw], (clock() - before) / size)
        reads += _distinct(attempt_reads)
        best = choose(reads)
        if best and (best.format == RANK[0] or number >= SURE_ATTEMPTS):
            return best
    return choose(reads)


def _read_codes(picture: Picture, attempt: Attempt) -> list[Read]:
    """Return the acceptable codes that zxing-cpp reads in one picture."""
    codes = zxingcpp.read_barcodes(
        picture.image,
        formats=_MATRIX if attempt.redraw else _ALL_FORMATS,
        binarizer=attempt.binarizer,
        is_pure=attempt.redraw,
        text_mode=zxingcpp.TextMode.Plain,
    )
    reads = (_to_read(code, picture) for code in codes)
    return [read for read in reads if read]


def _to_read(result: Any, picture: Picture) -> Read | None:
    """Return a result of zxing-cpp as a Read, None where its text cannot be a label's."""
    kind = _FORMATS.get(result.format)
    text = clean_text(result.text, kind) if kind and result.valid else None
    if kind is None or text is None:
        return None
    outline = result.position
    corners = [
        (p.x, p.y) for p in (outline.top_left, outline.top_right, outline.bottom_right, outline.bottom_left)
    ]
    centre = (sum(x for x, _ in corners) / 4, sum(y for _, y in corners) / 4)
    next_corners = corners[1:] + corners[:1]
    double_area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(corners, next_corners, strict=True))
    unused = (result.extra or {}).get("UEC", 0.0)
    votes = 2 if unused >= SPARE_CORRECTION else 1
    return Read(text, kind, votes, abs(double_area) / 2 / picture.factor**2, picture.on_label(*centre))


def clean_text(text: str, kind: str) -> str | None:
    """Return the text without surrounding separators, None where the text cannot be an identifier.

    Group separators inside are dropped, as hand scanners do; a text with other control characters is refused.
    """
    text = text.strip("\x1c\x1d\x1e\x1f\x04\x00 \t\r\n").replace("\x1d", "")
    if not MIN_TEXT <= len(text) <= MAX_TEXT or not text.isprintable() or "\ufffd" in text:
        return None
    if kind in ("Code 128", "Code 39") and not LINEAR_CHARACTERS.issuperset(text):
        return None
    return text


def _distinct(reads: list[Read]) -> list[Read]:
    """Return the largest read of each text: a text counts once per attempt, in however many regions it was read."""
    largest: dict[tuple[str, str], Read] = {}
    for read in sorted(reads, key=lambda read: read.area):
        largest[read.format, read.text] = read
    return list(largest.values())


def choose(reads: Sequence[Read]) -> Barcode | None:
    """Return the winner of all reads so far, None while no text has enough votes."""
    texts = {(read.format, read.text) for read in reads}
    certain = [text for text in texts if _is_certain(text, reads)]
    if not certain:
        return None
    kind, text = min(certain, key=lambda text: _order(text, reads))
    return Barcode(text, kind, "zxing-cpp")


def _is_certain(text: tuple[str, str], reads: Sequence[Read]) -> bool:
    """Return whether a text has enough votes: two more for each vote for another text in the same place."""
    own = [read for read in reads if (read.format, read.text) == text]
    rivals = [r for r in reads if (r.format, r.text) != text and any(_same_place(r, read) for read in own)]
    needed = VOTES_NEEDED[text[0]] + 2 * sum(read.votes for read in rivals)
    return sum(read.votes for read in own) >= needed


def _same_place(first: Read, second: Read) -> bool:
    return math.dist(first.centre, second.centre) < math.sqrt(max(first.area, second.area)) / 2


def _order(text: tuple[str, str], reads: Sequence[Read]) -> tuple[int, float, float, float, str]:
    """Return the sort key that puts the winner first: format, then size, then position."""
    first = next(read for read in reads if (read.format, read.text) == text)
    return RANK.index(first.format), -first.area, first.centre[1], first.centre[0], first.text
