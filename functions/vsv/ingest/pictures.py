"""A slide's pictures as they are stored beside it: label and macro of its file, and a thumbnail."""

from pathlib import Path

from PIL import Image

from vsv.rendering.associated_images import make_thumbnail, read_associated
from vsv.rendering.icc import profile_of
from vsv.slides.slide import open_slide


def read_pictures(path: Path) -> dict[str, Image.Image]:
    """Return a slide file's pictures by name; a thumbnail is always among them. Raises UnreadableSlideError."""
    images, missing = read_associated(path), path.with_name("none")
    slide = open_slide(path, missing, missing)
    # The scanner's thumbnail may be in other colours than the slide: with a profile, render one from the pixels.
    if "thumbnail" not in images or profile_of(slide) is not None:
        images["thumbnail"] = make_thumbnail(slide)
    return images
