"""Read the IIIF Image API's addresses ``{region}/{size}/{rotation}/{quality}.{format}`` as views, and write them.

Sources: IIIF Image API 3.0 sections 4.1 to 4.5, 4.7 (numbers) and 4.8 (canonical form); IIIF Image API 2.1 sections
4.1 to 4.7.
"""

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from vsv.errors import InvalidQueryError, TooLargeError, UnsupportedError
from vsv.rendering.image_request import MAX_AREA_PX, MAX_SIDE_PX, QUALITIES, View

MAX_DIGITS = 9
FORMATS = ("jpg", "png", "webp", "tif")
# Formats that the specification names and that are not served.
OTHER_FORMATS = frozenset({"gif", "jp2", "pdf"})
_WHOLE = rf"\d{{1,{MAX_DIGITS}}}"
_REAL = rf"(?:\d{{1,{MAX_DIGITS}}}(?:\.\d{{0,12}})?|\.\d{{1,12}})"
_REGION = re.compile(rf"({_WHOLE}),({_WHOLE}),({_WHOLE}),({_WHOLE})", re.ASCII)
_REGION_PCT = re.compile(rf"pct:({_REAL}),({_REAL}),({_REAL}),({_REAL})", re.ASCII)
_SIZE = re.compile(rf"(\^?)(?:(max|full)|pct:({_REAL})|(!?)({_WHOLE})?,({_WHOLE})?)", re.ASCII)
_ROTATION = re.compile(rf"(!?)({_REAL})", re.ASCII)

Size = tuple[int, int]
Region = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class ImageAddress:
    """An image's parsed address: the view, the format, and the canonical form of the address."""

    view: View
    fmt: str
    canonical: str


@dataclass(frozen=True, slots=True)
class Dialect:
    """The differences between the two versions of the API."""

    version: int

    @property
    def may_always_enlarge(self) -> bool:
        """Whether a size may exceed the region without a ``^``: in 2.1, not in 3.0."""
        return self.version == 2


def read(dialect: Dialect, whole: Size, region: str, size: str, rotation: str, last: str) -> ImageAddress:
    """Parse an address for a slide of ``whole`` pixels.

    Raises InvalidQueryError, TooLargeError, UnsupportedError.
    """
    quality, fmt = _quality_and_format(last)
    box = read_region(region, whole)
    width_px, height_px = read_size(dialect, size, box[2:])
    mirrored, degrees = read_rotation(rotation)
    view = View(*box, width_px, height_px, mirrored=mirrored, rotation=degrees, quality=quality)
    return ImageAddress(view, fmt, _canonical(dialect, view, whole, fmt))


def read_region(text: str, whole: Size) -> Region:
    """Return left, top, width and height in full-resolution pixels, cropped to the slide."""
    width, height = whole
    if text == "full":
        return 0, 0, width, height
    if text == "square":
        side = min(width, height)
        return (width - side) // 2, (height - side) // 2, side, side
    if (match := _REGION.fullmatch(text)) is not None:
        return _cropped(tuple(map(int, match.groups())), whole)
    if (match := _REGION_PCT.fullmatch(text)) is not None:
        return _cropped(_from_percent(match.groups(), whole), whole)
    raise InvalidQueryError("the region is full, square, x,y,w,h or pct:x,y,w,h")


def _from_percent(parts: tuple[str, ...], whole: Size) -> tuple[int, ...]:
    sides = (*whole, *whole)
    return tuple(round(Fraction(part) * side / 100) for part, side in zip(parts, sides, strict=True))


def _cropped(box: tuple[int, ...], whole: Size) -> Region:
    left, top, width, height = box
    width, height = min(width, whole[0] - left), min(height, whole[1] - top)
    if width < 1 or height < 1:
        raise InvalidQueryError("the region lies outside the slide, or is empty")
    return left, top, width, height


