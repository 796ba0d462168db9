"""The cache of opened slides: each is read once, kept while in use, and dropped when its files change."""

import time
from collections import OrderedDict
from threading import Lock

from vsv.errors import FileMissingError, SlideNotFoundError
from vsv.nonblocking import check_may_wait, is_non_blocking
from vsv.slides.slide import Slide, open_slide, stamp_of
from vsv.storage.originals import check_original
from vsv.storage.slide_files import SlideFiles

# Each slide has at most two file descriptors: far fewer in all than the 1,024 that Lambda allows.
MAX_OPEN = 128
# Seconds between two records that a slide was opened.
NOTE_SECONDS = 3600.0
# Seconds for which a deleted slide or a finished pyramid may remain unnoticed.
RECHECK_SECONDS = 1.0
# One of several non-blocking callers revalidates a slide, by a blocking retry; meanwhile the others use the cached
# slide for this long.
REVALIDATION_SECONDS = 0.25


class _Entry:
    """A slide with the time of its last check; a dataclass would cost half a millisecond of each cold start."""

    __slots__ = ("checked", "revalidating_since", "slide")

    def __init__(self, slide: Slide, checked: float) -> None:
        self.slide = slide
        self.checked = checked
        self.revalidating_since = float("-inf")

    def is_being_revalidated(self, now: float) -> bool:
        """Return whether another non-blocking caller is already revalidating this slide.

        If not, this caller becomes the revalidating one. A caller that may wait always revalidates: False.
        """
        if not is_non_blocking():
            return False
        if now - self.revalidating_since < REVALIDATION_SECONDS:
            return True
        self.revalidating_since = now
        return False


class SlideCache:
    """Opens slides by ImageID and caches the most recently used."""

    def __init__(self, files: SlideFiles) -> None:
        self.files = files
        self._slides: OrderedDict[str, _Entry] = OrderedDict()
        self._noted: dict[str, float] = {}
        self._lock = Lock()

    def slide(self, image_id: str, *, is_seen: bool = True) -> Slide:
        """Return an opened slide; ``is_seen``: a person views the slide, which is recorded now and then.

        Raise InvalidNameError, SlideNotFoundError, and UnreadableSlideError or ConflictError where the file is
        not the imported one.
        """
        now = time.monotonic()
        with self._lock:
            entry = self._slides.get(image_id)
            if entry is not None:
                self._slides.move_to_end(image_id)
                if now - entry.checked < RECHECK_SECONDS or entry.is_being_revalidated(now):
                    return entry.slide
        slide = self._revalidate(image_id, entry.slide if entry else None, now)
        if is_seen and now - self._noted.get(image_id, float("-inf")) >= NOTE_SECONDS:
            self.files.note_opened(image_id)
            self._noted[image_id] = now
        return slide

    def _revalidate(self, image_id: str, cached: Slide | None, now: float) -> Slide:
        check_may_wait()
        path, pyramid = self.files.slide(image_id), self.files.pyramid(image_id)
        try:
            check_original(self.files, image_id)
            if cached is None or cached.is_stale or stamp_of(path, pyramid) != cached.stamp:
                cached = open_slide(path, pyramid, self.files.associated(image_id, "thumbnail"))
        except FileMissingError as error:
            self.forget(image_id)
            raise SlideNotFoundError("slide not found") from error
        self._store(image_id, cached, now)
        return cached

    def _store(self, image_id: str, slide: Slide, now: float) -> None:
        with self._lock:
            self._slides[image_id] = _Entry(slide, now)
            self._slides.move_to_end(image_id)
            while len(self._slides) > MAX_OPEN:
                self._noted.pop(self._slides.popitem(last=False)[0], None)

    def forget(self, image_id: str) -> None:
        """Remove a slide from the cache, so that the next request reads its present files."""
        with self._lock:
            self._slides.pop(image_id, None)
            self._noted.pop(image_id, None)
