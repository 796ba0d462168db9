"""What an intact TIFF has that no reader here can show: named for people, so that nobody scans such a slide again."""

from collections.abc import Callable

from vsv.formats.aperio_description import is_aperio
from vsv.formats.tiff import COMPRESSION_NAMES, Page
from vsv.slides.aperio_reader import has_planes
from vsv.slides.levels import tiled

# What OpenSlide's libtiff decodes, and Aperio's JPEG 2000, which OpenSlide decodes itself.
_DECODED = frozenset((1, 5, 7, 8, 32773, 32946, 33003, 33005, 50000))
_APERIO_RAW = 33007
# Sources: TIFF 6.0 and its technical notes; libtiff's tiff.h; Aperio's "Third-Party Data Interchange".
_NAMES = COMPRESSION_NAMES | {
    2: "CCITT", 3: "CCITT Group 3", 4: "CCITT Group 4", 6: "old-style JPEG", 9: "JBIG", 10: "JBIG", 22610: "JPEG XR",
    _APERIO_RAW: "Aperio's uncompressed YCbCr (33007)", 34661: "JBIG", 34676: "SGI LogLuv", 34677: "SGI LogLuv",
    34712: "JPEG 2000 (34712)", 34887: "LERC", 34892: "lossy JPEG (34892)", 34925: "LZMA", 34926: "Zstandard (34926)",
    34927: "WebP (34927)", 34933: "PNG", 34934: "JPEG XR", 50001: "WebP", 50002: "JPEG XL",
}  # fmt: skip
_EXPORT = "This is the file's format, not a fault of the scan: export it as SVS or TIFF with"


def unsupported_feature(pages: tuple[Page, ...]) -> str | None:
    """Return a sentence that names what an intact TIFF has and cannot be shown; None where nothing is known."""
    return next((sentence for find in _FEATURES if (sentence := find(pages)) is not None), None)


def _coding(pages: tuple[Page, ...]) -> str | None:
    shown = (*tiled(pages), *pages)[0]
    if shown.compression in _DECODED:
        return None
    name = _NAMES.get(shown.compression, f"TIFF compression {shown.compression}")
    return f"its pixels are coded as {name}, which cannot be shown. {_EXPORT} JPEG tiles"


def _planes(pages: tuple[Page, ...]) -> str | None:
    if not has_planes(pages):
        return None
    return (
        "it holds several focal planes (a z-stack), which can be shown only as JPEG or JPEG 2000 tiles of one size. "
        f"{_EXPORT} such tiles, or one plane"
    )


def _strips(pages: tuple[Page, ...]) -> str | None:
    if tiled(pages[:1]) or not is_aperio(pages[0].description):
        return None
    return f"its full resolution is stored in strips, which cannot be shown as a slide. {_EXPORT} tiles"


def _order(pages: tuple[Page, ...]) -> str | None:
    """Return that levels are not in falling order, which OpenSlide requires."""
    widths = [page.width_px for page in tiled(pages)]
    if widths == sorted(widths, reverse=True):
        return None
    return f"its levels are not stored from the largest to the smallest. {_EXPORT} levels in that order"


_FEATURES: tuple[Callable[[tuple[Page, ...]], str | None], ...] = (
    _coding,
    _planes,
    _strips,
    _order,
)
