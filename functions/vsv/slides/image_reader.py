"""Reader of ordinary images: PNG, JPEG, and TIFF files that no slide reader opens.

Such a file is decoded as a whole, within a strict size limit: larger files are refused. Pixels are 8-bit RGB, rotated
according to the EXIF orientation, over white where the image is transparent.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt
from PIL import Image, JpegImagePlugin, PngImagePlugin

from vsv.errors import UnavailableError, UnreadableSlideError
from vsv.formats.aperio_description import is_aperio
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import read_pages
from vsv.formats.tiff_directories import is_tiff
from vsv.slides import deep_grey
from vsv.slides.deepzoom_grid import DEFAULT_TILE_SIZE, Grid
from vsv.slides.embedded_profile import colour_space, convert_to_srgb, embedded_profile
from vsv.slides.image_stack import open_shown_page
from vsv.slides.levels import Level
from vsv.slides.pixels import box_reduce
from vsv.slides.properties import Scan
from vsv.slides.reader import Box
from vsv.slides.source import Source

Pixels = npt.NDArray[np.uint8]

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
# Pillow refuses a PNG whose ICC profile is larger than 1 MiB; all texts of a PNG together stay within 64 MiB.
PngImagePlugin.MAX_TEXT_CHUNK = 16 << 20
# 300 MB as RGB, and up to 400 MB more during decoding.
MAX_PIXELS = 100_000_000
# Number of decoded images in the cache, which holds at most MAX_PIXELS in all and at least one image.
MAX_OPEN = 2
# Rows converted to RGB at a time, so that the whole image is in memory only as decoded and as RGB.
STRIP_PX = 512
# EXIF 2.32, tag Orientation. These views move no pixel; numpy only indexes them differently.
_TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda array: array,
    2: lambda array: array[:, ::-1],
    3: lambda array: array[::-1, ::-1],
    4: lambda array: array[::-1],
    5: lambda array: array.swapaxes(0, 1),
    6: lambda array: array.swapaxes(0, 1)[:, ::-1],
    7: lambda array: array.swapaxes(0, 1)[::-1, ::-1],
    8: lambda array: array.swapaxes(0, 1)[::-1],
}
_COLOURED = {"P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "YCbCr"}
_MODES = {"1", "L", "LA", "La", "CMYK"} | deep_grey.MODES | _COLOURED
_decoded: OrderedDict[tuple[int, int, int, int], Pixels] = OrderedDict()
_lock = Lock()


@dataclass(frozen=True, eq=False)
class ImageReader:
    """A PNG, JPEG or TIFF image that is not a slide; its only level is full resolution."""

    path: Path
    may_have_profile: bool = True

    @classmethod
    def of(cls, source: Source) -> "ImageReader | None":
        """Return a reader for an ordinary image, None for slides."""
        return cls(source.path) if is_plain(source.path) else None

    def grid(self) -> Grid:
        """Return a grid of the image's size with tiles of 256; raise UnreadableSlideError."""
        return Grid(*dimensions(self.path), DEFAULT_TILE_SIZE)

    def levels(self, grid: Grid) -> Mapping[int, Level]:
        """Return no level: the image is decoded as a whole."""
        del grid
        return {}

    def halvings(self, shift: int) -> int:
        """Return ``shift``: an image has full resolution only."""
        return shift

    def region(self, shift: int, box: Box) -> Pixels:
        """Return a box of full resolution halved ``shift`` times; raise UnreadableSlideError."""
        left, top, right, bottom = box
        return read_box(self.path, shift, left, top, right - left, bottom - top)

    def associated_images(self) -> dict[str, Image.Image]:
        """Return no image: an ordinary image has neither label nor macro."""
        return {}

    def icc_profile(self, check_size: Callable[[int], object]) -> bytes | None:
        """Return the ICC profile that applies to the decoded pixels; ``check_size`` may raise ValueError."""
        icc = profile(self.path)
        check_size(len(icc or b""))
        return icc

    def is_windowed(self) -> bool:
        """Return whether the pixels are grey of 16 bits in a window, which earlier versions showed dark."""
        with _open(self.path) as image:
            if image.mode not in deep_grey.MODES:
                return False
            try:
                return deep_grey.is_dark(image)
            except Exception as error:  # damaged pixels make Pillow's decoders raise any exception
                raise _unreadable(error) from error

    def properties(self) -> Scan:
        """Return size and format; an image has no other properties."""
        width_px, height_px = dimensions(self.path)
        kind, mode = description(self.path)
        return Scan(
            width_px=width_px,
            height_px=height_px,
            tile_size=None,
            compression=kind,
            tags={"Format": kind, "Pixels": mode},
            image_id=None,
            time=None,
            app_mag=None,
            mpp=None,
            scanner_id=None,
        )

    def check(self) -> tuple[int, int]:
        """Return width and height once all pixels are decoded; raise UnreadableSlideError."""
        height_px, width_px = pixels(self.path).shape[:2]
        return width_px, height_px


def is_plain(path: Path) -> bool:
    """Return whether a file is an ordinary image and not a slide, judged by its content."""
    file = OpenFile(path)
    return file.read(0, len(PNG)).startswith((PNG, JPEG)) or (is_tiff(file) and _is_plain_tiff(path, file))


