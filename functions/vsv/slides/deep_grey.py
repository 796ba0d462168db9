"""Grey images of 16 bits, PNG and plain TIFF, as 8 bits: by the type's range, or in a window if darker."""

import numpy as np
from PIL import Image

from vsv.formats.tiff_samples import Samples
from vsv.slides.channel_set import Plane, map_plane
from vsv.slides.channel_windows import Window, window_of

MODES = {"I;16", "I;16B", "I;16L"}
# Half of the type's range. Values that reach it were scaled to 16 bits, as PNG asks; others are a camera's 10 to 14.
_SCALED = 1 << 15


def is_dark(image: Image.Image) -> bool:
    """Return whether a decoded image has 16 bits and is shown in a window."""
    return image.mode in MODES and _window(np.asarray(image).astype(np.uint16, copy=False)).end < _SCALED


def _window(values: Samples) -> Window:
    return window_of([values], values.dtype)


def grey(image: Image.Image) -> Plane:
    """Return a decoded image of 16 bits as 8 bits."""
    values = np.asarray(image).astype(np.uint16, copy=False)
    window = _window(values)
    if window.end >= _SCALED:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return map_plane(values, window.start, window.end, inverted=False)
