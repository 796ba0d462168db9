"""Masks of slides, such as those of a segmentation: each a PNG in the slide's folder, named by its shape's number.

``slides/{ImageID}/mask-{shape}.png`` has a bit a pixel: 0 is transparent, 1 the mask's colour, which its palette
holds. ``shapes/{shape}`` holds the ImageID, and stays when the slide is deleted: a number is never used again.
"""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from vsv.errors import (
    AlreadyExistsError,
    BadRequestError,
    FileMissingError,
    ImageNotFoundError,
    SlideNotFoundError,
)
from vsv.rendering.channels import Color
from vsv.rendering.image_request import check_area
from vsv.storage import atomic_write
from vsv.storage.owner_files import claim, read_owner
from vsv.storage.slide_files import SlideFiles

_FOREIGN = "the mask's file is not one that was stored here"
Bits = npt.NDArray[np.bool_]

MAX_NUMBER = 1 << 53
# A mask of as many pixels as a picture may have, if incompressible, has 2 MiB.
MAX_BYTES = 4 << 20
# Pillow's modes with one number a pixel, which may be 0 and 1 or the labels of a segmentation.
_SINGLE = {"1", "L", "I", "I;16", "F"}
# The colour of a mask without a colour in OMERO.
YELLOW: Color = (255, 255, 0, 255)


def store_mask(files: SlideFiles, image_id: str, shape: int, bits: Bits, color: Color = YELLOW) -> None:
    """Write a mask, (height, width), to the slide's folder; replace an earlier mask of the same shape.

    Raises SlideNotFoundError, TooLargeError, BadRequestError for an invalid number or an empty mask, and
    AlreadyExistsError where the shape's number belongs to another slide.
    """
    if not 0 < shape < MAX_NUMBER:
        raise BadRequestError("a shape's number is a whole number above 0")
    if bits.ndim != 2 or not bits.size:
        raise BadRequestError("a mask has rows and columns")
    check_area(bits.shape[1], bits.shape[0])
    if not files.is_served(image_id):
        raise SlideNotFoundError("slide not found")
    if claim(files.mask_owner(shape), image_id) != image_id:
        raise AlreadyExistsError("this shape's number belongs to another slide")
    atomic_write.write(files.mask(image_id, shape), _encode_mask(bits, color))


def import_mask(files: SlideFiles, image_id: str, shape: int, picture: Path, color: Color = YELLOW) -> None:
    """Write a picture as a mask: pixels that are not black belong to it.

    Raises BadRequestError for a picture that cannot be read, and what ``store_mask`` raises.
    """
    try:
        with Image.open(picture) as image:
            check_area(*image.size)
            values = np.asarray(image if image.mode in _SINGLE else image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadRequestError("the mask must be a picture that can be read, such as a PNG") from error
    bits: Bits = (values != 0).reshape(*values.shape[:2], -1).any(axis=2)
    store_mask(files, image_id, shape, bits, color)


def read_mask(files: SlideFiles, shape: int) -> bytes:
    """Return a stored mask as a PNG; raise ImageNotFoundError, also while its slide is deleted."""
    image_id = read_owner(files.mask_owner(shape))
    if image_id is None:
        raise ImageNotFoundError("no mask has this number")
    path = files.mask(image_id, shape)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FileMissingError(_FOREIGN)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ImageNotFoundError("no mask has this number") from error


def changed_mask(png: bytes, color: Color | None, mirrored: bool, flipped: bool) -> bytes:
    """Return a mask's PNG in another colour, mirrored left to right or flipped top to bottom.

    Raises FileMissingError for a file that is no mask stored here, TooLargeError.
    """
    try:
        with Image.open(io.BytesIO(png)) as image:
            check_area(*image.size)
            bits = np.asarray(image) != 0
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FileMissingError(_FOREIGN) from error
    bits = bits[:, ::-1] if mirrored else bits
    return _encode_mask(bits[::-1] if flipped else bits, color or _read_color(png))


def _encode_mask(bits: Bits, color: Color) -> bytes:
    image = Image.fromarray(bits.astype(np.uint8), "P")
    image.putpalette([0, 0, 0, *color[:3]])
    out = io.BytesIO()
    image.save(out, "PNG", bits=1, transparency=bytes((0, color[3])))
    return out.getvalue()


def _read_color(png: bytes) -> Color:
    """Return the palette's second entry: Pillow reads an opacity of 10 as a line's end, and the colour as opaque."""
    head = png.partition(b"IDAT")[0]
    palette, opacity = head.partition(b"PLTE")[2][3:6], head.partition(b"tRNS")[2][1:2]
    if len(palette) < 3 or not opacity:
        raise FileMissingError(_FOREIGN)
    return palette[0], palette[1], palette[2], opacity[0]
