"""Write the documents of the IIIF APIs: ``info.json`` in both versions, and a manifest for viewers such as Mirador.

Sources: IIIF Image API 3.0 section 5 and 2.1 section 5; IIIF Presentation API 3.0 sections 2 and 3.
"""

from typing import Any

from vsv.records.models import SlideRecord
from vsv.rendering.image_request import MAX_AREA_PX, MAX_SIDE_PX
from vsv.slides.deepzoom_grid import Grid

from serve_image.iiif.parameters import FORMATS, Dialect, read_size

IMAGE_CONTEXT = "http://iiif.io/api/image/{version}/context.json"
PRESENTATION_CONTEXT = "http://iiif.io/api/presentation/3/context.json"
PHYSICAL_CONTEXT = "http://iiif.io/api/annex/services/physdim/1/context.json"
COLOUR_CONTEXT = "urn:x-vsv:colour"
THUMBNAIL_SIDE_PX = 512
_MORE_FEATURES_3 = [
    "canonicalLinkHeader",
    "mirroring",
    "profileLinkHeader",
    "rotationArbitrary",
    "sizeUpscaling",
]
_MORE_FEATURES_2 = [
    "canonicalLinkHeader",
    "mirroring",
    "profileLinkHeader",
    "regionSquare",
    "rotationArbitrary",
    "sizeAboveFull",
]

Document = dict[str, Any]


def profile(version: int) -> str:
    """Return the address of the compliance level."""
    return f"http://iiif.io/api/image/{version}/level2.json"


def info(
    version: int,
    base: str,
    grid: Grid,
    colours: str,
    problem: str | None = None,
    channels: list[Document] | None = None,
) -> Document:
    """Return ``info.json`` of the service at ``base``; sizes and scale factors are those of the Deep Zoom levels.

    ``colours`` says which colours are served, as Deep Zoom's header ``x-vsv-icc`` does, ``problem`` why the slide's
    profile is not used, ``channels`` the channels of a slide that has its own.
    """
    document = _info_2(base, grid) if version == 2 else _info_3(base, grid)
    at, kind = ("@id", "@type") if version == 2 else ("id", "type")
    service = {"@context": COLOUR_CONTEXT, at: f"{base}#colour", kind: "Colour", "profile": COLOUR_CONTEXT}
    said = {"colour": colours, "problem": problem, "channels": channels}
    known = {key: value for key, value in said.items() if value is not None}
    return {**document, "service": [{**service, **known}]}


def _common(version: int, grid: Grid) -> Document:
    return {
        "@context": IMAGE_CONTEXT.format(version=version),
        "protocol": "http://iiif.io/api/image",
        "width": grid.width_px,
        "height": grid.height_px,
        "sizes": _sizes(grid),
        "tiles": [{"width": grid.tile_size, "height": grid.tile_size, "scaleFactors": _factors(grid)}],
    }


def _info_3(base: str, grid: Grid) -> Document:
    return {
        **_common(3, grid),
        "id": base,
        "type": "ImageService3",
        "profile": "level2",
        "maxArea": MAX_AREA_PX,
        "maxWidth": MAX_SIDE_PX,
        "maxHeight": MAX_SIDE_PX,
        "extraQualities": ["color", "gray", "bitonal"],
        "extraFormats": [fmt for fmt in FORMATS if fmt not in {"jpg", "png"}],
        "extraFeatures": _MORE_FEATURES_3,
    }


def _info_2(base: str, grid: Grid) -> Document:
    more = {
        "formats": list(FORMATS),
        "qualities": ["default", "color", "gray", "bitonal"],
        "supports": _MORE_FEATURES_2,
        "maxArea": MAX_AREA_PX,
        "maxWidth": MAX_SIDE_PX,
        "maxHeight": MAX_SIDE_PX,
    }
    return {**_common(2, grid), "@id": base, "profile": [profile(2), more]}


