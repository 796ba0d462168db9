"""The ICC profile embedded in an ordinary image; conversion of grey and CMYK, which have no other way to RGB."""

import io
import logging

from PIL import Image

log = logging.getLogger(__name__)


def embedded_profile(image: Image.Image) -> bytes | None:
    """Return an image's ICC profile, None without one."""
    icc = image.info.get("icc_profile")
    return icc if isinstance(icc, bytes) else None


def colour_space(profile: bytes) -> bytes:
    """Return an ICC profile's colour space (ICC.1, section 7.2.6)."""
    return profile[16:20]


def convert_to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert grey or CMYK to sRGB by the ICC profile; without the profile where it is damaged."""
    from PIL import ImageCms  # noqa: PLC0415

    try:
        source = ImageCms.getOpenProfile(io.BytesIO(profile))
        intent = ImageCms.Intent(ImageCms.getDefaultIntent(source))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, target, intent, outputMode="RGB")
    except (ImageCms.PyCMSError, ValueError, TypeError, OSError) as error:
        log.warning("an image is shown without its ICC profile, which cannot be used: %s", error)
        return image.convert("RGB")
    assert converted is not None
    return converted
