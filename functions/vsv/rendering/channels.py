"""A slide's colours as OMERO's channels: which are active, how values are mapped, and the colour each adds.

A channel's value is mapped by its window (start is dark, end is full) and its curve, and inverted on request; then
each channel adds its colour in proportion to that value. Source: OMERO's rendering engine, as described in
"OMERO.server rendering" of the OMERO developer documentation. Here are the tables of 8-bit pixels.
"""

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache

from vsv.errors import InvalidQueryError

COUNT = 3
FULL = 255
FAMILIES = ("linear", "polynomial", "exponential", "logarithmic")
MAX_COEFFICIENT = 10.0
Color = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Channel:
    """Settings of a channel; ``color`` is red, green, blue and opacity, 0 to 255."""

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

    def table(self, highest: int = FULL) -> bytes:
        """Return the channel's lookup table: the mapped value for each value that a pixel can have, from 0 on."""
        values = (round_half_up(FULL * self._curve(self._position(value))) for value in range(highest + 1))
        return bytes(FULL - value if self.inverted else value for value in values)

    def _position(self, value: int) -> float:
        """Return a value's position in the window, 0 to 1."""
        return min(1.0, max(0.0, (value - self.start) / (self.end - self.start)))

    def _curve(self, position: float) -> float:
        """Return a position, 0 to 1, mapped by the family's curve; the curves calculate with 0 to 255 inside."""
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
    """Return the value rounded as OMERO rounds: a half goes up."""
    return math.floor(value + 0.5)


PRIMARIES = (
    Channel((FULL, 0, 0, FULL)),
    Channel((0, FULL, 0, FULL)),
    Channel((0, 0, FULL, FULL)),
)
NAMES = ("Red", "Green", "Blue")


@dataclass(frozen=True, slots=True)
class Rendering:
    """Settings that a slide's channels are drawn with; ``grey``: the first active channel only, in shades of grey.

    ``defaults`` are the settings without a client's choice.
    """

    channels: tuple[Channel, ...]
    grey: bool = False
    defaults: tuple[Channel, ...] = field(default=PRIMARIES, repr=False, compare=False)

    @property
    def is_identity(self) -> bool:
        """Whether a rendering returned by ``normal`` draws a slide as it is drawn without settings."""
        return self.channels == self.defaults and not self.grey

    def normal(self) -> "Rendering":
        """Return an equivalent rendering in which every setting without effect has its default."""
        channels = tuple(map(_normalize, self.channels, self.defaults))
        return replace(self, channels=channels)


def _normalize(channel: Channel, default: Channel) -> Channel:
    if not channel.active:
        return replace(default, active=False)
    is_linear = channel.family == "polynomial" and channel.coefficient == 1.0
    if is_linear or channel.family in {"linear", "logarithmic"}:
        return replace(channel, coefficient=1.0, family="linear" if is_linear else channel.family)
    return channel


NATURAL = Rendering(PRIMARIES)


@lru_cache(maxsize=64)
def tables(rendering: Rendering) -> tuple[tuple[tuple[int, bytes], ...], ...]:
    """Return, for red, green and blue of the picture, each channel that adds to it and the table of its amounts."""
    active = [(index, channel) for index, channel in enumerate(rendering.channels) if channel.active]
    if rendering.grey:
        first = tuple((index, channel.table()) for index, channel in active[:1])
        return (first, first, first)
    added = [(index, channel.table(), channel.color) for index, channel in active]
    return tuple(
        tuple(
            (index, _scale_table(table, color, part))
            for index, table, color in added
            if color[part] and color[3]
        )
        for part in range(3)
    )


def _scale_table(table: bytes, color: Color, part: int) -> bytes:
    """Return the amounts that a channel adds to a primary colour: rounded down by colour, then by opacity."""
    return bytes(value * color[part] // FULL * color[3] // FULL for value in table)
