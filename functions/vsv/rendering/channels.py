"""A slide's three colours as OMERO's channels: which are on, how their values are spread, and what colour each adds.

A channel's value goes through its window (start is dark, end is full), its curve, and is inverted where that is asked
for; then each channel adds its colour, as much as its value says. Source: OMERO's rendering engine, as described in
"OMERO.server rendering" of the OMERO developer documentation; 8 bits a channel.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

from vsv.errors import InvalidQueryError

COUNT = 3
FULL = 255
FAMILIES = ("linear", "polynomial", "exponential", "logarithmic")
MAX_COEFFICIENT = 10.0
Color = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel's settings; ``color`` is red, green, blue and opacity, 0 to 255."""

    color: Color
    start: float = 0.0
    end: float = float(FULL)
    inverted: bool = False
    family: str = "linear"
    coefficient: float = 1.0
    active: bool = True

    def __post_init__(self) -> None:
        if not -math.inf < self.start < self.end < math.inf:
            raise InvalidQueryError("a channel's window must start below its end")
        if self.family not in FAMILIES:
            raise InvalidQueryError(f"a quantization family is one of {', '.join(FAMILIES)}")
        if not 0 < self.coefficient <= MAX_COEFFICIENT:
            raise InvalidQueryError(f"a quantization coefficient is above 0 and at most {MAX_COEFFICIENT:g}")

    def table(self) -> bytes:
        """Give what the channel's value becomes, for each value that a pixel can have."""
        values = (round_half_up(FULL * self._curve(self._position(value))) for value in range(FULL + 1))
        return bytes(FULL - value if self.inverted else value for value in values)

    def _position(self, value: int) -> float:
        """Tell where in the window a value lies, 0 to 1."""
        return min(1.0, max(0.0, (value - self.start) / (self.end - self.start)))

    def _curve(self, position: float) -> float:
        """Bend 0 to 1; the curves count from 0 to 255 inside."""
        if self.family == "polynomial":
            return float(position**self.coefficient)
        if self.family == "logarithmic":
            return math.log(max(1.0, FULL * position)) / math.log(FULL)
        if self.family == "exponential":
            top = float(FULL) ** self.coefficient
            bottom = math.exp(-top)
            return (math.exp((FULL * position) ** self.coefficient - top) - bottom) / (1 - bottom)
        return position


def round_half_up(value: float) -> int:
    """Round as OMERO does: a half goes up."""
    return math.floor(value + 0.5)


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a slide's channels are drawn; ``grey``: the first active one alone, as shades of grey."""

    channels: tuple[Channel, Channel, Channel]
    grey: bool = False

    @property
    def is_identity(self) -> bool:
        """Tell whether pixels stay as they are; of what ``normal`` gives."""
        return self == NATURAL

    def normal(self) -> "Rendering":
        """Give the same rendering with everything that has no effect as it is by default."""
        found = tuple(_normal(channel, own) for channel, own in zip(self.channels, PRIMARIES, strict=True))
        return Rendering((found[0], found[1], found[2]), self.grey)


def _normal(channel: Channel, own: Channel) -> Channel:
    if not channel.active:
        return replace(own, active=False)
    straight = channel.family == "polynomial" and channel.coefficient == 1.0
    if straight or channel.family in {"linear", "logarithmic"}:
        return replace(channel, coefficient=1.0, family="linear" if straight else channel.family)
    return channel


PRIMARIES = (
    Channel((FULL, 0, 0, FULL)),
    Channel((0, FULL, 0, FULL)),
    Channel((0, 0, FULL, FULL)),
)
NAMES = ("Red", "Green", "Blue")
NATURAL = Rendering(PRIMARIES)


@lru_cache(maxsize=64)
def tables(rendering: Rendering) -> tuple[tuple[tuple[int, bytes], ...], ...]:
    """Give, for red, green and blue of the picture, the channels that add to it and what each value adds."""
    active = [(index, channel) for index, channel in enumerate(rendering.channels) if channel.active]
    if rendering.grey:
        first = tuple((index, channel.table()) for index, channel in active[:1])
        return (first, first, first)
    added = [(index, channel.table(), channel.color) for index, channel in active]
    return tuple(
        tuple(
            (index, _share(table, color, part)) for index, table, color in added if color[part] and color[3]
        )
        for part in range(3)
    )


def _share(table: bytes, color: Color, part: int) -> bytes:
    """Give what a channel adds to one part of the picture: rounded down by colour, then by opacity."""
    return bytes(value * color[part] // FULL * color[3] // FULL for value in table)
