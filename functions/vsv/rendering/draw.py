"""Drawing of a view: the nearest finer level is scaled, then mirrored, rotated, toned and encoded."""

import io
import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from vsv.errors import InvalidQueryError
from vsv.rendering import encoding, regions
from vsv.rendering.colour_management import effective_intent
from vsv.rendering.colour_request import AS_STORED, Colour
from vsv.rendering.image_request import SUPPORT, View, halvings, level_box, stored_tile
from vsv.rendering.tiles import Tiling, render_tile
from vsv.slides.pixels import Pixels
from vsv.slides.slide import Slide

MIME_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "tif": "image/tiff"}
QUALITY = 90
# Rows that are scaled at a time, so that memory is bounded by the picture and not by its source pixels.
STRIP_PX = 512
FILTER = Image.Resampling.BICUBIC
_QUARTERS = {
    90.0: Image.Transpose.ROTATE_270,  # Pillow counts anticlockwise
    180.0: Image.Transpose.ROTATE_180,
    270.0: Image.Transpose.ROTATE_90,
}


def draw(slide: Slide, view: View, fmt: str, quality: int = QUALITY, colour: Colour = AS_STORED) -> bytes:
    """Return the view as an encoded image; a view that is a tile of the slide's grid is the Deep Zoom tile.

    Raises InvalidQueryError for an unknown format.
    """
    if fmt not in MIME_TYPES:
        raise InvalidQueryError(f"the format is one of {', '.join(MIME_TYPES)}")
    tile = stored_tile(view, slide.grid) if fmt == "jpg" and quality == QUALITY else None
    if tile is not None:
        return render_tile(slide, *tile, "jpeg", Tiling(colour=colour))
    picture = apply_colour(slide, scale_view(slide, view), colour)
    return encode(apply_quality(mirror_and_rotate(picture, view, fmt), view.quality), fmt, quality)


def apply_colour(slide: Slide, picture: Pixels, colour: Colour) -> Pixels:
    """Return a slide's pixels in the requested colours; unchanged where no conversion applies."""
    intent = effective_intent(slide, colour)
    if intent is None:
        return picture
    from vsv.rendering import icc  # noqa: PLC0415  most slides have no profile

    return icc.convert_pixels(slide, picture, intent)


def scale_view(slide: Slide, view: View) -> Pixels:
    """Return the view's pixels before mirroring and rotation: (height, width, 3)."""
    exact = level_box(view, slide.grid)
    if exact is not None:
        return regions.region(slide, *exact)
    strips = [_scale_strip(slide, view, top) for top in range(0, view.height_px, STRIP_PX)]
    return strips[0] if len(strips) == 1 else np.concatenate(strips)


def _scale_strip(slide: Slide, view: View, top_px: int) -> Pixels:
    """Return at most ``STRIP_PX`` rows of the picture from ``top_px`` on, scaled from the next finer level."""
    shift = halvings(view, slide.grid)
    level_dz = slide.max_level - shift
    width_px, height_px = slide.grid.level_size(level_dz)
    step = 1 << shift
    bottom_px = min(top_px + STRIP_PX, view.height_px)
    rows = view.height_l0 / step / view.height_px  # level rows for one row of the picture
    left, right = view.left_l0 / step, (view.left_l0 + view.width_l0) / step
    top, bottom = view.top_l0 / step + top_px * rows, view.top_l0 / step + bottom_px * rows
    # The filter reads beyond the region where the slide has pixels: no seams, within a picture or between two.
    across, down = _filter_reach((right - left) / view.width_px), _filter_reach(rows)
    x0, y0 = max(0, math.floor(left) - across), max(0, math.floor(top) - down)
    x1, y1 = min(width_px, math.ceil(right) + across), min(height_px, math.ceil(bottom) + down)
    source = Image.fromarray(regions.region(slide, level_dz, (x0, y0, x1, y1)))
    place = left - x0, top - y0, min(right - x0, x1 - x0), min(bottom - y0, y1 - y0)
    return np.asarray(source.resize((view.width_px, bottom_px - top_px), FILTER, place))


def _filter_reach(scale: float) -> int:
    return math.ceil(SUPPORT * max(1.0, scale)) + 1


def mirror_and_rotate(picture: Pixels, view: View, fmt: str) -> Image.Image:
    """Return the picture mirrored and rotated; empty corners are transparent, or white in JPEG."""
    image = Image.fromarray(picture)
    if view.mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if view.flipped:
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    if not view.rotation:
        return image
    if (quarter := _QUARTERS.get(view.rotation)) is not None:
        return image.transpose(quarter)
    return _rotate_freely(image, view.rotation, fmt)


def _rotate_freely(image: Image.Image, rotation: float, fmt: str) -> Image.Image:
    has_alpha = fmt != "jpg"
    layered = image.convert("RGBA") if has_alpha else image
    empty: tuple[int, ...] = (255, 255, 255, 0) if has_alpha else (255, 255, 255)
    return layered.rotate(-rotation, Image.Resampling.BICUBIC, expand=True, fillcolor=empty)


def apply_quality(image: Image.Image, quality: str) -> Image.Image:
    """Return a picture in an IIIF quality: color, gray or bitonal; transparent corners stay transparent in gray."""
    return _TONES[quality](image)


def _convert_to_grey(image: Image.Image) -> Image.Image:
    return image.convert("LA" if image.mode == "RGBA" else "L")


def _convert_to_bitonal(image: Image.Image) -> Image.Image:
    flat = Image.new("RGB", image.size, "white")
    flat.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    return flat.convert("L").point(lambda value: 255 if value > 127 else 0, "1")


_TONES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "color": lambda image: image,
    "gray": _convert_to_grey,
    "bitonal": _convert_to_bitonal,
}


def encode(image: Image.Image, fmt: str, quality: int = QUALITY) -> bytes:
    """Return a picture encoded in a format; ``quality`` is libjpeg's and WebP's, 1 to 100."""
    if fmt == "jpg" and image.mode == "RGB":
        return encoding.encode_jpeg(np.asarray(image), encoding.Coding(quality, "444"))
    out = io.BytesIO()
    if fmt == "jpg":
        image.convert("L").save(out, "JPEG", quality=quality)
    elif fmt == "png":
        image.save(out, "PNG", compress_level=1)
    elif fmt == "webp":
        image.convert("RGBA" if image.mode in {"RGBA", "LA"} else "RGB").save(
            out, "WEBP", quality=quality, method=2
        )
    else:
        image.save(out, "TIFF", compression="group4" if image.mode == "1" else "tiff_lzw")
    return out.getvalue()
