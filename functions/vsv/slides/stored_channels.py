"""Channels as they were measured, stored in the slide's folder: they stay when the original is archived."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from vsv.slides.channel_set import ChannelSet, SlideChannel
from vsv.slides.channel_windows import Window
from vsv.storage import atomic_write

FILENAME, VERSION = "channels.json", 1


class StoredChannels(NamedTuple):
    """The channels of an original of ``size`` bytes, and the halvings of its levels that match full resolution."""

    size: int
    channel_set: ChannelSet
    levels: tuple[int, ...]


def read(path: Path) -> StoredChannels | None:
    """Return stored channels, None where there are none that can be read."""
    try:
        stored = json.loads(path.read_bytes())
        if stored["version"] != VERSION:
            return None
        low, high = stored["limits"]
        channels = tuple(_channel(**channel) for channel in stored["channels"])
        channel_set = ChannelSet(channels, str(stored["pixel_type"]), (int(low), int(high)))
        levels = tuple(int(shift) for shift in stored["levels"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    windows = (channel.window for channel in channels)
    is_usable = all(-math.inf < window.start < window.end < math.inf for window in windows) and 0 in levels
    return StoredChannels(int(stored["size"]), channel_set, levels) if is_usable else None


def store(path: Path, stored: StoredChannels) -> None:
    """Write the channels of an original by an atomic write."""
    content = {
        "version": VERSION,
        "size": stored.size,
        "pixel_type": stored.channel_set.pixel_type,
        "limits": stored.channel_set.limits,
        "levels": stored.levels,
        "channels": [_document(channel) for channel in stored.channel_set.channels],
    }
    atomic_write.write(path, json.dumps(content, indent=1).encode())


def _document(channel: SlideChannel) -> dict[str, Any]:
    window = channel.window
    return {
        "name": channel.name,
        "color": channel.color,
        "emission_nm": channel.emission_nm,
        "start": window.start,
        "end": window.end,
        "low": window.low,
        "high": window.high,
        "inverted": channel.inverted,
        "active": channel.active,
    }


def _channel(
    *, name: str, color: list[int], emission_nm: float | None, inverted: bool, active: bool, **window: float
) -> SlideChannel:
    red, green, blue = color
    ends = Window(**{key: float(value) for key, value in window.items()})
    return SlideChannel(str(name), (red, green, blue), emission_nm, ends, bool(inverted), bool(active))
