"""Requested colours of a picture: the scanner's, as stored, or sRGB by the slide's ICC profile."""

from collections.abc import Mapping
from dataclasses import dataclass

from vsv.errors import InvalidQueryError

PASSTHROUGH, SRGB = "passthrough", "srgb"
CHOICES = (PASSTHROUGH, SRGB)
# In the order of ICC's numbers, 0 to 3.
INTENTS = ("perceptual", "relative", "saturation", "absolute")


@dataclass(frozen=True, slots=True)
class Colour:
    """Requested colours. ``intent`` is the rendering intent; None means the intent that the profile recommends."""

    icc: str = PASSTHROUGH
    intent: str | None = None

    def __post_init__(self) -> None:
        if self.icc not in CHOICES:
            raise InvalidQueryError(f"icc must be one of {', '.join(CHOICES)}")
        if self.intent is not None and self.intent not in INTENTS:
            raise InvalidQueryError(f"intent must be one of {', '.join(INTENTS)}")


AS_STORED = Colour()


def parse_colour(query: Mapping[str, str], default: str) -> Colour:
    """Return the colours that a query's ``icc`` and ``intent`` request, or the default; raise InvalidQueryError."""
    return Colour(query.get("icc") or default, query.get("intent") or None)
