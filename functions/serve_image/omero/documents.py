"""What OMERO's webgateway tells of a slide: ``imgData``, and a channel's histogram.

Keys, types and arithmetic are those of OMERO.web 5.31's ``imgData``, which viewers and QuPath read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import floor, sqrt
from typing import Any

from vsv.rendering.channels import FULL, NAMES, PRIMARIES
from vsv.slides.deepzoom_grid import Grid

from serve_image.omero.parameters import levels

MAX_KEY_PARTS = 8
_BORDER_PX = 2  # between the panels of OMERO's split view

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a slide beside its pixels; ``mpp`` is µm per pixel, ``moment`` ISO 8601 or None."""

    number: int
    name: str
    case: str | None
    mpp: float | None
    power: float | None
    moment: str | None
    stored_s: float

    def anonymous(self, name: str) -> "About":
        """Give the same under another name, and without a case."""
        return replace(self, name=name, case=None)


def image_data(grid: Grid, about: About) -> Document:
    """Give ``imgData``. A slide that is a single tile is no big image for OMERO: it has neither tiles nor levels."""
    return {
        "id": about.number,
        "meta": _meta(about),
        "perms": dict.fromkeys(("canAnnotate", "canEdit", "canDelete", "canLink"), False),
        **_tiles(grid),
        "interpolate": True,
        "size": {"width": grid.width_px, "height": grid.height_px, "z": 1, "t": 1, "c": len(PRIMARIES)},
        "pixel_size": {"x": about.mpp, "y": about.mpp, "z": None},
        "init_zoom": 0,
        **({} if about.power is None else {"nominalMagnification": about.power}),
        "pixel_range": [0, FULL],
        "channels": _channels(),
        "split_channel": {
            "g": _split(grid, len(PRIMARIES)),
            "c": _split(grid, len(PRIMARIES) + 1),
        },
        "rdefs": {
            "model": "color",
            "projection": "normal",
            "defaultZ": 0,
            "defaultT": 0,
            "invertAxis": False,
        },
    }


def _meta(about: About) -> Document:
    """Give the texts; where OMERO has no dataset or project, or several, it says Multiple."""
    return {
        "imageName": about.name,
        "imageDescription": "",
        "imageAuthor": "",
        "imageArchived": False,
        "projectName": "Multiple",
        "projectId": None,
        "projectDescription": "",
        "datasetName": about.case or "Multiple",
        "datasetId": None,
        "datasetDescription": "",
        "wellSampleId": "",
        "wellId": "",
        "imageTimestamp": _timestamp(about),
        "imageId": about.number,
        "pixelsType": "uint8",
    }


def scanned_s(about: About) -> float | None:
    """Give when the slide was scanned, in seconds since 1970, if known; a scanner's wall clock counts as UTC."""
    try:
        found = datetime.fromisoformat(about.moment or "")
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _timestamp(about: About) -> float:
    scanned = scanned_s(about)
    return about.stored_s if scanned is None else scanned


def _tiles(grid: Grid) -> Document:
    count = levels(grid)
    if count == 1:
        return {"tiles": False}
    sizes = [grid.level_size(grid.max_level - shift) for shift in range(count)]
    return {
        "tiles": True,
        "tile_size": {"width": grid.tile_size, "height": grid.tile_size},
        "levels": count,
        "resolutions": {str(i): {"sizeX": width, "sizeY": height} for i, (width, height) in enumerate(sizes)},
        # Not a level's rounded width by the slide's: QuPath reckons the level's height by it, and would ask for tiles
        # beyond the last.
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


def _split(grid: Grid, panels: int) -> Document:
    """Give the layout of so many panels, as square as can be."""
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
    """Give the part that a key such as ``rdefs.model`` names, None where there is none, as OMERO does."""
    found: Any = document
    for name in key.split(".", MAX_KEY_PARTS):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def histogram(counts: list[int], bins: int) -> Document:
    """Give a histogram of ``bins`` columns over 0 to 255, of how often each value occurs."""
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
