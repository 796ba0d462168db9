"""Reader of the barcodes on a slide's label: matrix codes, PDF417 and linear codes.

A text is accepted only when enough independent reads agree (``agreement``), and reading stops when its time is up.
"""

import contextlib
import ctypes
import ctypes.util
import importlib
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import zxingcpp
from PIL import Image

from vsv.barcodes.agreement import (
    LINEAR,
    RANK,
    Barcode,
    Read,
    certain_codes,
    choose,
    clean_text,
    distinct,
    is_plausible,
    uncertain_texts,
)
from vsv.barcodes.strategies import ATTEMPTS, BARS, DATA_MATRIX, STACKED, USUAL, Attempt, Picture, Views
from vsv.barcodes.verification import is_on_label

__all__ = ["Barcode", "Read", "choose", "clean_text", "libdmtx_missing", "read_codes", "read_label"]

BUDGET_S = (
    1.2  # 2 s would read 2 % more labels, and delay every import of a slide without a barcode that long
)
MIN_SIDE = 8
SPARE_CORRECTION = 0.25
MAX_PIXELS = 16_000_000  # no label camera delivers more, so nothing is lost by refusing
# Attempts made before a label is taken to have no further code: where one fits, and where none does.
SURE_ATTEMPTS = {True: 11, False: 18}
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
    zxingcpp.BarcodeFormat.Aztec: "Aztec",
    zxingcpp.BarcodeFormat.PDF417: "PDF417",
    zxingcpp.BarcodeFormat.Code128: "Code 128",
    zxingcpp.BarcodeFormat.Code93: "Code 93",
    zxingcpp.BarcodeFormat.Code39Std: "Code 39",  # as printed: +A stays +A, unlike in "full ASCII" Code 39
    zxingcpp.BarcodeFormat.ITF: "ITF",
    zxingcpp.BarcodeFormat.Codabar: "Codabar",
}
_STACKED = frozenset({"Aztec", "PDF417"})
_NAMES = {
    USUAL: frozenset(RANK) - _STACKED,
    STACKED: _STACKED,
    BARS: LINEAR | {"PDF417"},
    DATA_MATRIX: frozenset({"Data Matrix"}),
}
_SETS = {
    codes: zxingcpp.BarcodeFormats([kind for kind, name in _FORMATS.items() if name in names])
    for codes, names in _NAMES.items()
}
_FORMATS[zxingcpp.BarcodeFormat.Code39] = "Code 39"  # the library reports reads of Code39Std as Code39
Clock = Callable[[], float]
Fits = Callable[[str], bool]


@dataclass(frozen=True)
class _Search:
    """The terms of a search for a label's codes."""

    fits: Fits
    attempts: Sequence[Attempt]
    deadline: float
    clock: Clock

    def is_enough(self, reads: Sequence[Read], number: int) -> bool:
        """Return whether no further code is to be expected after this number of attempts."""
        codes, uncertain = certain_codes(reads), uncertain_texts(reads)
        fitting = [code for code in codes if self.fits(code.text)]
        if not uncertain and any(code.format == RANK[0] for code in fitting):
            return True
        if number < SURE_ATTEMPTS[bool(fitting)] or not codes:
            return False
        return bool(fitting) or not any(map(self.fits, uncertain))


def read_codes(
    image: Image.Image,
    fits: Fits = is_plausible,
    budget_s: float = BUDGET_S,
    attempts: Sequence[Attempt] = ATTEMPTS,
    clock: Clock = time.monotonic,
) -> tuple[Barcode, ...]:
    """Return the label's codes, each text once; none where no text is certain within ``budget_s`` seconds.

    ``fits`` says whether a text can name a slide: reading ends at once with a Data Matrix that fits, where nothing
    else was seen. Matrix codes come first, then linear codes; of one kind the largest, the topmost, the leftmost.
    """
    if image.width * image.height > MAX_PIXELS:
        return ()
    deadline = clock() + SPENT * budget_s
    views = Views(image)
    if min(views.grey.size) < MIN_SIDE:
        return ()
    codes = _read_zxing(views, _Search(fits, attempts, deadline, clock))
    if not codes and (text := _read_libdmtx(views, deadline - clock())):
        return (Barcode(text, "Data Matrix", "libdmtx"),)
    return tuple(codes)


def read_label(
    image: Image.Image,
    budget_s: float = BUDGET_S,
    attempts: Sequence[Attempt] = ATTEMPTS,
    clock: Clock = time.monotonic,
) -> Barcode | None:
    """Return the first of the label's codes, None where no text is certain within ``budget_s`` seconds."""
    return next(iter(read_codes(image, is_plausible, budget_s, attempts, clock)), None)


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


def _read_libdmtx(views: Views, left_s: float) -> str | None:
    """Return the verified Data Matrix text that libdmtx reads; None without one, without libdmtx or time left."""
    limit = min(LIBDMTX_S, left_s - LIBDMTX_GRACE_S)
    if limit <= 0.05:
        return None
    try:
        decode = _libdmtx_module().decode
    except (ImportError, OSError):
        return None
    for result in decode(views.grey, timeout=int(limit * 1000), max_count=1, shrink=2):
        text = clean_text(result.data.decode("latin-1"), "Data Matrix")
        if text and text.isascii() and is_on_label(text, views):
            return text
    return None


def _read_zxing(views: Views, search: _Search) -> list[Barcode]:
    """Return the codes of the first attempts that are enough; stop before an attempt could take too long."""
    reads: list[Read] = []
    slowest = dict(SLOWEST_START)
    for number, attempt in enumerate(search.attempts, start=1):
        attempt_reads: list[Read] = []
        for region in views.places(attempt):
            before, size = search.clock(), max(views.megapixels(attempt), LEAST_MEGAPIXELS)
            if before + size * slowest[attempt.redraw] * CAUTION > search.deadline:
                break
            for picture in views.pictures(attempt, region):
                attempt_reads += _read_picture(picture, attempt)
            slowest[attempt.redraw] = max(slowest[attempt.redraw], (search.clock() - before) / size)
        reads += distinct(attempt_reads)
        if search.is_enough(reads, number):
            break
    return certain_codes(reads)


def _read_picture(picture: Picture, attempt: Attempt) -> list[Read]:
    """Return the acceptable codes that zxing-cpp reads in one picture."""
    codes = zxingcpp.read_barcodes(
        picture.image,
        formats=_SETS[attempt.codes],
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
