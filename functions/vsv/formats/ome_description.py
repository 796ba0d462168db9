"""OME-XML in a TIFF's description, as far as it tells which page shows the middle of a stack of focal planes.

Source: OME's schema of 2016-06, the elements Pixels, Channel and TiffData, and the OME-TIFF specification.
"""

import re

# The first element that matters comes early; a description of thousands of planes is long.
_HEAD_CHARACTERS = 1 << 16
_MAX_SIZE = 1 << 14


def middle_plane(description: str) -> int:
    """Return the index of the page that shows the middle focal plane; 0 for files that are no stack.

    Pages are in the order that ``DimensionOrder`` states; of an even number of planes it is the upper of the two in
    the middle, as in OMERO.
    """
    pixels = re.search(r"<(?:\w+:)?Pixels\s[^<>]*>", description[:_HEAD_CHARACTERS])
    if pixels is None:
        return 0
    sizes = {axis: _number(pixels[0], f"Size{axis}") for axis in "ZCT"}
    sizes["C"] = max(1, sizes["C"] // _number(description[:_HEAD_CHARACTERS], "SamplesPerPixel"))
    order = re.search(r"\sDimensionOrder\s*=\s*[\"']XY([ZCT]{3})[\"']", pixels[0])
    step = 1
    for axis in order[1] if order else "CZT":
        if axis == "Z":
            break
        step *= sizes[axis]
    return sizes["Z"] // 2 * step


def _number(text: str, name: str) -> int:
    match = re.search(rf"\s{name}\s*=\s*[\"'](\d{{1,7}})[\"']", text, re.ASCII)
    return max(1, min(int(match[1]), _MAX_SIZE)) if match else 1
