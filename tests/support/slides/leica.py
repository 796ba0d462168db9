"""Writer of small Leica SCN slides, as OpenSlide reads them (openslide-vendor-leica.c): one area in several planes.

The description names the directory of each level and plane; a slide of many planes has hundreds of directories.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile

Pixels = npt.NDArray[np.uint8]

TILE = 256
_NM = 250  # nanometres per pixel of full resolution


def write_scn(path: Path, pixels: Pixels, *, planes: int = 1) -> Path:
    """Write a slide of two levels in so many planes, whose middle ones show nothing; return ``path``."""
    levels = [pixels, np.ascontiguousarray(pixels[::4, ::4])]
    empty = [np.full_like(level, 255) for level in levels]
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for plane in range(planes):
            for number, level in enumerate(levels if plane == 0 else empty):
                description = _description(levels, planes) if (plane, number) == (0, 0) else None
                tiff.write(
                    level, tile=(TILE, TILE), photometric="rgb", compression="deflate", metadata=None,
                    description=description, software=False,
                )  # fmt: skip
    return path


def _description(levels: list[Pixels], planes: int) -> str:
    height, width = levels[0].shape[:2]
    dimensions = "".join(
        f'<dimension sizeX="{level.shape[1]}" sizeY="{level.shape[0]}" r="{number}" z="{plane}"'
        f' ifd="{plane * len(levels) + number}"/>'
        for plane in range(planes)
        for number, level in enumerate(levels)
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01">'
        f'<collection sizeX="{width * _NM * 2}" sizeY="{height * _NM * 2}"><barcode>UzIzLTEyMzQ1</barcode>'
        f"<image><pixels>{dimensions}</pixels><creationDate>2012-09-18T07:43:11.4Z</creationDate>"
        '<device model="Leica SCN400" version="1.4"/>'
        f'<view sizeX="{width * _NM}" sizeY="{height * _NM}" offsetX="0" offsetY="0"/>'
        "<scanSettings><objectiveSettings><objective>40</objective></objectiveSettings><illuminationSettings>"
        "<numericalAperture>0.65</numericalAperture><illuminationSource>brightfield</illuminationSource>"
        "</illuminationSettings></scanSettings></image></collection></scn>"
    )
