"""The channels that protocols name for a slide: its own, or red, green and blue of 8 bits."""

from dataclasses import dataclass

from vsv.rendering.channels import FULL, NAMES, PRIMARIES, Channel
from vsv.slides.slide import Slide


@dataclass(frozen=True, slots=True)
class NamedChannel:
    """A channel's name and values: the settings that it is drawn with by default, its lowest and highest value."""

    name: str
    default: Channel
    low: float = 0.0
    high: float = float(FULL)
    emission_nm: float | None = None

    @property
    def color(self) -> str:
        """The colour as six hexadecimal digits."""
        return bytes(self.default.color[:3]).hex().upper()


@dataclass(frozen=True, slots=True)
class ShownChannels:
    """All channels of a slide; ``pixel_type`` is the type of their samples, ``limits`` its extreme values."""

    channels: tuple[NamedChannel, ...]
    pixel_type: str = "uint8"
    limits: tuple[int, int] = (0, FULL)

    @property
    def defaults(self) -> tuple[Channel, ...]:
        """The settings of all channels that are drawn by default."""
        return tuple(channel.default for channel in self.channels)


RGB = ShownChannels(
    tuple(NamedChannel(name, channel) for name, channel in zip(NAMES, PRIMARIES, strict=True))
)


def shown_channels(slide: Slide) -> ShownChannels:
    """Return the channels of a slide; measure them where that was not done when the slide was imported."""
    own = slide.channels
    if own is None:
        return RGB
    named = tuple(
        NamedChannel(
            channel.name,
            Channel(
                (*channel.color, FULL),
                channel.window.start,
                channel.window.end,
                inverted=channel.inverted,
                active=channel.active,
            ),
            channel.window.low,
            channel.window.high,
            channel.emission_nm,
        )
        for channel in own.channels
    )
    return ShownChannels(named, own.pixel_type, own.limits)
