"""A slide's ICC profile: found, judged, and applied by littlecms.

Profiles are hostile until they have been read: a damaged one costs a line in the log and never an error.
Sources: ICC.1:2022, section 7 (header); TIFF tag 34675 (ICC profile, embedded as ICC.1 Annex B says).
"""

import hashlib
import io
import logging
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
from PIL import Image

from vsv.errors import CorruptTileError, ImageNotFoundError
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import Array
from vsv.nonblocking import check_may_wait
from vsv.rendering.colour_management import INTENTS
from vsv.slides.slide import Origin, Slide

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsProfile, ImageCmsTransform

# ImageCms is imported where a profile is opened: most slides have none.

log = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]

# Scanners' profiles have 1 kB (matrix) to 1 MB (tables).
MAX_BYTES = 4 << 20
# Slides whose profile is kept; those of one scanner share one, with its transforms.
MAX_KEPT = 32
# Rows converted at a time: littlecms's picture takes 8 bytes a pixel beside ours.
STRIP_PX = 512
MAX_NAME = 100


class Profile:
    """A profile that was opened, and its transforms to sRGB, each built once.

    ``name`` is its description; ``intent`` the one that its maker recommends; ``is_srgb`` tells that sRGB is what it
    describes, within one grey level.
    """

    def __init__(self, data: bytes) -> None:
        """Open and judge a profile; raises ValueError or PyCMSError where it cannot be used."""
        from PIL import ImageCms  # noqa: PLC0415

        _check_header(data)
        self._handle = ImageCms.getOpenProfile(io.BytesIO(data))
        self._transforms: dict[str, ImageCmsTransform] = {}
        self._damaged: set[str] = set()
        self._lock = Lock()
        self.name = _printable(ImageCms.getProfileDescription(self._handle)) or "unnamed"
        number = int.from_bytes(data[64:68])
        self.intent = INTENTS[number] if number < len(INTENTS) else INTENTS[0]
        grid = _grid()
        converted = self.convert(grid, "relative")
        self.is_srgb = bool(np.abs(converted.astype(int) - grid).max() <= 1)

    def allows(self, intent: str) -> bool:
        """Tell whether there is a way to sRGB by an intent: each may have a table of its own, and that be damaged."""
        from PIL.ImageCms import PyCMSError  # noqa: PLC0415

        if intent in self._damaged:
            return False
        try:
            self._transform(intent)
        except PyCMSError as error:
            log.warning(
                "colours are served as stored, the ICC profile has no usable %s intent: %s", intent, error
            )
            self._damaged.add(intent)
            return False
        return True

    def convert(self, pixels: Pixels, intent: str) -> Pixels:
        """Give (height, width, 3) pixels as sRGB; raises PyCMSError for an intent that is not allowed."""
        transform = self._transform(intent)
        out = np.empty_like(pixels)
        for top in range(0, pixels.shape[0], STRIP_PX):
            rows = slice(top, top + STRIP_PX)
            out[rows] = np.asarray(transform.apply(Image.fromarray(pixels[rows])))
        return out

    def _transform(self, intent: str) -> "ImageCmsTransform":
        if intent not in self._transforms:
            check_may_wait()
        with self._lock:  # one thread builds, which takes up to 100 ms, the others wait
            if intent not in self._transforms:
                self._transforms[intent] = _built(self._handle, intent)
            return self._transforms[intent]


def _built(handle: "ImageCmsProfile", intent: str) -> "ImageCmsTransform":
    """Build a transform to sRGB; raises PyCMSError where the profile's tables are damaged."""
    from PIL import ImageCms  # noqa: PLC0415

    # Without its cache of one pixel littlecms keeps nothing in a transform: threads may share it. The finer grid
    # halves what tables lose between its points, for 30 ms at the building. White is what the profile says.
    flags = ImageCms.Flags.NOCACHE | ImageCms.Flags.HIGHRESPRECALC | ImageCms.Flags.NOWHITEONWHITEFIXUP
    number = ImageCms.Intent(INTENTS.index(intent))
    return ImageCms.buildTransform(handle, ImageCms.createProfile("sRGB"), "RGB", "RGB", number, flags)


