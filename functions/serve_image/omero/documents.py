"""Write the documents of OMERO's webgateway about a slide: ``imgData``, and a channel's histogram.

Keys, types and arithmetic are those of OMERO.web 5.31's ``imgData``, which viewers and QuPath read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import floor, sqrt
from typing import Any

from vsv.rendering.channels import FULL, NAMES, PRIMARIES
from vsv.slides.deepzoom_grid import Grid

from serve_image.omero.parameters import level_count

MAX_KEY_PARTS = 8
_BORDER_PX = 2  # between the panels of OMERO's split view

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SlideMetadata:
    """A slide's metadata; ``mpp`` is µm per pixel, ``moment`` the scan time as ISO 8601 or None."""

    number: int
    name: str
    case: str | None
    mpp: float | None
    power: float | None
    moment: str | None
    stored_s: float

    def anonymous(self, name: str) -> "SlideMetadata":
        """Return the same metadata under another name, and without a case."""
        return replace(self, name=name, case=None)


def image_data(grid: Grid, metadata: SlideMetadata, planes: int = 1, shown: int = 0) -> Document:
    """Return ``imgData`` of a slide of some focal planes, and the one that is shown.

    OMERO does not treat a slide of a single tile as a big image: no tiles, no levels.
    """
    return {
        "id": metadata.number,
        "meta": _meta(metadata),
        "perms": dict.fromkeys(("canAnnotate", "canEdit", "canDelete", "canLink"), False),
        **_tiles(grid),
        "interpolate": True,
        "size": {"width": grid.width_px, "height": grid.height_px, "z": planes, "t": 1, "c": len(PRIMARIES)},
        "pixel_size": {"x": metadata.mpp, "y": metadata.mpp, "z": None},
        "init_zoom": 0,
        **({} if metadata.power is None else {"nominalMagnification": metadata.power}),
        "pixel_range": [0, FULL],
        "channels": _channels(),
        "split_channel": {
            "g": _split_layout(grid, len(PRIMARIES)),
            "c": _split_layout(grid, len(PRIMARIES) + 1),
        },
        "rdefs": {
            "model": "color",
            "projection": "normal",
            "defaultZ": shown,
            "defaultT": 0,
            "invertAxis": False,
        },
    }


def _meta(metadata: SlideMetadata) -> Document:
    """Return the texts; as OMERO does, name the project and, without a case, the dataset "Multiple"."""
    return {
        "imageName": metadata.name,
        "imageDescription": "",
        "imageAuthor": "",
        "imageArchived": False,
        "projectName": "Multiple",
        "projectId": None,
        "projectDescription": "",
        "datasetName": metadata.case or "Multiple",
        "datasetId": None,
        "datasetDescription": "",
        "wellSampleId": "",
        "wellId": "",
        "imageTimestamp": _timestamp(metadata),
        "imageId": metadata.number,
        "pixelsType": "uint8",
    }


def scanned_s(metadata: SlideMetadata) -> float | None:
    """Return the scan time in seconds since 1970, None if unknown; a scanner's wall clock counts as UTC."""
    try:
        moment = datetime.fromisoformat(metadata.moment or "")
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _timestamp(metadata: SlideMetadata) -> float:
    scanned = scanned_s(metadata)
    return metadata.stored_s if scanned is None else scanned


def _tiles(grid: Grid) -> Document:
    count = level_count(grid)
    if count == 1:
        return {"tiles": False}
    sizes = [grid.level_size(grid.max_level - shift) for shift in range(count)]
    return {
        "tiles": True,
        "tile_size": {"width": grid.tile_size, "height": grid.tile_size},
        "levels": count,
        "resolutions": {str(i): {"sizeX": width, "sizeY": height} for i, (width, height) in enumerate(sizes)},
        # Not a level's rounded width by the slide's: QuPath calculates the level's height with this factor, and would
        # request tiles beyond the last.
        "zoomLevelScaling": {str(i): 0.5**i for i in range(count)},
    }


def _channels() -> list[Document]:
    return [
        {
            "emissionWave": None,
            "label": name,
            "color": bytes(channel.color[:3]).hex().upper(),
            "inverted": False,
            "reverseIntensity": False,
            "family": channel.family,
            "coefficient": channel.coefficient,
            "window": {"min": 0.0, "max": float(FULL), "start": channel.start, "end": channel.end},
            "active": True,
        }
        for name, channel in zip(NAMES, PRIMARIES, strict=True)
    ]


def _split_layout(grid: Grid, panels: int) -> Document:
    """Return the layout of this many panels, as square as possible."""
    side = sqrt(panels)
    rows = floor(side + 0.5)
    columns = rows + 1 if side > rows else rows
    return {
        "width": grid.width_px * columns + _BORDER_PX * (columns + 1),
        "height": grid.height_px * rows + _BORDER_PX * (rows + 1),
        "border": _BORDER_PX,
        "gridx": columns,
        "gridy": rows,
    }


def part_of(document: Document, key: str) -> Any:
    """Return the part that a key such as ``rdefs.model`` names, None where there is none, as OMERO does."""
    part: Any = document
    for name in key.split(".", MAX_KEY_PARTS):
        part = part.get(name) if isinstance(part, Mapping) else None
    return part


def histogram(counts: list[int], bins: int) -> Document:
    """Return a histogram of ``bins`` columns over 0 to 255 from the count of each value."""
    columns = [0] * bins
    for value, count in enumerate(counts):
        columns[min(value * bins // FULL, bins - 1)] += count
    return {
        "data": columns,
        "min": 0.0,
        "max": float(FULL),
        "leftOutlierCount": 0,
        "rightOutlierCount": 0,
        "statsInfoMinMax": False,
    }
