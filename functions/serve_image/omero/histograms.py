"""Count the values of a slide's channels for OMERO's ``histogram_json``, in the finest level that fits a plane."""

from typing import Any

from vsv.errors import ImageNotFoundError, InvalidQueryError
from vsv.rendering.shown_channels import RGB, shown_channels
from vsv.slides.slide import Slide

from serve_image.omero import images
from serve_image.omero.documents import histogram, histogram_document
from serve_image.omero.parameters import Query, whole_number

PLANE_PX, MAX_PLANE_PX = 1024, 4096
BINS, MAX_BINS = 256, 1024


def plane_histogram(slide: Slide, channel: int, query: Query) -> dict[str, Any]:
    """Return the histogram of a channel, counted from 0; raise InvalidQueryError and ImageNotFoundError."""
    bins = whole_number(query, "bins", BINS)
    sides = [whole_number(query, name, PLANE_PX) for name in ("maxPlaneWidth", "maxPlaneHeight")]
    if not 1 <= bins <= MAX_BINS:
        raise InvalidQueryError(f"bins is 1 to {MAX_BINS}")
    shown = shown_channels(slide)
    channels = shown.channels
    if channel >= len(channels):
        raise ImageNotFoundError(f"a slide has channels 0 to {len(channels) - 1} here")
    view = images.plane_view(slide, *(min(side, MAX_PLANE_PX) for side in sides))
    if shown is RGB:
        return histogram(images.channel_counts(slide, view, channel), bins)
    low, high = channels[channel].low, channels[channel].high
    return histogram_document(images.sample_counts(slide, view, channel, (low, high), bins), low, high)
