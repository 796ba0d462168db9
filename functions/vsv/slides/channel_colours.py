"""Colours of channels: those that the file names, else by the wavelength of emission, else ImageJ's, in its order."""

from collections.abc import Sequence
from itertools import cycle, islice

Color = tuple[int, int, int]

WHITE: Color = (255, 255, 255)
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
# ImageJ's composite images: red, green, blue, grey, cyan, magenta, yellow.
DEFAULTS: tuple[Color, ...] = (RED, GREEN, BLUE, WHITE, (0, 255, 255), (255, 0, 255), (255, 255, 0))
# The upper ends, in nm, of what is shown as blue, green and red.
_BANDS = ((500.0, BLUE), (565.0, GREEN), (750.0, RED))


def colour_of_emission(wavelength_nm: float | None) -> Color | None:
    """Return blue, green or red for a visible wavelength, None for others."""
    if wavelength_nm is None or wavelength_nm < 350:
        return None
    return next((color for end, color in _BANDS if wavelength_nm < end), None)


def channel_colours(named: Sequence[Color | None], emissions_nm: Sequence[float | None]) -> list[Color]:
    """Return a colour for each channel. A single channel without a colour is grey.

    White for several channels is what programs write that know no colours; it counts as none.
    """
    is_unset = named.count(WHITE) > 1
    chosen: list[Color | None] = [None if is_unset and color == WHITE else color for color in named]
    if len(chosen) == 1:
        return [chosen[0] or WHITE]
    for index, wavelength_nm in enumerate(emissions_nm):
        color = colour_of_emission(wavelength_nm)
        if chosen[index] is None and color not in chosen:
            chosen[index] = color
    free = [color for color in DEFAULTS if color not in chosen]
    rest = iter([*free, *islice(cycle(DEFAULTS), len(chosen))])
    return [color or next(rest) for color in chosen]