def _factors(grid: Grid) -> list[int]:
    """Return the scale factors, up to the first at which the slide is one tile."""
    factors = [1]
    while max(grid.width_px, grid.height_px) > grid.tile_size * factors[-1]:
        factors.append(2 * factors[-1])
    return factors


def _sizes(grid: Grid) -> list[Document]:
    """Return the sizes of the levels that may be requested whole, smallest first."""
    sizes = []
    for level_dz in range(grid.level_count):
        width, height = grid.level_size(level_dz)
        if (
            max(width, height) >= grid.tile_size // 2
            and width * height <= MAX_AREA_PX
            and max(width, height) <= MAX_SIDE_PX
        ):
            sizes.append({"width": width, "height": height})
    return sizes


def manifest(site: str, image_id: str, grid: Grid, record: SlideRecord | None) -> Document:
    """Return a IIIF Presentation 3 manifest of one canvas: the slide, with the metadata from its label."""
    base = f"{site}/iiif/{image_id}"
    canvas = f"{base}/canvas"
    label = {"none": [record.slide_id if record and record.slide_id else image_id]}
    return {
        "@context": PRESENTATION_CONTEXT,
        "id": f"{base}/manifest.json",
        "type": "Manifest",
        "label": label,
        "metadata": _metadata(image_id, record),
        "thumbnail": [_thumbnail(base, grid)],
        "items": [
            {
                "id": canvas,
                "type": "Canvas",
                "label": label,  # viewers show a canvas without one as a number
                "width": grid.width_px,
                "height": grid.height_px,
                **_physical_scale(record),
                "items": [
                    {"id": f"{canvas}/page", "type": "AnnotationPage", "items": [_painting(base, grid)]}
                ],
            }
        ],
    }


def _service(base: str) -> list[Document]:
    return [{"id": base, "type": "ImageService3", "profile": "level2"}]


def _painting(base: str, grid: Grid) -> Document:
    # For a large slide "max" is smaller than the canvas; viewers then paint the canvas from the service.
    width, height = read_size(Dialect(3), "max", (grid.width_px, grid.height_px))
    return {
        "id": f"{base}/canvas/painting",
        "type": "Annotation",
        "motivation": "painting",
        "target": f"{base}/canvas",
        "body": {
            "id": f"{base}/full/max/0/default.jpg",
            "type": "Image",
            "format": "image/jpeg",
            "width": width,
            "height": height,
            "service": _service(base),
        },
    }


def _thumbnail(base: str, grid: Grid) -> Document:
    level_dz = min(grid.max_level, THUMBNAIL_SIDE_PX.bit_length() - 1)
    width, height = grid.level_size(level_dz)
    address = f"{base}/full/{width},{height}/0/default.jpg"
    picture = {"id": address, "type": "Image", "format": "image/jpeg", "width": width, "height": height}
    return {**picture, "service": _service(base)}


def _metadata(image_id: str, record: SlideRecord | None) -> list[Document]:
    texts = {"ImageID": image_id}
    if record is not None:
        fields = {
            "Case": record.case_id,
            "Slide": record.slide_id,
            "Barcode": record.barcode,
            "Scanned": record.scan_date,
            "Objective power": record.app_mag,
            "Micrometres per pixel": None if record.mpp is None else f"{record.mpp:g}",
        }
        texts |= {name: text for name, text in fields.items() if text}
    return [{"label": {"en": [name]}, "value": {"none": [text]}} for name, text in texts.items()]


def _physical_scale(record: SlideRecord | None) -> Document:
    """Return the size of a pixel, so that viewers can measure; in millimetres, the smallest unit of that service."""
    if record is None or record.mpp is None:
        return {}
    scale = {"@context": PHYSICAL_CONTEXT, "profile": "http://iiif.io/api/annex/services/physdim"}
    return {"service": [{**scale, "physicalScale": record.mpp / 1000, "physicalUnits": "mm"}]}
