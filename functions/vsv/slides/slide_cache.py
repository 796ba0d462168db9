"""The slides that are open: described once, kept while they are looked at, dropped when their files change."""

import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from vsv.errors import FileMissingError, SlideNotFoundError
from vsv.nonblocking import check_may_wait, is_non_blocking
from vsv.slides.slide import Slide, open_slide, stamp_of
from vsv.storage.originals import check_original
from vsv.storage.slide_files import SlideFiles

# Each holds at most two file descriptors: well inside the 1,024 that Lambda allows.
MAX_OPEN = 128
# How often it is noted that a slide is looked at.
NOTE_SECONDS = 3600.0
# How long a deleted slide or a finished pyramid may go unnoticed.
RECHECK_SECONDS = 1.0
# One of those in haste goes to look, the long way; the others go on with what is known for so long.
LOOK_SECONDS = 0.25


@dataclass(slots=True)
class _Known:
    slide: Slide
    checked: float
    sent: float = float("-inf")

    def is_looked_for(self, now: float) -> bool:
        """Tell one in haste whether another has gone to look; who may wait looks in any case."""
        if not is_non_blocking():
            return False
        if now - self.sent < LOOK_SECONDS:
            return True
        self.sent = now
        return False


class SlideCache:
    """Opens slides by ImageID and remembers the most recently used."""

    def __init__(self, files: SlideFiles) -> None:
        self.files = files
        self._slides: OrderedDict[str, _Known] = OrderedDict()
        self._noted: dict[str, float] = {}
        self._lock = Lock()

    def slide(self, image_id: str, *, is_seen: bool = True) -> Slide:
        """Give an opened slide; ``is_seen``: for somebody to look at, which is noted now and then.

        Raises InvalidNameError, SlideNotFoundError, and UnreadableSlideError or ConflictError where the file is
        not what was imported.
        """
        now = time.monotonic()
        with self._lock:
            known = self._slides.get(image_id)
            if known is not None:
                self._slides.move_to_end(image_id)
                if now - known.checked < RECHECK_SECONDS or known.is_looked_for(now):
                    return known.slide
        slide = self._checked(image_id, known.slide if known else None, now)
        if is_seen and now - self._noted.get(image_id, float("-inf")) >= NOTE_SECONDS:
            self.files.note_opened(image_id)
            self._noted[image_id] = now
        return slide

    def _checked(self, image_id: str, known: Slide | None, now: float) -> Slide:
        check_may_wait()
        path, pyramid = self.files.slide(image_id), self.files.pyramid(image_id)
        try:
            check_original(self.files, image_id)
            if known is None or known.is_stale or stamp_of(path, pyramid) != known.stamp:
                known = open_slide(path, pyramid, self.files.associated(image_id, "thumbnail"))
        except FileMissingError as error:
            self.forget(image_id)
            raise SlideNotFoundError("there is no slide with this ImageID") from error
        self._keep(image_id, known, now)
        return known

    def _keep(self, image_id: str, slide: Slide, now: float) -> None:
        with self._lock:
            self._slides[image_id] = _Known(slide, now)
            self._slides.move_to_end(image_id)
            while len(self._slides) > MAX_OPEN:
                self._noted.pop(self._slides.popitem(last=False)[0], None)

    def forget(self, image_id: str) -> None:
        """Drop a slide, so that the next look at it sees its files as they are now."""
        with self._lock:
            self._slides.pop(image_id, None)
            self._noted.pop(image_id, None)
