"""Attempts to read a label's barcode, the cheapest and most successful first."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import zxingcpp
from PIL import Image, ImageFilter, ImageOps

from vsv.barcodes import preprocessing
from vsv.barcodes.datamatrix_repair import redraw_symbols

WHOLE_SIDE = 1200  # the size at which the whole label is read; small codes are read in the cut-outs
MOST_REGIONS = 3
_LOCAL = zxingcpp.Binarizer.LocalAverage
_GLOBAL = zxingcpp.Binarizer.GlobalHistogram
# The formats that an attempt looks for.
USUAL, STACKED, BARS, DATA_MATRIX = "usual", "stacked", "bars", "data matrix"
Treatment = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class Picture:
    """An image for a barcode reader, and the part of the label that the image shows."""

    image: Image.Image
    factor: float
    region: preprocessing.Region | None = None
    mirrored: bool = False

    def on_label(self, x: float, y: float) -> tuple[float, float]:
        """Return the label coordinates of the pixel ``x``, ``y`` of this picture."""
        x = self.image.width - x if self.mirrored else x
        if self.region is None:
            return x / self.factor, y / self.factor
        offset = (x - self.image.width / 2) / self.factor, (y - self.image.height / 2) / self.factor
        return preprocessing.to_label(offset, self.region)


@dataclass(frozen=True)
class Attempt:
    """One way to read a label: the whole label where ``side`` is 0, otherwise its busy regions, ``side`` pixels long.

    ``codes`` are the formats that are looked for: PDF417 and Aztec cost a third more, and are on few labels.
    ``inkless`` fades coloured ink first; ``redraw`` redraws damaged Data Matrix symbols; ``mirrored`` shows the label
    from behind.
    """

    name: str
    side: int
    treat: Treatment
    binarizer: Any = _LOCAL
    inkless: bool = False
    enlarge: int = 1
    redraw: bool = False
    mirrored: bool = False
    codes: str = USUAL


def _plain(grey: Image.Image) -> Image.Image:
    return grey


def _filter(*filters: Any) -> Treatment:
    def treat(grey: Image.Image) -> Image.Image:
        for image_filter in filters:
            grey = grey.filter(image_filter)
        return grey

    return treat


def _even_and_average(grey: Image.Image) -> Image.Image:
    return preprocessing.average_bars(preprocessing.local_contrast(grey))


def _average_across(grey: Image.Image) -> Image.Image:
    return preprocessing.average_bars(grey, along_shorter=False)


_SHARPER, _SHARP_WIDE = ImageFilter.UnsharpMask(5, 250, 0), ImageFilter.UnsharpMask(10, 300, 0)
_LIGHTER, _DARKER = ImageFilter.MaxFilter(3), ImageFilter.MinFilter(3)

# The cheapest and most successful first, as measured by benchmarks/barcodes.py.
ATTEMPTS = (
    Attempt("plain", 0, _plain),
    Attempt("cut 640 median", 640, _filter(ImageFilter.MedianFilter(3))),
    Attempt("cut 450", 450, _plain),
    Attempt("cut 900", 900, _plain),
    Attempt("stacked", 0, _plain, codes=STACKED),
    Attempt("cut 640 stacked", 640, _plain, codes=STACKED),
    Attempt("cut 320 global", 320, _plain, _GLOBAL),
    Attempt("cut 640 local contrast", 640, preprocessing.local_contrast),
    Attempt("cut 640 averaged", 640, preprocessing.average_bars),
    Attempt("cut 900 evened, averaged", 900, _even_and_average),
    Attempt("redrawn 320", 320, _plain, redraw=True, codes=DATA_MATRIX),
    # The reader finds neither light bars nor Data Matrix symbols that are seen from behind by itself.
    Attempt("inverted", 0, ImageOps.invert, codes=BARS),
    Attempt("mirrored", 0, ImageOps.mirror, mirrored=True, codes=DATA_MATRIX),
    Attempt("cut 450 inverted", 450, ImageOps.invert, codes=BARS),
    Attempt("cut 450 mirrored", 450, ImageOps.mirror, mirrored=True, codes=DATA_MATRIX),
    Attempt("cut 640 inverted", 640, ImageOps.invert, codes=BARS),
    Attempt("cut 900 inverted", 900, ImageOps.invert, codes=BARS),
    Attempt("cut 320 inverted", 320, ImageOps.invert, codes=BARS),
    Attempt("cut 900 averaged", 900, preprocessing.average_bars),
    Attempt("cut 220 sharper", 220, _filter(_SHARPER)),
    Attempt("cut 450 sharper, wide", 450, _filter(_SHARP_WIDE)),
    Attempt("cut 320 sharper, wide", 320, _filter(_SHARP_WIDE)),
    Attempt("redrawn 480 without ink", 480, _plain, inkless=True, redraw=True, codes=DATA_MATRIX),
    Attempt("cut 150 sharper", 150, _filter(_SHARPER)),
    Attempt("cut 320", 320, _plain),
    Attempt("redrawn 400, median", 400, _filter(ImageFilter.MedianFilter(3)), redraw=True, codes=DATA_MATRIX),
    Attempt("cut 640 without ink", 640, _plain, inkless=True),
    Attempt("cut 450 local contrast", 450, preprocessing.local_contrast),
    Attempt("cut 640 global", 640, _plain, _GLOBAL),
    Attempt("cut 640 closed", 640, _filter(_LIGHTER, _DARKER)),
    Attempt("cut 900 averaged across", 900, _average_across),
    Attempt("cut 450 without ink, median", 450, _filter(ImageFilter.MedianFilter(5)), inkless=True),
    Attempt("local contrast", 0, preprocessing.local_contrast),
    Attempt("cut 900 blurred", 900, _filter(ImageFilter.GaussianBlur(1.5))),
    Attempt("cut 640 sharper", 640, _filter(_SHARPER)),
    Attempt("twice the size", 0, _plain, enlarge=2),
    Attempt("cut 640 blurred", 640, _filter(ImageFilter.GaussianBlur(3))),
    Attempt("cut 900 sharper, wide", 900, _filter(_SHARP_WIDE)),
)


class Views:
    """The pictures of one label, each made at its first use."""

    def __init__(self, image: Image.Image) -> None:
        self._image = image

    @cached_property
    def rgb(self) -> Image.Image:
        """The label in RGB, of bounded size."""
        return preprocessing.bounded_rgb(self._image)

    @cached_property
    def grey(self) -> Image.Image:
        """The label in grey."""
        return self.rgb.convert("L")

    @cached_property
    def inkless(self) -> Image.Image:
        """The label with coloured ink faded."""
        return preprocessing.brightest_channel(self.rgb)

    @cached_property
    def regions(self) -> list[preprocessing.Region]:
        """The regions that look like a code."""
        return preprocessing.find_regions(self.grey, most=MOST_REGIONS)

    def places(self, attempt: Attempt) -> Sequence[preprocessing.Region | None]:
        """Return the regions that ``attempt`` reads; None is the whole label."""
        return self.regions if attempt.side else [None]

    def pictures(self, attempt: Attempt, region: preprocessing.Region | None) -> Iterator[Picture]:
        """Yield the pictures that ``attempt`` makes of one region."""
        source = self.inkless if attempt.inkless else self.grey
        if region is None:
            factor = self._whole_factor(attempt)
            image = attempt.treat(preprocessing.resize(source, factor))
            yield Picture(image, factor, mirrored=attempt.mirrored)
            return
        image = attempt.treat(preprocessing.cut_out(source, region, attempt.side))
        factor = attempt.side / max(region.extent)
        if not attempt.redraw:
            yield Picture(image, factor, region, attempt.mirrored)
            return
        # Each picture counts as filling the region: all show one symbol, sampled in different ways.
        for clean in redraw_symbols(image):
            yield Picture(clean, max(clean.size) / max(region.extent), region)

    def megapixels(self, attempt: Attempt) -> float:
        """Return the largest number of pixels that ``attempt`` reads in one region, in millions."""
        if attempt.side:
            return attempt.side**2 / 1e6
        return self.grey.width * self.grey.height * self._whole_factor(attempt) ** 2 / 1e6

    def _whole_factor(self, attempt: Attempt) -> float:
        return min(float(attempt.enlarge), WHOLE_SIDE * attempt.enlarge / max(self.grey.size))
