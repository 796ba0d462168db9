"""Focal planes and times in OMERO's addresses: z counts a slide's focal planes, and t is always 0."""

from vsv.errors import ImageNotFoundError
from vsv.slides.aperio_reader import StoredLevelsReader
from vsv.slides.slide import Slide

from serve_image.omero.parameters import Query, text, whole_number


def plane_count(slide: Slide) -> int:
    """Return how many focal planes a slide has."""
    return len(slide.reader.planes) or 1 if isinstance(slide.reader, StoredLevelsReader) else 1


def default_plane(slide: Slide) -> int:
    """Return the index of the focal plane that is shown where an address names none: the middle one."""
    return slide.reader.plane if isinstance(slide.reader, StoredLevelsReader) else 0


def at_plane(slide: Slide, z: int | None = None, t: int = 0) -> Slide:
    """Return the slide at a focal plane; raise ImageNotFoundError for another than it has: 404, as in OMERO."""
    count = plane_count(slide)
    if count == 1 and (z or t):
        raise ImageNotFoundError("a slide has a single plane: z and t are 0")
    if t or (z is not None and z >= count):
        raise ImageNotFoundError(
            f"this slide has the focal planes 0 to {count - 1}: z is one of them, and t is 0"
        )
    if z is None or z == default_plane(slide) or not isinstance(slide.reader, StoredLevelsReader):
        return slide
    from vsv.slides import focal_planes  # noqa: PLC0415  cold start: few slides have focal planes

    return focal_planes.at_plane(slide, slide.reader, z)


def queried_plane(slide: Slide, query: Query) -> Slide:
    """Return the slide at the focal plane that a query names, as ``z`` and ``t`` or ``theZ`` and ``theT``."""
    z, t = (
        [whole_number(query, name, 0) for name in names if text(query, name) is not None]
        for names in (("z", "theZ"), ("t", "theT"))
    )
    return at_plane(slide, max(z, default=None), max(t, default=0))