def _is_plain_tiff(path: Path, file: OpenFile) -> bool:
    """Return whether a TIFF is intact and not a slide; a damaged slide counts as a slide, and is refused as such."""
    from vsv.slides.openslide_handles import is_known  # noqa: PLC0415  cold start: not needed for PNG and JPEG

    try:
        return not is_aperio(read_pages(file)[0].description) and not is_known(path)
    except UnreadableSlideError:
        return False


def dimensions(path: Path) -> tuple[int, int]:
    """Return width and height of the displayed image, from the header alone; raise UnreadableSlideError."""
    with _open(path) as image:
        return image.size[::-1] if _orientation(image) >= 5 else image.size


def description(path: Path) -> tuple[str, str]:
    """Return the image's format and pixel mode, such as ``PNG``, ``RGBA``."""
    with _open(path) as image:
        return str(image.format), image.mode


def profile(path: Path) -> bytes | None:
    """Return the ICC profile that applies to the decoded pixels, None where there is none."""
    with _open(path) as image:
        embedded = embedded_profile(image)
        return (
            embedded if embedded and image.mode in _COLOURED and colour_space(embedded) == b"RGB " else None
        )


def pixels(path: Path) -> Pixels:
    """Return all pixels, (height, width, 3) RGB; raise UnreadableSlideError."""
    try:
        stat = path.stat()
    except OSError as error:
        raise UnavailableError("the image's file cannot be opened now") from error
    key = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    with _lock:  # held during decoding: two at once would take twice the memory
        decoded = _decoded.pop(key, None)
        if decoded is None:
            decoded = _decode(path)
        _decoded[key] = decoded
        while len(_decoded) > MAX_OPEN or (len(_decoded) > 1 and _cached_pixel_count() > MAX_PIXELS):
            _decoded.popitem(last=False)
    return decoded


def _cached_pixel_count() -> int:
    return sum(array.size // 3 for array in _decoded.values())


def read_box(path: Path, shift: int, left: int, top: int, width_px: int, height_px: int) -> Pixels:
    """Return a box of the level that is full resolution halved ``shift`` times, in that level's pixels."""
    down = slice(top << shift, (top + height_px) << shift)
    across = slice(left << shift, (left + width_px) << shift)
    return np.ascontiguousarray(box_reduce(pixels(path)[down, across], shift))


def _open(path: Path) -> Image.Image:
    """Open an image and read its header.

    Image.open is not used: it would try every format. Its limit on pixels is checked by ``_check_kind`` instead.
    """
    head = OpenFile(path).read(0, len(PNG))
    try:
        if head.startswith(PNG):
            image: Image.Image = PngImagePlugin.PngImageFile(path)
        elif head.startswith(JPEG):
            image = JpegImagePlugin.JpegImageFile(path)
        else:
            image = open_shown_page(path)
    except Exception as error:  # damaged headers make Pillow's readers raise any exception
        raise _unreadable(error) from error
    _check_kind(image)
    return image


def _check_kind(image: Image.Image) -> None:
    width_px, height_px = image.size
    if width_px * height_px > MAX_PIXELS:
        image.close()
        raise UnreadableSlideError(
            f"the image has {width_px}×{height_px} pixels: an ordinary image may have {MAX_PIXELS:,} in all"
        )
    if image.mode not in _MODES:
        image.close()
        raise UnreadableSlideError("the image's pixels are of a kind that is not shown: save it as RGB")


def _unreadable(error: Exception) -> UnreadableSlideError:
    if isinstance(error, ValueError) and "MAX_TEXT" in str(error):
        return UnreadableSlideError(
            "the image's ICC profile, or its texts, are too large: save it without them"
        )
    return UnreadableSlideError(
        "the file is not a PNG, JPEG or TIFF image that can be shown, or not all of one"
    )


def _decode(path: Path) -> Pixels:
    with _open(path) as image:
        try:
            image.load()
            return _TURNS[_orientation(image)](_array(image))
        except MemoryError as error:
            raise UnavailableError("there is not enough memory to decode this image now") from error
        except Exception as error:  # damaged pixels make Pillow's decoders raise any exception
            raise _unreadable(error) from error


def _array(image: Image.Image) -> Pixels:
    """Return a decoded image as RGB."""
    if image.mode in deep_grey.MODES:
        return np.repeat(deep_grey.grey(image)[..., None], 3, axis=2)
    out = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, STRIP_PX):
        bottom = min(top + STRIP_PX, image.height)
        out[top:bottom] = np.asarray(_rgb(image.crop((0, top, image.width, bottom))))
    return out


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; always 1 for TIFF, which Pillow rotates by itself."""
    if image.format == "TIFF" or not image.info.get("exif"):
        return 1
    exif = Image.Exif()
    try:
        exif.load(image.info["exif"])
        orientation = exif.get(0x0112)
    except Exception:  # an unreadable orientation counts as none
        return 1
    return orientation if isinstance(orientation, int) and orientation in _TURNS else 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        return _over_white(image.convert("RGBA"))
    embedded = embedded_profile(image)
    if embedded and image.mode in {"L", "CMYK"} and colour_space(embedded) != b"RGB ":
        return convert_to_srgb(image, embedded)
    return image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    opaque = Image.new("RGB", image.size, "white")
    opaque.paste(image, mask=image.getchannel("A"))
    return opaque
