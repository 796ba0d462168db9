"""Headers that say which colours an answer has, for every protocol that converts colours."""

from vsv.rendering.colour_management import ColourState, colour_state
from vsv.rendering.colour_request import PASSTHROUGH, Colour
from vsv.services import Services
from vsv.slides.slide import Slide

from serve_image import caching

COLOUR_HEADER, PROBLEM_HEADER = "x-vsv-icc", "x-vsv-icc-problem"
_ALLOWED = "access-control-allow-origin"


def with_colour_state(headers: dict[str, str], state: ColourState) -> dict[str, str]:
    """Add the colours served, and why a profile is not used; other origins may read both where they read images."""
    said = {COLOUR_HEADER: str(state)}
    if state.problem is not None:
        said[PROBLEM_HEADER] = state.problem.encode("ascii", "replace").decode("ascii")
    exposed = {"access-control-expose-headers": ", ".join(said)} if _ALLOWED in headers else {}
    return {**headers, **exposed, **said}


def picture_headers(
    services: Services, slide: Slide, box_l0: caching.Box | None, etag: str, lifetime: str, colour: Colour
) -> dict[str, str]:
    """Return the headers of a picture of a part of a slide; ``box_l0`` is None where no damage can be shown.

    Where a requested conversion could not take place, they say so and why.
    """
    if box_l0 is None:
        headers = caching.image_headers(services, etag, lifetime)
    else:
        headers = caching.slide_headers(services, slide, box_l0, etag, lifetime)
    if colour.icc == PASSTHROUGH:
        return headers
    state = colour_state(slide, colour)
    return headers if state.problem is None else with_colour_state(headers, state)
