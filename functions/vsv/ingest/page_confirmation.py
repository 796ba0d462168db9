"""Confirmation of the pages of stored slides: the note that serving is bound to, also for earlier imports."""

from contextlib import suppress

from PIL import Image

from vsv.rendering.associated_images import encode, make_thumbnail, read_associated
from vsv.rendering.icc import profile_of
from vsv.services import Services
from vsv.slides.confirmed_pages import open_confirmed
from vsv.slides.slide import Slide
from vsv.storage import atomic_write
from vsv.storage.refused_pages import read_refused, write_refused
from vsv.storage.slide_files import ASSOCIATED, SlideFiles


def note_refused(files: SlideFiles, image_id: str, slide: Slide) -> None:
    """Write the note of the refused pages of a slide, opened from its original.

    A pyramid that may have been rendered from refused pages is removed first: it is rendered again.
    """
    if slide.refused and read_refused(files.folder(image_id)) is None:
        with suppress(FileNotFoundError):
            files.pyramid(image_id).unlink()
    write_refused(files.folder(image_id), slide.refused)


def confirm_stored(services: Services, image_id: str, slide: Slide) -> bool:
    """Confirm the pages and small pictures of a slide that an earlier version imported; return whether it was needed.

    A slide without its original is left as it is. So are published copies, which have no record: their claim must not
    change, and ``vsv check-published`` compares them.
    """
    files, path = services.files, services.files.slide(image_id)
    if slide.is_noted or slide.path != path or services.slides.get(image_id) is None:
        return False
    slide = open_confirmed(path)
    images = confirmed_pictures(slide)
    for name in ASSOCIATED:
        if name in images:
            atomic_write.write(files.associated(image_id, name), encode(images[name]))
        else:
            files.associated(image_id, name).unlink(missing_ok=True)
    note_refused(files, image_id, slide)
    services.slide_cache.forget(image_id)
    return True


def confirmed_pictures(slide: Slide) -> dict[str, Image.Image]:
    """Return label, macro and thumbnail of a slide opened from its original.

    The scanner's thumbnail may be in other colours than the slide: with a profile, one is rendered from the pixels.
    """
    images = read_associated(slide.path, slide)
    if "thumbnail" not in images or profile_of(slide) is not None:
        images["thumbnail"] = make_thumbnail(slide)
    return images
