"""Properties of a slide file, independent of its format."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from vsv.formats.aperio_description import is_like_aperio, parse_tags, positive_number
from vsv.formats.scan_time import ScanTime, scan_time
from vsv.formats.tiff import COMPRESSION_NAMES, Page
from vsv.identifiers import is_image_id


@dataclass(frozen=True, slots=True)
class Scan:
    """A slide's properties, None where the file does not state them; ``mpp`` is µm per pixel, ``app_mag`` a text."""

    width_px: int
    height_px: int
    tile_size: int | None
    compression: str | None
    tags: Mapping[str, str]
    image_id: str | None
    time: ScanTime | None
    app_mag: str | None
    mpp: float | None
    scanner_id: str | None


def aperio_properties(page: Page) -> Scan:
    """Return the properties in the first page's description, of an Aperio slide or of a complete pyramid."""
    tags = parse_tags(page.description)
    image_id = tags.get("ImageID", "")
    return Scan(
        width_px=page.width_px,
        height_px=page.height_px,
        tile_size=page.tile_width_px or None,
        compression=compression_name(page),
        tags=tags,
        image_id=image_id if is_image_id(image_id) else None,
        time=scan_time(tags),
        app_mag=magnification(tags.get("AppMag")),
        mpp=positive_number(tags.get("MPP")),
        scanner_id=tags.get("ScanScope ID") or None,
    )


def magnification(text: str | None) -> str | None:
    """Return a magnification as records hold it, such as ``20``; None for a text that is no positive number."""
    power = positive_number(text)
    return None if power is None else f"{power:g}"


def with_description(scan: Scan, description: str) -> Scan:
    """Return the properties with magnification, pixel size and time of a description that has Aperio's form.

    The description is the scanner's; a pixel size from TIFF's resolution is often a printer's. The slide's ID stays.
    """
    if not is_like_aperio(description):
        return scan
    tags = parse_tags(description)
    return replace(
        scan,
        app_mag=magnification(tags.get("AppMag")) or scan.app_mag,
        mpp=positive_number(tags.get("MPP")) or scan.mpp,
        time=scan_time(tags) or scan.time,
    )


def compression_name(page: Page) -> str:
    """Return the name of a page's compression, for an unknown one its number in TIFF."""
    return COMPRESSION_NAMES.get(page.compression, f"TIFF {page.compression}")