def _check_header(data: bytes) -> None:
    """Raise ValueError for what littlecms need not see."""
    if len(data) < 132 or data[36:40] != b"acsp" or int.from_bytes(data[:4]) > len(data):
        raise ValueError("this is no ICC profile, or not all of one")
    if data[16:20] != b"RGB ":
        raise ValueError("the profile is not one of RGB")


def _printable(text: str) -> str:
    return "".join(character for character in text[:MAX_NAME] if character.isprintable()).strip()


@lru_cache(maxsize=1)
def _grid() -> Pixels:
    """Give every combination of 18 levels of red, green and blue, as a picture."""
    steps = np.arange(0, 256, 15).astype(np.uint8)
    return np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(len(steps), -1, 3)


def profile_of(slide: Slide) -> Profile | None:
    """Give the slide's profile; None where it has none, or one that cannot be used."""
    return _profile_at(slide.path, slide.stamp, slide.origin, slide.icc)


@lru_cache(maxsize=MAX_KEPT)
def _profile_at(path: Path, _stamp: str, origin: Origin, place: Array | None) -> Profile | None:
    check_may_wait()
    data = _read(path, origin, place)
    return None if data is None else _shared(data)


_lock = Lock()
_profiles: WeakValueDictionary[bytes, Profile] = WeakValueDictionary()


def _shared(data: bytes) -> Profile | None:
    """Open a profile, unless one of the same content is open already."""
    digest = hashlib.sha256(data).digest()
    with _lock:
        found = _profiles.get(digest)
        if found is None and (found := _opened(data)) is not None:
            _profiles[digest] = found
        return found


def _opened(data: bytes) -> Profile | None:
    from PIL.ImageCms import PyCMSError  # noqa: PLC0415

    try:
        return Profile(data)
    except (PyCMSError, ValueError, TypeError, OSError) as error:
        log.warning("colours are served as stored, the ICC profile cannot be used: %s", error)
        return None


def converted(slide: Slide, pixels: Pixels, intent: str) -> Pixels:
    """Give the slide's pixels as sRGB; as they are, should its profile be gone since the intent was found."""
    profile = profile_of(slide)
    return pixels if profile is None else profile.convert(pixels, intent)


def converted_jpeg(slide: Slide, data: bytes, intent: str) -> bytes:
    """Give a JPEG of the slide's, its thumbnail, as sRGB; raises CorruptTileError where it cannot be decoded."""
    from vsv.slides.pixels import RECODED, encode_jpeg  # noqa: PLC0415

    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            picture = np.asarray(image.convert("RGB"))
    except OSError as error:
        raise CorruptTileError("the stored picture is damaged") from error
    return encode_jpeg(converted(slide, picture, intent), RECODED)


def stored_profile(slide: Slide) -> bytes:
    """Give the slide's profile for whoever wants the file; raises ImageNotFoundError without one."""
    data = _read(slide.path, slide.origin, slide.icc)
    if data is None:
        raise ImageNotFoundError("this slide has no ICC profile")
    return data


def _read(path: Path, origin: Origin, place: Array | None) -> bytes | None:
    """Give the stored profile; None where there is none, or one that is not to be had."""
    try:
        return _stored(path, origin, place)
    except ValueError as error:
        log.warning("colours are served as stored: %s", error)
        return None


def _stored(path: Path, origin: Origin, place: Array | None) -> bytes | None:
    if origin == "aperio":
        return None if place is None else OpenFile(path).read(place.at, _checked_size(place.count))
    if origin == "ordinary":
        from vsv.slides.image_reader import profile  # noqa: PLC0415

        found = profile(path)
        _checked_size(len(found or b""))
        return found
    from vsv.slides.openslide_reader import read_profile  # noqa: PLC0415

    return read_profile(path, _checked_size)


def _checked_size(size: int) -> int:
    """Give a profile's size back; raises ValueError where no profile is that large."""
    if size > MAX_BYTES:
        raise ValueError(f"an ICC profile of {size} bytes is no scanner's")
    return size
