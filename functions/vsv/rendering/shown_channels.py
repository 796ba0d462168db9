"""The channels that protocols name for a slide: its own, or red, green and blue of 8 bits."""

from typing import TYPE_CHECKING, Any

from vsv.rendering.channels import FULL, NAMES, PRIMARIES, Channel
from vsv.slides.slide import Slide

if TYPE_CHECKING:  # cold start
    from vsv.slides.channel_set import ChannelSet


class NamedChannel:
    """A channel's name and values: the settings that it is drawn with by default, its lowest and highest value.

    No dataclass: that would cost half a millisecond of each cold start.
    """

    __slots__ = ("default", "emission_nm", "high", "low", "name")

    def __init__(
        self,
        name: str,
        default: Channel,
        low: float = 0.0,
        high: float = float(FULL),
        emission_nm: float | None = None,
    ) -> None:
        self.name, self.default = name, default
        self.low, self.high, self.emission_nm = low, high, emission_nm

    @property
    def color(self) -> str:
        """The colour as six hexadecimal digits."""
        return bytes(self.default.color[:3]).hex().upper()


class ShownChannels:
    """All channels of a slide; ``pixel_type`` is the type of their samples, ``limits`` its extreme values."""

    __slots__ = ("channels", "limits", "pixel_type")

    def __init__(
        self,
        channels: tuple[NamedChannel, ...],
        pixel_type: str = "uint8",
        limits: tuple[int, int] = (0, FULL),
    ) -> None:
        self.channels, self.pixel_type, self.limits = channels, pixel_type, limits

    @property
    def defaults(self) -> tuple[Channel, ...]:
        """The settings of all channels that are drawn by default."""
        return tuple(channel.default for channel in self.channels)

    def document(self) -> list[dict[str, Any]]:
        """Return the channels as descriptors of Deep Zoom and IIIF name them."""
        return [
            {
                "name": channel.name,
                "color": channel.color,
                "start": channel.default.start,
                "end": channel.default.end,
                **({} if channel.default.active else {"active": False}),
                **({} if channel.emission_nm is None else {"emission_nm": round(channel.emission_nm, 3)}),
            }
            for channel in self.channels
        ]


RGB = ShownChannels(
    tuple(NamedChannel(name, channel) for name, channel in zip(NAMES, PRIMARIES, strict=True))
)


def shown_channels(slide: Slide) -> ShownChannels:
    """Return the channels of a slide, also of one whose original is archived; measure them where that is still to do.

    The result is ``RGB`` itself for a slide that has no channels of its own.
    """
    own = slide.channels or _archived_channels(slide)
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


def _archived_channels(slide: Slide) -> "ChannelSet | None":
    """Return the stored channels of a slide that is read from its complete pyramid."""
    if slide.has_channels or slide.path.name != "pyramid.tif":
        return None
    from vsv.slides import stored_channels  # noqa: PLC0415  cold start

    stored = stored_channels.read(slide.path.with_name(stored_channels.FILENAME))
    return None if stored is None else stored.channel_set
