"""Answer for what OMERO.web stores beside its images and this server does not: lookup tables, settings, folders.

OMERO.iviewer requests all of these whenever it opens an image, and shows the image only once it has the answers.
Formats are those of OMERO.web 5.31's ``listLuts_json``, ``luts_png``, ``open_with_options``, ``get_image_rdef_json``,
``get_image_rdefs_json`` and ``api_paths_to_object``.
"""

from io import BytesIO
from typing import Any

_GRADIENT = "gradient.png"  # OMERO's name for the last rows of the picture of all lookup tables
_WIDTH, _HEIGHT, _FADED = 256, 10, 180

LUTS: dict[str, Any] = {"luts": [], "png_luts": [], "png_luts_new": [_GRADIENT]}
OPEN_WITH: dict[str, Any] = {"open_with_options": []}
COPIED_SETTINGS: dict[str, Any] = {"rdef": None}
SAVED_SETTINGS: dict[str, Any] = {"rdefs": []}
PATHS: dict[str, Any] = {"paths": []}


def gradient() -> bytes:
    """Return the picture of all lookup tables as PNG: without any, the fading black of a channel's slider."""
    from PIL import Image  # noqa: PLC0415  cold start

    row = bytes(255 * max(0, _FADED - 1 - x) // (_FADED - 1) for x in range(_WIDTH))
    alpha = Image.frombytes("L", (_WIDTH, _HEIGHT), row * _HEIGHT)
    picture = Image.merge("LA", (Image.new("L", alpha.size), alpha))
    png = BytesIO()
    picture.save(png, "PNG")
    return png.getvalue()
