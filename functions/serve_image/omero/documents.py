"""Write the documents of OMERO's webgateway about a slide: ``imgData``, and a channel's histogram.

Keys, types and arithmetic are those of OMERO.web 5.31's ``imgData``, which viewers and QuPath read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import floor, sqrt
from typing import Any

from vsv.rendering.channels import FULL
from vsv.rendering.shown_channels import RGB, ShownChannels
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


def image_data(
    grid: Grid, metadata: SlideMetadata, shown: ShownChannels = RGB, planes: int = 1, plane: int = 0
) -> Document:
    """Return ``imgData`` of a slide of some focal planes, of which one is shown.

    OMERO does not treat a slide of a single tile as a big image: no tiles, no levels.
    """
    count = len(shown.channels)
    return {
        "id": metadata.number,
        "meta": _meta(metadata, shown.pixel_type),
        "perms": dict.fromkeys(("canAnnotate", "canEdit", "canDelete", "canLink"), False),
        **_tiles(grid),
        "interpolate": True,
        "size": {"width": grid.width_px, "height": grid.height_px, "z": planes, "t": 1, "c": count},
        "pixel_size": {"x": metadata.mpp, "y": metadata.mpp, "z": None},
        "init_zoom": 0,
        **({} if metadata.power is None else {"nominalMagnification": metadata.power}),
        "pixel_range": list(shown.limits),
        "channels": _channels(shown),
        "split_channel": {"g": _split_layout(grid, count), "c": _split_layout(grid, count + 1)},
        "rdefs": {
            "model": "color" if count > 1 else "greyscale",
            "projection": "normal",
            "defaultZ": plane,
            "defaultT": 0,
            "invertAxis": False,
        },
    }


def _meta(metadata: SlideMetadata, pixel_type: str) -> Document:
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
        "pixelsType": pixel_type,
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


def _channels(shown: ShownChannels) -> list[Document]:
    return [
        {
            "emissionWave": None if channel.emission_nm is None else round(channel.emission_nm, 3),
            "label": channel.name,
            "color": channel.color,
            "inverted": channel.default.inverted,
            "reverseIntensity": channel.default.inverted,
            "family": channel.default.family,
            "coefficient": channel.default.coefficient,
            "window": {
                "min": channel.low,
                "max": channel.high,
                "start": channel.default.start,
                "end": channel.default.end,
            },
            "active": channel.default.active,
        }
        for channel in shown.channels
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
    return histogram_document(columns, 0.0, float(FULL))


def histogram_document(columns: list[int], low: float, high: float) -> Document:
    """Return the histogram of columns that are counted already, over the values from ``low`` to ``high``."""
    return {
        "data": columns,
        "min": low,
        "max": high,
        "leftOutlierCount": 0,
        "rightOutlierCount": 0,
        "statsInfoMinMax": False,
    }
