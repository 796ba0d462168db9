"""Choice of a picture's colours: the scanner's, as stored, or sRGB by the slide's ICC profile.

This module decides without touching pixels: a tile that is passed through needs no colour management, and a Lambda
function's first answer should not wait for the import of a colour library.
"""

from dataclasses import dataclass

from vsv.rendering.colour_request import PASSTHROUGH, SRGB, Colour
from vsv.slides.slide import Slide

NAMESPACE = "urn:x-vsv:colour"


def effective_intent(slide: Slide, colour: Colour) -> str | None:
    """Return the rendering intent that the slide's pixels are converted with; None where they are served as stored.

    Pixels are served as stored without a usable profile, and where the profile says that they are sRGB already.
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
    """A slide's colours, and the colours served.

    ``profile`` is the name of the slide's profile, None without a usable profile. ``intent`` is the rendering intent
    of the conversion to sRGB; None where pixels are served as stored. ``problem`` says why a profile cannot be used.
    """

    profile: str | None
    is_srgb: bool
    intent: str | None
    problem: str | None = None

    def __str__(self) -> str:
        """Return the value of the header ``x-vsv-icc``: ``none``, ``srgb``, ``passthrough`` or ``srgb; intent=…``."""
        if self.profile is None:
            return "none"
        if self.is_srgb:
            return SRGB
        return PASSTHROUGH if self.intent is None else f"{SRGB}; intent={self.intent}"

    def attributes(self) -> str:
        """Return the state as attributes of an XML element, in their own namespace; empty without a profile."""
        if self.profile is None and self.problem is None:
            return ""
        from xml.sax.saxutils import quoteattr  # noqa: PLC0415  cold start: brings urllib, and a tile needs none

        name = "Problem" if self.profile is None else "Profile"
        value = quoteattr(self.profile or self.problem or "")
        return f' xmlns:vsv="{NAMESPACE}" vsv:Colour="{self}" vsv:{name}={value}'


def colour_state(slide: Slide, colour: Colour) -> ColourState:
    """Return a slide's colours, and the colours served when ``colour`` is requested."""
    none = ColourState(None, is_srgb=False, intent=None)
    if not slide.reader.may_have_profile:
        return none
    from vsv.rendering.icc import profile_of, profile_problem  # noqa: PLC0415  cold start

    profile = profile_of(slide)
    if profile is None:
        return ColourState(None, is_srgb=False, intent=None, problem=profile_problem(slide))
    return ColourState(profile.name, profile.is_srgb, effective_intent(slide, colour))
