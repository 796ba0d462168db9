"""Writers of small slides of other scanners, each as OpenSlide reads its vendor's: lossless, of two levels."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

Pixels = npt.NDArray[np.uint8]

TILE = 256
_XMP, _BYTE = 700, 1


def write_trestle(path: Path, pixels: Pixels) -> Path:
    """Write a Trestle slide (openslide-vendor-trestle.c)."""
    description = "Objective Power=20;OverlapsXY= 0 0 0 0;Background Color=E6E6E6"
    with tifffile.TiffWriter(path) as tiff:
        _write_levels(tiff, pixels, {"software": "MedScan 1.0", "description": description})
    return path


def write_philips(path: Path, pixels: Pixels) -> Path:
    """Write a Philips TIFF with a label (openslide-vendor-philips-tiff.c)."""
    spacings = "".join(
        '<DataObject ObjectType="PixelDataRepresentation"><Attribute Name="DICOM_PIXEL_SPACING">'
        f'"{size}" "{size}"</Attribute></DataObject>'
        for size in (0.00025, 0.0005)
    )
    description = (
        '<?xml version="1.0"?><DataObject ObjectType="DPUfsImport"><Attribute Name="PIM_DP_SCANNED_IMAGES"><Array>'
        '<DataObject ObjectType="DPScannedImage"><Attribute Name="PIM_DP_IMAGE_TYPE">WSI</Attribute>'
        f'<Attribute Name="PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE"><Array>{spacings}</Array></Attribute>'
        "</DataObject></Array></Attribute></DataObject>"
    )
    with tifffile.TiffWriter(path) as tiff:
        _write_levels(tiff, pixels, {"software": "Philips DP v1.0", "description": description})
        _write_picture(tiff, "Label")
    return path


def write_ventana(path: Path, pixels: Pixels) -> Path:
    """Write a Ventana BIF of one area without overlaps, with a macro (openslide-vendor-ventana.c)."""
    scan, joints = b'<iScan Magnification="20" ScanRes="0.465"/>', _ventana_joints(pixels.shape[0] // TILE)
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        _write_picture(tiff, "Label Image", extratags=[(_XMP, _BYTE, len(scan), scan, True)])
        first = {
            "description": "level=0 mag=20 quality=95",
            "extratags": [(_XMP, _BYTE, len(joints), joints, True)],
        }
        _write_levels(tiff, pixels, first, {"description": "level=1 mag=10 quality=95"})
    return path


def _ventana_joints(side: int) -> bytes:
    """Return the tiles' joints: tiles are numbered from the bottom row, every second row from the right."""

    def number(column: int, row: int) -> int:
        from_bottom = side - 1 - row
        return from_bottom * side + (side - 1 - column if from_bottom % 2 else column) + 1

    pairs = [
        ("RIGHT", number(column, row), number(column + 1, row))
        for row in range(side)
        for column in range(side - 1)
    ]
    pairs += [
        ("UP", number(column, row), number(column, row - 1))
        for row in range(1, side)
        for column in range(side)
    ]
    joints = "".join(
        f'<TileJointInfo Direction="{way}" Tile1="{one}" Tile2="{other}" OverlapX="0" OverlapY="0" Confidence="99"/>'
        for way, one, other in pairs
    )
    area = (
        f'AOIScanned="1" Width="{TILE}" Height="{TILE}" NumRows="{side}" NumCols="{side}" Pos-X="0" Pos-Y="0"'
    )
    return (
        f"<EncodeInfo><SlideStitchInfo><ImageInfo {area}>{joints}</ImageInfo></SlideStitchInfo>"
        '<AoiOrigin><AOI0 OriginX="0" OriginY="0"/></AoiOrigin></EncodeInfo>'
    ).encode()


def _write_levels(
    tiff: tifffile.TiffWriter,
    pixels: Pixels,
    first: Mapping[str, Any],
    second: Mapping[str, Any] | None = None,
) -> None:
    levels = ((pixels, first, 0), (np.ascontiguousarray(pixels[::2, ::2]), second or {}, 1))
    for level, more, kind in levels:
        given = {"software": False, "metadata": None, **more}
        tiff.write(
            level, tile=(TILE, TILE), photometric="rgb", compression="deflate", subfiletype=kind, **given
        )


def _write_picture(tiff: tifffile.TiffWriter, description: str, **more: Any) -> None:
    picture = np.full((100, 200, 3), 200, np.uint8)
    given = {"software": False, "metadata": None, "compression": "deflate", **more}
    tiff.write(picture, photometric="rgb", rowsperstrip=16, description=description, **given)


WRITERS: Mapping[str, Callable[[Path, Pixels], Path]] = {
    "trestle.tif": write_trestle,
    "philips.tiff": write_philips,
    "ventana.bif": write_ventana,
}
