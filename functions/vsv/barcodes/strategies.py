"""The ways to look at a label until its barcode is read, cheapest and most successful first."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import zxingcpp
from PIL import Image, ImageFilter

from vsv.barcodes import preprocessing as variants
from vsv.barcodes.datamatrix_repair import redrawn

WHOLE_SIDE = 1200  # of the whole label no more is looked at; small codes are seen in the cut-outs
MOST_REGIONS = 3
_LOCAL = zxingcpp.Binarizer.LocalAverage
_GLOBAL = zxingcpp.Binarizer.GlobalHistogram
Treatment = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class Picture:
    """What a reader is shown: an image, and where on the label it comes from."""

    image: Image.Image
    factor: float
    region: variants.Region | None = None

    def on_label(self, x: float, y: float) -> tuple[float, float]:
        """Return the label's pixel that stands at ``x``, ``y`` of this picture."""
        if self.region is None:
            return x / self.factor, y / self.factor
        aside = (x - self.image.width / 2) / self.factor, (y - self.image.height / 2) / self.factor
        return variants.turned(aside, self.region)


@dataclass(frozen=True)
class Attempt:
    """One way to look at a label: ``side`` 0 is all of it, otherwise its busy places at that many pixels.

    ``inkless`` fades coloured ink first; ``redraw`` redraws damaged Data Matrix symbols.
    """

    name: str
    side: int
    treat: Treatment
    binarizer: Any = _LOCAL
    inkless: bool = False
    enlarge: int = 1
    redraw: bool = False


def _plain(grey: Image.Image) -> Image.Image:
    return grey


def _filtered(*filters: Any) -> Treatment:
    def treat(grey: Image.Image) -> Image.Image:
        for one in filters:
            grey = grey.filter(one)
        return grey

    return treat


def _evened_and_averaged(grey: Image.Image) -> Image.Image:
    return variants.averaged(variants.local_contrast(grey))


def _averaged_across(grey: Image.Image) -> Image.Image:
    return variants.averaged(grey, along_shorter=False)


_SHARPER, _SHARP_WIDE = ImageFilter.UnsharpMask(5, 250, 0), ImageFilter.UnsharpMask(10, 300, 0)
_LIGHTER, _DARKER = ImageFilter.MaxFilter(3), ImageFilter.MinFilter(3)

# Cheapest and most successful first, by benchmarks/barcodes.py.
ATTEMPTS = (
    Attempt("plain", 0, _plain),
    Attempt("cut 640 median", 640, _filtered(ImageFilter.MedianFilter(3))),
    Attempt("cut 450", 450, _plain),
    Attempt("cut 900", 900, _plain),
    Attempt("cut 320 global", 320, _plain, _GLOBAL),
    Attempt("cut 640 local contrast", 640, variants.local_contrast),
    Attempt("cut 640 averaged", 640, variants.averaged),
    Attempt("cut 900 evened, averaged", 900, _evened_and_averaged),
    Attempt("redrawn 320", 320, _plain, redraw=True),
    Attempt("cut 900 averaged", 900, variants.averaged),
    Attempt("cut 220 sharper", 220, _filtered(_SHARPER)),
    Attempt("cut 450 sharper, wide", 450, _filtered(_SHARP_WIDE)),
    Attempt("cut 320 sharper, wide", 320, _filtered(_SHARP_WIDE)),
    Attempt("redrawn 480 without ink", 480, _plain, inkless=True, redraw=True),
    Attempt("cut 150 sharper", 150, _filtered(_SHARPER)),
    Attempt("cut 320", 320, _plain),
    Attempt("redrawn 400, median", 400, _filtered(ImageFilter.MedianFilter(3)), redraw=True),
    Attempt("cut 640 without ink", 640, _plain, inkless=True),
    Attempt("cut 450 local contrast", 450, variants.local_contrast),
    Attempt("cut 640 global", 640, _plain, _GLOBAL),
    Attempt("cut 640 closed", 640, _filtered(_LIGHTER, _DARKER)),
    Attempt("cut 900 averaged across", 900, _averaged_across),
    Attempt("cut 450 without ink, median", 450, _filtered(ImageFilter.MedianFilter(5)), inkless=True),
    Attempt("local contrast", 0, variants.local_contrast),
    Attempt("cut 900 blurred", 900, _filtered(ImageFilter.GaussianBlur(1.5))),
    Attempt("cut 640 sharper", 640, _filtered(_SHARPER)),
    Attempt("twice the size", 0, _plain, enlarge=2),
    Attempt("cut 640 blurred", 640, _filtered(ImageFilter.GaussianBlur(3))),
    Attempt("cut 900 sharper, wide", 900, _filtered(_SHARP_WIDE)),
)


class Views:
    """The pictures of one label, each made when first asked for."""

    def __init__(self, image: Image.Image) -> None:
        self._image = image

    @cached_property
    def rgb(self) -> Image.Image:
        """The label in RGB, bounded."""
        return variants.bounded_rgb(self._image)

    @cached_property
    def grey(self) -> Image.Image:
        """The label in grey."""
        return self.rgb.convert("L")

    @cached_property
    def inkless(self) -> Image.Image:
        """The label with coloured ink faded."""
        return variants.brightest_channel(self.rgb)

    @cached_property
    def regions(self) -> list[variants.Region]:
        """The places that look like a code."""
        return variants.find_regions(self.grey, most=MOST_REGIONS)

    def places(self, attempt: Attempt) -> Sequence[variants.Region | None]:
        """Return the places ``attempt`` looks at, None being the whole label."""
        return self.regions if attempt.side else [None]

    def pictures(self, attempt: Attempt, region: variants.Region | None) -> Iterator[Picture]:
        """Yield what ``attempt`` shows of one place."""
        source = self.inkless if attempt.inkless else self.grey
        if region is None:
            factor = self._whole_factor(attempt)
            yield Picture(attempt.treat(variants.resized(source, factor)), factor)
            return
        image = attempt.treat(variants.cut_out(source, region, attempt.side))
        factor = attempt.side / max(region.extent)
        if not attempt.redraw:
            yield Picture(image, factor, region)
            return
        for clean in redrawn(
            image
        ):  # all as if they filled the region: they are one symbol, read in many ways
            yield Picture(clean, max(clean.size) / max(region.extent), region)

    def megapixels(self, attempt: Attempt) -> float:
        """Return the most pixels that ``attempt`` looks at in one place, in millions."""
        if attempt.side:
            return attempt.side**2 / 1e6
        return self.grey.width * self.grey.height * self._whole_factor(attempt) ** 2 / 1e6

    def _whole_factor(self, attempt: Attempt) -> float:
        return min(float(attempt.enlarge), WHOLE_SIDE * attempt.enlarge / max(self.grey.size))
