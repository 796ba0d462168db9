"""Read the channel settings of OMERO's webgateway: ``c``, ``m`` and ``maps``.

``c`` is ``[-]number[|start:end[r]][$color]``, separated by commas: 1, 2 and 3 are a slide's red, green and blue, or
its own first channels; a channel with a minus, or one that is not named, is off. ``r`` after the window inverts, as
in OMERO 5.3; since 5.4 ``maps`` does.
"""

import json
import re
from dataclasses import replace
from functools import lru_cache
from typing import Any

from vsv.errors import InvalidQueryError, UnsupportedError
from vsv.rendering.channels import PRIMARIES, Channel, Color, Rendering

MAX_CHANNELS = 64
_REAL = r"[-+]?(?:\d{1,12}(?:\.\d{0,17})?|\.\d{1,17})(?:[eE][-+]?\d{1,2})?"
_CHANNEL = re.compile(
    rf"(-?[1-9]\d{{0,3}})(?:\|(?:({_REAL}):({_REAL})(-?r)?)?)?(?:\$([^,$|]{{1,64}}))?\Z", re.ASCII
)
_COLOR = re.compile(r"(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})\Z", re.ASCII)
_SWITCH = (True, False, "true", "false", None)


@lru_cache(maxsize=256)
def rendering(
    c: str | None, m: str | None, maps: str | None, strict: bool, defaults: tuple[Channel, ...] = PRIMARIES
) -> Rendering:
    """Return the channels' settings; ``defaults`` are those of the slide's channels without a choice.

    Raises InvalidQueryError, and UnsupportedError for lookup tables.
    """
    if (strict and m is None) or m not in {None, "g", "c"}:
        raise InvalidQueryError("m, the model, is g for greyscale or c for colour")
    if c is None:
        if strict:
            raise InvalidQueryError(
                "c must name the channels, such as 1|0:255$FF0000,2|0:255$00FF00,3|0:255$0000FF"
            )
        listed = list(enumerate(defaults, 1))
    else:
        listed = _channels(c, strict, defaults)
    mapped = _apply_maps(listed, maps, strict)
    channels = (
        mapped.get(number, replace(default, active=False)) for number, default in enumerate(defaults, 1)
    )
    return Rendering(tuple(channels), grey=m == "g", defaults=defaults).normal()


def _channels(c: str, strict: bool, defaults: tuple[Channel, ...]) -> list[tuple[int, Channel]]:
    """Read ``c``: numbers from 1, negative for channels that are off; channels that no slide has are ignored."""
    parts = c.split(",")
    if len(parts) > MAX_CHANNELS:
        raise InvalidQueryError(f"c may name at most {MAX_CHANNELS} channels")
    listed = [_channel(part, strict, defaults) for part in parts]
    if len({number for number, _ in listed}) != len(listed):
        raise InvalidQueryError("c names a channel twice")
    return listed


def _channel(part: str, strict: bool, defaults: tuple[Channel, ...]) -> tuple[int, Channel]:
    match = _CHANNEL.match(part.strip())
    if match is None:
        raise InvalidQueryError("a channel is its number, then |start:end and $color, such as 1|0:255$FF0000")
    number, start, end, reverse, color = match.groups()
    if strict and (start is None or color is None):
        raise InvalidQueryError("each channel in c needs a window and a color, such as 1|0:255$FF0000")
    index = abs(int(number))
    channel = replace(defaults[min(index, len(defaults)) - 1], active=not number.startswith("-"))
    if color is not None:
        channel = replace(channel, color=read_color(color))
    if start is not None:
        channel = replace(channel, start=float(start), end=float(end), inverted=reverse == "r")
    return index, channel


def read_color(code: str) -> Color:
    """Read RGB, RGBA, RRGGBB or RRGGBBAA; raises InvalidQueryError, and UnsupportedError for lookup tables."""
    if code.endswith(".lut"):
        raise UnsupportedError("lookup tables are not served: give the channel a color")
    if not _COLOR.match(code):
        raise InvalidQueryError("a color is 3, 4, 6 or 8 hexadecimal digits, such as FF0000")
    if len(code) < 6:
        code = "".join(2 * digit for digit in code)
    red, green, blue, opacity = bytes.fromhex(code.ljust(8, "F"))
    return red, green, blue, opacity


def _apply_maps(listed: list[tuple[int, Channel]], maps: str | None, strict: bool) -> dict[int, Channel]:
    """Apply ``maps``: its first entry belongs to the first channel that ``c`` names, and so on."""
    entries = _read_maps(maps)
    if strict and maps is not None and len(entries) != len(listed):
        raise InvalidQueryError("maps must have one entry for each channel in c")
    entries += [None] * (len(listed) - len(entries))
    return {
        number: _with_map(channel, entry) for (number, channel), entry in zip(listed, entries, strict=False)
    }


def _read_maps(maps: str | None) -> list[Any]:
    if maps is None:
        return []
    try:
        entries = json.loads(maps)
    except (ValueError, RecursionError) as error:
        raise InvalidQueryError("maps must be a JSON list") from error
    if not isinstance(entries, list) or len(entries) > MAX_CHANNELS:
        raise InvalidQueryError(f"maps must be a JSON list of at most {MAX_CHANNELS} entries")
    return entries


def _with_map(channel: Channel, entry: object) -> Channel:
    if entry is None:
        return channel
    if not isinstance(entry, dict):
        raise InvalidQueryError('an entry of maps is an object, such as {"inverted": {"enabled": true}}')
    inverted = entry.get("reverse") if entry.get("inverted") is None else entry["inverted"]
    if inverted is not None:
        if not isinstance(inverted, dict) or inverted.get("enabled") not in _SWITCH:
            raise InvalidQueryError('inverted in maps is an object, such as {"enabled": true}')
        channel = replace(channel, inverted=inverted.get("enabled") in (True, "true"))
    return _with_curve(channel, entry.get("quantization"))


def _with_curve(channel: Channel, quantization: object) -> Channel:
    if quantization is None:
        return channel
    if not isinstance(quantization, dict):
        raise InvalidQueryError('quantization in maps is an object, such as {"family": "linear"}')
    family, coefficient = quantization.get("family", "linear"), quantization.get("coefficient", 1.0)
    if not isinstance(family, str) or type(coefficient) not in {int, float}:
        raise InvalidQueryError("quantization in maps has a family, a text, and a coefficient, a number")
    return replace(channel, family=family, coefficient=coefficient)
