"""Where a TIFF of deep samples or of several channels holds each channel, and which files are such TIFFs.

Channels are samples of a pixel, interleaved or as planes of their own, or directories of an OME-TIFF or of ImageJ.
Sources: TIFF 6.0; "The OME-TIFF format"; ImageJ's ``TiffEncoder`` (its description of hyperstacks).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vsv.formats.aperio_description import is_aperio
from vsv.formats.ome_xml import MAX_CHANNELS, OmeChannel, OmePixels, is_ome, read_ome
from vsv.formats.tiff import COMPRESSION_JPEG, PHOTOMETRIC_GREY, PHOTOMETRIC_RGB
from vsv.formats.tiff_samples import (
    UNSIGNED,
    SamplePage,
    first_sample_page,
    long_description,
    sample_pages,
)
from vsv.slides.channel_colours import BLUE, GREEN, RED, Color, channel_colours

if TYPE_CHECKING:
    from vsv.slides.source import Source

_MINIMUM_IS_WHITE = 0
_IMAGEJ = "ImageJ="


@dataclass(frozen=True, slots=True)
class ChannelPlace:
    """A channel's name and colour, and where its samples are: a directory, and the sample's number in a pixel."""

    name: str
    color: Color
    emission_nm: float | None
    page: SamplePage
    sample: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The channels of a file; ``is_rgb``: they are red, green and blue; ``problem``: why nothing can be shown."""

    first: SamplePage
    channels: tuple[ChannelPlace, ...] = ()
    is_rgb: bool = False
    ome: OmePixels | None = None
    problem: str | None = None

    @property
    def alpha(self) -> int | None:
        """The sample that holds the opacity of RGB pixels, None without one."""
        return self.first.colour_samples if self.is_rgb and self.first.alpha_samples else None

    @property
    def is_inverted(self) -> bool:
        """Whether the lowest value is white."""
        return self.first.page.photometric == _MINIMUM_IS_WHITE


def layout_of(source: Source) -> Layout | None:
    """Return where the channels of a file are; None for files whose pixels are 8-bit RGB or grey."""
    if not source.pages:
        return None
    first = first_sample_page(source.file, source.pages[0])
    description = first.page.description
    ome = read_ome(long_description(source.file)) if is_ome(description) else None
    channels = _planes_of(first, ome, description)
    if not _is_deep(first) and len(channels) < 2:
        return None
    if problem := first.problem():
        return Layout(first, ome=ome, problem=problem)
    if _is_rgb(first):
        return Layout(first, _rgb(first), is_rgb=True, ome=ome)
    return _with_places(source, first, ome, channels)


def _is_deep(first: SamplePage) -> bool:
    return max(first.bits) > 8 or (
        first.sample_format != UNSIGNED and first.page.compression != COMPRESSION_JPEG
    )


def _is_rgb(first: SamplePage) -> bool:
    return first.page.photometric == PHOTOMETRIC_RGB and first.colour_samples >= 3


def _rgb(first: SamplePage) -> tuple[ChannelPlace, ...]:
    named = zip(("Red", "Green", "Blue"), (RED, GREEN, BLUE), strict=True)
    return tuple(ChannelPlace(name, color, None, first, sample) for sample, (name, color) in enumerate(named))


def _planes_of(
    first: SamplePage, ome: OmePixels | None, description: str
) -> list[tuple[OmeChannel, int | None, int]]:
    """Return each channel with its directory and sample: of a pixel's samples, else of directories."""
    unnamed, is_grey = (
        OmeChannel(None, None, None, 1),
        first.page.photometric in {_MINIMUM_IS_WHITE, PHOTOMETRIC_GREY},
    )
    if first.colour_samples > 1:
        # A document may describe all samples by one channel, or each by its own.
        described = list(ome.channels) if ome and len(ome.channels) == first.colour_samples else []
        described += [unnamed] * (first.colour_samples - len(described))
        return [(channel, 0, sample) for sample, channel in enumerate(described)] if is_grey else []
    if ome is not None:
        return [(channel, at, 0) for channel, at in zip(ome.channels, ome.planes, strict=True)]
    return [(unnamed, at, 0) for at in _imagej_planes(description)] or [(unnamed, 0, 0)]


def _imagej_planes(description: str) -> list[int]:
    """Return the directories of ImageJ's channels, of the middle slice and the first frame; none for other files."""
    if not description.startswith(_IMAGEJ):
        return []
    pairs = (line.partition("=") for line in description.splitlines())
    values = {
        key: int(value) for key, _, value in pairs if value.isascii() and value.isdigit() and len(value) < 6
    }
    channels, slices = min(values.get("channels", 1), MAX_CHANNELS), values.get("slices", 1)
    return [channel + channels * (slices // 2) for channel in range(channels)]


def _with_places(
    source: Source,
    first: SamplePage,
    ome: OmePixels | None,
    channels: list[tuple[OmeChannel, int | None, int]],
) -> Layout:
    """Return the layout of channels whose directories are there and alike; with the problem where they are not."""
    pages = sample_pages(source.file, source.pages) if any(at for _, at, _ in channels) else [first]
    found = [pages[at] if at is not None and 0 <= at < len(pages) else None for _, at, _ in channels]
    places = [page for page in found if page is not None]
    if len(places) < len(found):
        return Layout(
            first, ome=ome, problem="channels that are not in this file are not shown: save them as one file"
        )
    if problem := next(filter(None, (page.problem() for page in places)), None):
        return Layout(first, ome=ome, problem=problem)
    if any(_shape(page) != _shape(places[0]) for page in places):
        return Layout(
            first,
            ome=ome,
            problem="channels of different sizes or sample types are not shown: save it as RGB",
        )
    described = [channel for channel, _, _ in channels]
    colors = channel_colours([c.color for c in described], [c.emission_nm for c in described])
    names = [channel.name or f"Channel {number}" for number, channel in enumerate(described, 1)]
    placed = (
        ChannelPlace(name, color, channel.emission_nm, page, sample)
        for name, color, page, (channel, _, sample) in zip(names, colors, places, channels, strict=True)
    )
    return Layout(places[0], tuple(placed), ome=ome)


def _shape(page: SamplePage) -> tuple[object, ...]:
    return page.page.width_px, page.page.height_px, page.dtype, page.page.photometric == _MINIMUM_IS_WHITE


def is_claimed(source: Source, layout: Layout) -> bool:
    """Return whether a file with this layout is read by channels, and not by the reader of its vendor's format.

    A grey image of 16 bits in strips without a description of channels is an ordinary image.
    """
    first, description = layout.first, source.pages[0].description
    if is_aperio(description):
        return True
    is_described = layout.ome is not None or description.startswith(_IMAGEJ)
    is_plain = (
        not first.page.is_tiled
        and first.page.samples == 1
        and (first.bits, first.sample_format, first.page.photometric) == ((16,), UNSIGNED, PHOTOMETRIC_GREY)
    )
    if is_plain and not is_described:
        return False
    from vsv.slides.openslide_handles import vendor  # noqa: PLC0415  a fifth of a cold start

    return vendor(source.path) in {None, "generic-tiff"}
