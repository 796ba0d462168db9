"""Properties of a TIFF of deep samples or several channels, from the description that the file has."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vsv.errors import UnreadableSlideError
from vsv.formats.aperio_description import positive_number
from vsv.formats.scan_time import scan_time
from vsv.slides.aperio_reader import is_aperio_slide
from vsv.slides.openslide_reader import OpenSlideReader
from vsv.slides.properties import Scan, aperio_properties, compression_name, magnification, with_description

if TYPE_CHECKING:
    from vsv.slides.channel_layout import ChannelPlace, Layout
    from vsv.slides.source import Source


def channel_properties(source: Source, layout: Layout) -> Scan:
    """Return the properties of the file; tags name its channels."""
    page = source.pages[0]
    scan = (
        aperio_properties(page)
        if is_aperio_slide(source.pages)
        else _with_ome(_plain(source, layout), layout)
    )
    if layout.is_rgb:
        return scan
    named = {f"Channel {number}": _text(place) for number, place in enumerate(layout.channels, 1)}
    return replace(scan, tags={**scan.tags, **named})


def _text(place: ChannelPlace) -> str:
    emission = "" if place.emission_nm is None else f", {place.emission_nm:g} nm"
    return f"{place.name}, #{bytes(place.color).hex().upper()}{emission}"


def _plain(source: Source, layout: Layout) -> Scan:
    """Return what OpenSlide reports of the file; size and format alone where it does not open the file."""
    page = source.pages[0]
    try:
        return OpenSlideReader(source.path, page).properties()
    except UnreadableSlideError:
        tags = {"Format": "TIFF", "Pixels": str(layout.first.dtype)}
    scan = Scan(
        width_px=page.width_px,
        height_px=page.height_px,
        tile_size=page.tile_width_px or None,
        compression=compression_name(page),
        tags=tags,
        image_id=None,
        time=None,
        app_mag=None,
        mpp=None,
        scanner_id=None,
    )
    return with_description(scan, page.description)


def _with_ome(scan: Scan, layout: Layout) -> Scan:
    """Return the properties with pixel size, magnification and time of OME-XML, which are the microscope's."""
    ome = layout.ome
    if ome is None:
        return scan
    return replace(
        scan,
        mpp=positive_number(repr(ome.mpp)) or scan.mpp,
        app_mag=(magnification(f"{ome.power:g}") if ome.power else None) or scan.app_mag,
        time=scan_time({"Date": ome.moment or ""}) or scan.time,
    )
