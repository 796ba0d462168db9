"""Whose colours a picture has: those of the scanner, as stored, or sRGB by the slide's ICC profile.

What is asked for and what is served, without a pixel: a tile that is passed through needs no colour management, and a
Lambda function's first answer should not wait for it.
"""

from dataclasses import dataclass

from vsv.rendering.colour_request import PASSTHROUGH, SRGB, Colour
from vsv.slides.slide import Slide

NAMESPACE = "urn:x-vsv:colour"


def effective_intent(slide: Slide, colour: Colour) -> str | None:
    """Give the intent of the conversion that the slide's pixels get; None where they are served as stored.

    That is so without a profile that can be used, and where the profile says that the pixels are sRGB already.
    """
    if colour.icc == PASSTHROUGH or not slide.reader.may_have_profile:
        return None
    from vsv.rendering.icc import profile_of  # noqa: PLC0415  cold start

    profile = profile_of(slide)
    if profile is None or profile.is_srgb:
        return None
    intent = colour.intent or profile.intent
    return intent if profile.allows(intent) else None


@dataclass(frozen=True, slots=True)
class ColourState:
    """What a slide says of its colours, and what is served.

    ``profile`` is the profile's name, None where the slide has none that can be used. ``intent`` is that of the
    conversion to sRGB; None where pixels are served as stored.
    """

    profile: str | None
    is_srgb: bool
    intent: str | None

    def __str__(self) -> str:
        """Say it as the header ``x-vsv-icc`` does: ``none``, ``srgb``, ``passthrough`` or ``srgb; intent=…``."""
        if self.profile is None:
            return "none"
        if self.is_srgb:
            return SRGB
        return PASSTHROUGH if self.intent is None else f"{SRGB}; intent={self.intent}"

    def attributes(self) -> str:
        """Give the same as attributes of an XML element, in a namespace of their own; nothing without a profile."""
        if self.profile is None:
            return ""
        from xml.sax.saxutils import quoteattr  # noqa: PLC0415  cold start: brings urllib, and a tile needs none

        return f' xmlns:vsv="{NAMESPACE}" vsv:Colour="{self}" vsv:Profile={quoteattr(self.profile)}'


def colour_state(slide: Slide, colour: Colour) -> ColourState:
    """Tell what colours a slide has, and which are served where ``colour`` is asked for."""
    none = ColourState(None, is_srgb=False, intent=None)
    if not slide.reader.may_have_profile:
        return none
    from vsv.rendering.icc import profile_of  # noqa: PLC0415  cold start

    profile = profile_of(slide)
    if profile is None:
        return none
    return ColourState(profile.name, profile.is_srgb, effective_intent(slide, colour))
