"""Numeric IDs of slides, for protocols that identify images by number: OMERO's.

An ImageID that is a plain decimal number of at most 15 digits is its own number; "0012" is not plain, because it
would be taken for 12. Any other ImageID gets a number derived from its hash, between 10^15 and 2^53: own numbers are
smaller, and JavaScript represents these numbers exactly. ``numbers/{number}`` then holds the ImageID. The file is
created once and never changed, because an ImageID is never assigned twice; where another ImageID has the number
already, the next candidate is used. So a slide is found by its number without a database, and a numeric ImageID
without any file.
"""

import os
import re
import time
from collections import OrderedDict
from collections.abc import Iterator
from threading import Lock

from vsv.errors import InvalidNameError, SlideNotFoundError, UnavailableError
from vsv.identifiers import is_image_id
from vsv.storage.numeric_id_hash import END, FIRST_GIVEN, candidates, has_own
from vsv.storage.owner_files import claim, read_owner
from vsv.storage.slide_files import SlideFiles

# The most slides scanned for a number that has no file yet, and the least time between two scans.
MAX_SCANNED, SCAN_SECONDS = 1_000_000, 60.0
MAX_CACHED = 4096
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,15})\Z", re.ASCII)


def parse_number(text: str) -> int:
    """Return the number that a text spells; raise InvalidNameError for impossible ones, such as leading zeros."""
    if not _NUMBER.match(text) or (number := int(text)) >= END:
        raise InvalidNameError("an image's number is a whole number without leading zeros")
    return number


def assign_number(files: SlideFiles, image_id: str) -> int:
    """Return a slide's number; store a number that is not the ImageID itself. Raise UnavailableError, OSError."""
    for number in candidates(image_id):
        if number < FIRST_GIVEN or claim(files.number(number), image_id) == image_id:
            return number
    raise UnavailableError("no free number could be found for this slide")


class NumericIds:
    """Finds slides by numeric ID, with a cache of the slides found."""

    def __init__(self, files: SlideFiles) -> None:
        self.files = files
        self._cached: OrderedDict[int, str] = OrderedDict()
        self._scanned = float("-inf")
        self._lock = Lock()

    def image_id(self, number: int) -> str:
        """Return the ImageID of a number, whether or not the slide still exists; raise SlideNotFoundError."""
        if number < FIRST_GIVEN:
            return str(number)
        image_id = self._cached.get(number) or read_owner(self.files.number(number)) or self._scan(number)
        if image_id is None:
            raise SlideNotFoundError("no slide has this number")
        self._add_to_cache(number, image_id)
        return image_id

    def _add_to_cache(self, number: int, image_id: str) -> None:
        with self._lock:
            self._cached[number] = image_id
            self._cached.move_to_end(number)
            while len(self._cached) > MAX_CACHED:
                self._cached.popitem(last=False)

    def _scan(self, number: int) -> str | None:
        """Return the ImageID of a number by a scan of the slides that were imported before numbers were stored.

        Return None without a scan where the last scan was less than a minute ago.
        """
        with self._lock:
            if time.monotonic() - self._scanned < SCAN_SECONDS:
                return None
            self._scanned = time.monotonic()
        for image_id in self._image_ids():
            if number == next(candidates(image_id)):
                return self._assign(image_id, number)
        return None

    def _image_ids(self) -> Iterator[str]:
        with os.scandir(self.files.root / "slides") as entries:
            for _, entry in zip(range(MAX_SCANNED), entries, strict=False):
                if is_image_id(entry.name) and not has_own(entry.name):
                    yield entry.name

    def _assign(self, image_id: str, number: int) -> str | None:
        try:
            return image_id if assign_number(self.files, image_id) == number else None
        except OSError:
            return image_id  # a function without permission to write
