"""The page of an ordinary TIFF that is shown: its first page, or the middle focal plane of a stack in OME-TIFF."""

from pathlib import Path

from PIL import TiffImagePlugin

from vsv.formats.ome_description import middle_plane

_DESCRIPTION = 270  # TIFF 6.0, ImageDescription


def open_shown_page(path: Path) -> TiffImagePlugin.TiffImageFile:
    """Open a TIFF at the page that is shown; at the first where there are fewer pages than its description says."""
    image = TiffImagePlugin.TiffImageFile(path)
    try:
        image.seek(middle_plane(str(image.tag_v2.get(_DESCRIPTION, ""))))
    except EOFError:
        image.seek(0)
    return image
