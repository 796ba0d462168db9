"""A slide's ICC profile: read, checked, and applied by littlecms.

Profiles are untrusted input until they have been read: a damaged profile costs a line in the log and never an error.
Sources: ICC.1:2022, section 7 (header); TIFF tag 34675 (ICC profile, embedded as ICC.1 Annex B says).
"""

import hashlib
import io
import logging
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from vsv.errors import CorruptTileError, ImageNotFoundError
from vsv.nonblocking import check_may_wait
from vsv.rendering.colour_request import INTENTS
from vsv.rendering.profile_cache import Outcome, ProfileCache
from vsv.slides.reader import SlideReader
from vsv.slides.slide import Slide

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsProfile, ImageCmsTransform

# ImageCms is imported where a profile is opened: most slides have none.

log = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]

# Scanners' profiles have 1 kB (matrix) to 13 MB (the tables of a GT450).
MAX_BYTES = 16 << 20
# Memory of an open profile beside its content, which littlecms keeps twice: its transforms.
TRANSFORM_BYTES = 2 << 20
# Rows converted at a time: littlecms's picture takes 8 bytes a pixel in addition to ours.
STRIP_PX = 512
MAX_NAME = 100
UNUSABLE = "the ICC profile is damaged, or not one of RGB"


class Profile:
    """An open ICC profile, and its transforms to sRGB, each built once.

    ``name`` is the profile's description; ``intent`` the rendering intent that the profile recommends; ``is_srgb``
    whether the profile describes sRGB, within one grey level; ``cost`` the memory that it takes, in bytes.
    """

    def __init__(self, data: bytes) -> None:
        """Open and check a profile; raise ValueError or PyCMSError where the profile cannot be used."""
        from PIL import ImageCms  # noqa: PLC0415

        _check_header(data)
        self.cost = 2 * len(data) + TRANSFORM_BYTES
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
        """Return whether the profile converts to sRGB by an intent: each may have its own table, perhaps damaged."""
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
        """Return (height, width, 3) pixels as sRGB; raise PyCMSError for an intent that is not allowed."""
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
                self._transforms[intent] = _build_transform(self._handle, intent)
            return self._transforms[intent]


def _build_transform(handle: "ImageCmsProfile", intent: str) -> "ImageCmsTransform":
    """Return a transform to sRGB; raise PyCMSError where the profile's tables are damaged."""
    from PIL import ImageCms  # noqa: PLC0415

    # Without its cache of one pixel littlecms keeps no state in a transform: threads may share it. The finer grid
    # halves the tables' error between its points, for 30 ms when the transform is built. White is the profile's.
    flags = ImageCms.Flags.NOCACHE | ImageCms.Flags.HIGHRESPRECALC | ImageCms.Flags.NOWHITEONWHITEFIXUP
    number = ImageCms.Intent(INTENTS.index(intent))
    return ImageCms.buildTransform(handle, ImageCms.createProfile("sRGB"), "RGB", "RGB", number, flags)


def _check_header(data: bytes) -> None:
    """Raise ValueError for data that is no complete RGB profile, before littlecms reads it."""
    if len(data) < 132 or data[36:40] != b"acsp" or int.from_bytes(data[:4]) > len(data):
        raise ValueError("this is no ICC profile, or not all of one")
    if data[16:20] != b"RGB ":
        raise ValueError("the profile is not one of RGB")


def _printable(text: str) -> str:
    return "".join(character for character in text[:MAX_NAME] if character.isprintable()).strip()


@lru_cache(maxsize=1)
def _grid() -> Pixels:
    """Return a picture of every combination of 18 levels of red, green and blue."""
    steps = np.arange(0, 256, 15).astype(np.uint8)
    return np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(len(steps), -1, 3)


def profile_of(slide: Slide) -> Profile | None:
    """Return the slide's profile; None where the slide has no profile, or none that can be used."""
    found = _profiles.get(slide.reader)
    return found if isinstance(found, Profile) else None


def profile_problem(slide: Slide) -> str | None:
    """Return why the slide's profile cannot be used, a text for people; None where it can, and without a profile."""
    found = _profiles.get(slide.reader)
    return found if isinstance(found, str) else None


def _read_and_open(reader: SlideReader) -> Outcome[Profile]:
    """Return a file's profile and its digest; slides of a scanner share an open profile and its transforms."""
    try:
        data = _read_profile(reader)
    except ValueError as error:
        log.warning("colours are served as stored: %s", error)
        return str(error)
    if data is None:
        return None
    digest = hashlib.sha256(data).digest()
    profile = _profiles.by_digest(digest) or _open_profile(data)
    return UNUSABLE if profile is None else (digest, profile)


_profiles = ProfileCache(_read_and_open)


def _open_profile(data: bytes) -> Profile | None:
    from PIL.ImageCms import PyCMSError  # noqa: PLC0415

    try:
        return Profile(data)
    except (PyCMSError, ValueError, TypeError, OSError) as error:
        log.warning("colours are served as stored, the ICC profile cannot be used: %s", error)
        return None


def convert_pixels(slide: Slide, pixels: Pixels, intent: str) -> Pixels:
    """Return the slide's pixels as sRGB; unchanged if its profile was removed since the intent was chosen."""
    profile = profile_of(slide)
    return pixels if profile is None else profile.convert(pixels, intent)


def convert_jpeg(slide: Slide, data: bytes, intent: str) -> bytes:
    """Return a JPEG of the slide, its thumbnail, as sRGB; raise CorruptTileError where it cannot be decoded."""
    from vsv.rendering.encoding import RECODED, encode_jpeg  # noqa: PLC0415

    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            picture = np.asarray(image.convert("RGB"))
    except OSError as error:
        raise CorruptTileError("the stored picture is damaged") from error
    return encode_jpeg(convert_pixels(slide, picture, intent), RECODED)


def stored_profile(slide: Slide) -> bytes:
    """Return the bytes of the slide's profile as stored; raise ImageNotFoundError where there is none to return."""
    try:
        data = _read_profile(slide.reader)
    except ValueError as error:
        raise ImageNotFoundError(str(error)) from error
    if data is None:
        raise ImageNotFoundError("this slide has no ICC profile")
    return data


def _read_profile(reader: SlideReader) -> bytes | None:
    """Return the stored profile, None without one; raise ValueError where it is damaged or too large."""
    return reader.icc_profile(_check_size)


def _check_size(size: int) -> int:
    """Return a profile's size unchanged; raise ValueError where no scanner's profile is that large."""
    if size > MAX_BYTES:
        raise ValueError(f"the ICC profile has {size:,} bytes: more than {MAX_BYTES:,} are not read")
    return size
