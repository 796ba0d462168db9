"""Draw the images of OMERO's webgateway: regions and tiles with channel settings, thumbnails, histograms' counts."""

import base64

from vsv.errors import InvalidQueryError
from vsv.rendering.colour_request import Colour
from vsv.rendering.image_request import View, halvings, level_box
from vsv.rendering.tiles import Tiling, render_tile
from vsv.slides.slide import Slide

from serve_image.omero.parameters import ImageRequest

MIME_TYPES = {"jpg": "image/jpeg", "png": "image/png", "tif": "image/tiff"}


def draw_image(slide: Slide, image: ImageRequest, colour: Colour) -> bytes:
    """Return the requested image; a stored tile is returned without decoding."""
    if image.tile is not None and image.is_stored:
        return render_tile(slide, *image.tile, "jpeg", Tiling(colour=colour))
    from vsv.rendering.channel_rendering import draw_channels  # noqa: PLC0415  cold start: stored tiles need no pixels

    return draw_channels(slide, image.view, image.rendering, image.fmt, image.quality, colour)


def thumbnail_view(slide: Slide, width: int, height: int | None) -> View:
    """Return the whole slide at a width and height, distorted if need be, as in OMERO; or at a longest side."""
    if width < 1 or (height is not None and height < 1):
        raise InvalidQueryError("a thumbnail is at least a pixel wide and high")
    whole = slide.grid.width_px, slide.grid.height_px
    if height is None:
        scale = width / max(whole)
        width, height = max(1, round(whole[0] * scale)), max(1, round(whole[1] * scale))
    return View(0, 0, *whole, width, height)


def draw_thumbnail(slide: Slide, view: View, colour: Colour) -> bytes:
    """Return a thumbnail as JPEG, without channel settings."""
    from vsv.rendering.draw import draw  # noqa: PLC0415  cold start

    return draw(slide, view, "jpg", colour=colour)


def data_uri(jpeg: bytes) -> str:
    """Return a JPEG as a data URI."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"


def is_provisional(slide: Slide, view: View) -> bool:
    """Return whether a thumbnail will look different once the slide's pyramid is complete."""
    exact = level_box(view, slide.grid)
    level_dz = slide.max_level - halvings(view, slide.grid) if exact is None else exact[0]
    return slide.is_provisional(level_dz)


def plane_view(slide: Slide, width: int, height: int) -> View:
    """Return the whole slide at its finest level that fits into a width and height."""
    for level_dz in range(slide.max_level, -1, -1):
        size = slide.grid.level_size(level_dz)
        if size[0] <= width and size[1] <= height:
            return View(0, 0, slide.grid.width_px, slide.grid.height_px, *size)
    raise InvalidQueryError("maxPlaneWidth and maxPlaneHeight are at least a pixel")


def channel_counts(slide: Slide, view: View, channel: int) -> list[int]:
    """Return how often each of the 256 values occurs in a channel."""
    import numpy as np  # noqa: PLC0415  cold start
    from vsv.rendering.draw import scale_view  # noqa: PLC0415  cold start

    counts: list[int] = np.bincount(scale_view(slide, view)[..., channel].ravel(), minlength=256).tolist()
    return counts


def sample_counts(slide: Slide, view: View, channel: int, ends: tuple[float, float], bins: int) -> list[int]:
    """Return how many samples of a slide's own channel are in each of ``bins`` columns between two values."""
    import numpy as np  # noqa: PLC0415  cold start
    from vsv.rendering.channel_rendering import view_planes  # noqa: PLC0415  cold start

    (samples,) = view_planes(slide, view, (channel,))
    low, high = ends
    counts: list[int] = np.histogram(samples, bins, (low, max(high, low + 1)))[0].tolist()
    return counts
