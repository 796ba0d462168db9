"""What a slide file says about itself, whoever wrote it and whatever it leaves out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vsv.errors import UnreadableSlideError
from vsv.formats.aperio_description import ScanTime, is_aperio, parse_tags, positive_number, scan_time
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import COMPRESSION_NAMES, Page, read_pages
from vsv.identifiers import is_image_id
from vsv.slides import image_reader
from vsv.slides.openslide_reader import opened
from vsv.slides.slide import COMPLETE


@dataclass(frozen=True, slots=True)
class Scan:
    """A slide's own description. What the file does not say is None; ``mpp`` is µm per pixel, ``app_mag`` a text."""

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


def read_scan(path: Path) -> Scan:
    """Read a slide's description, or what a complete pyramid says of its slide; raises UnreadableSlideError."""
    page = _first_page(path)
    if page is not None and (is_aperio(page.description) or page.description.startswith(COMPLETE)):
        return _aperio(page)
    return _plain(path) if image_reader.is_plain(path) else _other(path, page)


def _first_page(path: Path) -> Page | None:
    try:
        return read_pages(OpenFile(path))[0]
    except UnreadableSlideError:
        return None


def _aperio(page: Page) -> Scan:
    tags = parse_tags(page.description)
    image_id, power = tags.get("ImageID", ""), positive_number(tags.get("AppMag"))
    return Scan(
        width_px=page.width_px,
        height_px=page.height_px,
        tile_size=page.tile_width_px or None,
        compression=_compression(page),
        tags=tags,
        image_id=image_id if is_image_id(image_id) else None,
        time=scan_time(tags),
        app_mag=None if power is None else f"{power:g}",
        mpp=positive_number(tags.get("MPP")),
        scanner_id=tags.get("ScanScope ID") or None,
    )


def _other(path: Path, page: Page | None) -> Scan:
    slide = opened(path)
    width_px, height_px = slide.dimensions
    properties = dict(sorted(slide.properties.items())[:200])
    power = positive_number(properties.get("openslide.objective-power"))
    return Scan(
        width_px=width_px,
        height_px=height_px,
        tile_size=page.tile_width_px or None if page else None,
        compression=_compression(page) if page else None,
        tags={key[:100]: value[:2000] for key, value in properties.items()},
        image_id=None,
        time=None,
        app_mag=None if power is None else f"{power:g}",
        mpp=positive_number(properties.get("openslide.mpp-x")),
        scanner_id=None,
    )


def _plain(path: Path) -> Scan:
    """Describe an ordinary image; it says nothing of itself."""
    width_px, height_px = image_reader.dimensions(path)
    kind, mode = image_reader.description(path)
    return Scan(
        width_px=width_px,
        height_px=height_px,
        tile_size=None,
        compression=kind,
        tags={"Format": kind, "Pixels": mode},
        image_id=None,
        time=None,
        app_mag=None,
        mpp=None,
        scanner_id=None,
    )


def _compression(page: Page) -> str:
    return COMPRESSION_NAMES.get(page.compression, f"TIFF {page.compression}")