def read_size(dialect: Dialect, text: str, region: tuple[int, ...]) -> Size:
    """Return the width and height at which a region is drawn."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise InvalidQueryError(
            "the size is max, w, or ,h or w,h or !w,h or pct:n, with ^ before it to enlarge"
        )
    caret, word, percent, confined, width, height = match.groups()
    if caret and dialect.version == 2:
        raise InvalidQueryError("^ belongs to version 3 of the Image API")
    enlarging = bool(caret) or dialect.may_always_enlarge
    if word:
        return _max_size(dialect, word, region, bool(caret))
    if percent:
        size = _percent_size(Fraction(percent), region)
    elif confined:
        size = _confined_size(width, height, region, enlarging)
    else:
        size = _plain_size(width, height, region)
    return _check_enlarging(size, region, enlarging)


def _max_size(dialect: Dialect, word: str, region: tuple[int, ...], enlarged: bool) -> Size:
    width, height = region
    if word == "full":
        if dialect.version == 3:
            raise InvalidQueryError("the size full belongs to version 2 of the Image API: ask for max")
        if width * height > MAX_AREA_PX or max(width, height) > MAX_SIDE_PX:
            raise TooLargeError(
                f"a picture may have at most {MAX_AREA_PX} pixels: ask for a size, or for max"
            )
        return width, height
    scale = _max_scale(region)
    if scale >= 1 and not enlarged:
        return width, height
    return max(1, math.floor(width * scale)), max(1, math.floor(height * scale))


def _max_scale(region: tuple[int, ...]) -> float:
    """Return the scale at which a region reaches the limits."""
    width, height = region
    return min(math.sqrt(MAX_AREA_PX / (width * height)), MAX_SIDE_PX / width, MAX_SIDE_PX / height)


def _percent_size(percent: Fraction, region: tuple[int, ...]) -> Size:
    if percent == 0:
        raise InvalidQueryError("pct: must be more than 0")
    width, height = (max(1, round(side * percent / 100)) for side in region)
    return width, height


def _confined_size(width: str | None, height: str | None, region: tuple[int, ...], enlarging: bool) -> Size:
    if width is None or height is None or int(width) == 0 or int(height) == 0:
        raise InvalidQueryError("!w,h needs a width and a height of at least a pixel")
    scale = min(Fraction(int(width), region[0]), Fraction(int(height), region[1]))
    if not enlarging:
        scale = min(scale, Fraction(1))
    if scale > (max_scale := _max_scale(region)):
        return max(1, math.floor(region[0] * max_scale)), max(1, math.floor(region[1] * max_scale))
    return max(1, round(region[0] * scale)), max(1, round(region[1] * scale))


def _plain_size(width: str | None, height: str | None, region: tuple[int, ...]) -> Size:
    wide, high = (None if text is None else int(text) for text in (width, height))
    if (wide is None and high is None) or 0 in {wide, high}:
        raise InvalidQueryError("a size is at least a pixel wide or high")
    if wide is None:
        assert high is not None
        wide = max(1, round(Fraction(region[0] * high, region[1])))
    if high is None:
        high = max(1, round(Fraction(region[1] * wide, region[0])))
    return wide, high


def _check_enlarging(size: Size, region: tuple[int, ...], enlarging: bool) -> Size:
    if not enlarging and (size[0] > region[0] or size[1] > region[1]):
        raise InvalidQueryError(f"the region has only {region[0]}×{region[1]} pixels: put ^ before the size")
    return size


def read_rotation(text: str) -> tuple[bool, float]:
    """Return whether to mirror, and the degrees to turn clockwise afterwards, 0 to below 360."""
    match = _ROTATION.fullmatch(text)
    if match is None or float(match[2]) > 360:
        raise InvalidQueryError("the rotation is 0 to 360 degrees, with ! before it to mirror")
    return bool(match[1]), float(match[2]) % 360


def _quality_and_format(text: str) -> tuple[str, str]:
    quality, _, fmt = text.rpartition(".")
    if fmt in OTHER_FORMATS:
        raise UnsupportedError(f"the format {fmt} is not served: ask for one of {', '.join(FORMATS)}")
    if fmt not in FORMATS:
        raise InvalidQueryError(f"the format is one of {', '.join(FORMATS)}")
    if quality != "default" and quality not in QUALITIES:
        raise InvalidQueryError(f"the quality is one of default, {', '.join(QUALITIES)}")
    return ("color" if quality == "default" else quality), fmt


def _canonical(dialect: Dialect, view: View, whole: Size, fmt: str) -> str:
    box = (view.left_l0, view.top_l0, view.width_l0, view.height_l0)
    region = "full" if box == (0, 0, *whole) else ",".join(map(str, box))
    quality = "default" if view.quality == "color" else view.quality
    turn = f"{'!' if view.mirrored else ''}{_number(view.rotation)}"
    return f"{region}/{_canonical_size(dialect, view)}/{turn}/{quality}.{fmt}"


def _number(value: float) -> str:
    """Return a number without an exponent or trailing zeros (section 4.7 of the Image API 3.0)."""
    return f"{value:.12f}".rstrip("0").rstrip(".")


def _canonical_size(dialect: Dialect, view: View) -> str:
    region, size = (view.width_l0, view.height_l0), (view.width_px, view.height_px)
    if dialect.version == 2:
        if size == region:
            return "full"
        by_width = _plain_size(str(size[0]), None, region)
        return f"{size[0]}," if by_width == size else f"{size[0]},{size[1]}"
    for word, enlarged in (("max", False), ("^max", True)):
        if size == _max_size(dialect, "max", region, enlarged):
            return word
    larger = size[0] > region[0] or size[1] > region[1]
    return f"{'^' if larger else ''}{size[0]},{size[1]}"
