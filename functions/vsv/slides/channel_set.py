"""The channels of a slide as they are shown unless a client requests other settings, and pixels drawn from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vsv.formats.tiff_samples import Samples
from vsv.slides.channel_colours import Color
from vsv.slides.channel_windows import Window

Pixels = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.uint8]

FULL = 255
# ImageJ's composite images show at most so many channels at once.
MAX_ACTIVE = 7


@dataclass(frozen=True, slots=True)
class SlideChannel:
    """A channel: its window's start is shown dark and its end full, the other way round if ``inverted``.

    ``active``: the channel is shown unless another choice is requested.
    """

    name: str
    color: Color
    emission_nm: float | None
    window: Window
    inverted: bool = False
    active: bool = True


@dataclass(frozen=True, slots=True)
class ChannelSet:
    """All channels of a slide; ``pixel_type`` is numpy's name of their samples, ``limits`` are its extreme values."""

    channels: tuple[SlideChannel, ...]
    pixel_type: str
    limits: tuple[int, int]


def draw_channels(channels: Sequence[SlideChannel], planes: Sequence[Samples]) -> Pixels:
    """Return the picture of channels, each with its plane of samples: windows mapped, colours added up to white."""
    shown = [
        (map_plane(plane, channel.window.start, channel.window.end, inverted=channel.inverted), channel.color)
        for channel, plane in zip(channels, planes, strict=True)
    ]
    return add_colours(shown)


def over_white(pixels: Pixels, opacity: Samples, highest: int) -> Pixels:
    """Return pixels over white, as opaque as their opacity is near ``highest``."""
    part = (opacity.astype(np.float64) / highest)[..., None]
    return np.floor(pixels * part + FULL * (1 - part) + 0.5).astype(np.uint8)


def map_plane(samples: Samples, start: float, end: float, *, inverted: bool) -> Plane:
    """Return samples mapped from a window to 0 to 255, a half rounded up, as OMERO does."""
    if samples.dtype.itemsize > 2:
        return _map(samples, start, end, inverted)
    bits = 8 * samples.dtype.itemsize
    lowest = -(1 << bits - 1) if samples.dtype.kind == "i" else 0
    return _table(bits, lowest, start, end, inverted)[samples.astype(np.int32) - lowest]


@lru_cache(maxsize=128)
def _table(bits: int, lowest: int, start: float, end: float, inverted: bool) -> Plane:
    """Return the mapped value of each value that samples of up to 16 bits can have."""
    return _map(np.arange(lowest, lowest + (1 << bits)), start, end, inverted)


def _map(values: Samples, start: float, end: float, inverted: bool) -> Plane:
    position = np.clip((values.astype(np.float64) - start) / (end - start), 0, 1)
    mapped = np.floor(FULL * position + 0.5).astype(np.uint8)
    return FULL - mapped if inverted else mapped


def add_colours(shown: Sequence[tuple[Plane, Sequence[int]]]) -> Pixels:
    """Return the sum of planes in their colours, red, green, blue and perhaps opacity, at most 255."""
    if len(shown) == 1 and tuple(shown[0][1][:3]) == (FULL, FULL, FULL):
        return np.repeat(shown[0][0][..., None], 3, axis=2)
    height_px, width_px = shown[0][0].shape
    out = np.zeros((height_px, width_px, 3), np.uint16)
    for plane, color in shown:
        opacity = color[3] if len(color) > 3 else FULL
        for part in range(3):
            table = (np.arange(FULL + 1) * color[part] // FULL * opacity // FULL).astype(np.uint16)
            out[..., part] += table[plane]
    return np.minimum(out, FULL).astype(np.uint8)
