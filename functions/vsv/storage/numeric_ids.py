"""Numbers for slides, for protocols whose images are numbers: OMERO's.

An ImageID that is a plain decimal number of at most 15 digits is its own number; "0012" is not plain, it would be
taken for 12. Any other ImageID gets a number that its hash chooses, between 10^15 and 2^53, which own numbers never
reach and JavaScript can count. ``numbers/{number}`` then holds the ImageID. It is made once and never changed, as an
ImageID is never given twice; where another ImageID has the number already, the next one is taken. So a slide is found
by its number without a database, and a numeric ImageID without any file.
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
from vsv.storage.owner_files import owner, take
from vsv.storage.slide_files import SlideFiles

# How many slides are looked through for a number that has no file yet, and how seldom.
MAX_SCANNED, SCAN_SECONDS = 1_000_000, 60.0
MAX_KNOWN = 4096
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,15})\Z", re.ASCII)


def parse_number(text: str) -> int:
    """Read a number; raises InvalidNameError for what no slide can have, such as leading zeros."""
    if not _NUMBER.match(text) or (number := int(text)) >= END:
        raise InvalidNameError("an image's number is a whole number without leading zeros")
    return number


def give_number(files: SlideFiles, image_id: str) -> int:
    """Give a slide's number, and note it where it is not the ImageID itself; raises UnavailableError, OSError."""
    for number in candidates(image_id):
        if number < FIRST_GIVEN or take(files.number(number), image_id) == image_id:
            return number
    raise UnavailableError("no free number could be found for this slide")


class NumericIds:
    """Finds slides by number, and remembers those that were found."""

    def __init__(self, files: SlideFiles) -> None:
        self.files = files
        self._known: OrderedDict[int, str] = OrderedDict()
        self._scanned = float("-inf")
        self._lock = Lock()

    def image_id(self, number: int) -> str:
        """Give the ImageID that has a number, whether or not the slide still exists; raises SlideNotFoundError."""
        if number < FIRST_GIVEN:
            return str(number)
        found = self._known.get(number) or owner(self.files.number(number)) or self._scan(number)
        if found is None:
            raise SlideNotFoundError("no slide has this number")
        self._keep(number, found)
        return found

    def _keep(self, number: int, image_id: str) -> None:
        with self._lock:
            self._known[number] = image_id
            self._known.move_to_end(number)
            while len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)

    def _scan(self, number: int) -> str | None:
        """Look for the number among slides that were imported before numbers were noted, at most once a minute."""
        with self._lock:
            if time.monotonic() - self._scanned < SCAN_SECONDS:
                return None
            self._scanned = time.monotonic()
        for image_id in self._image_ids():
            if number == next(candidates(image_id)):
                return self._noted_now(image_id, number)
        return None

    def _image_ids(self) -> Iterator[str]:
        with os.scandir(self.files.root / "slides") as entries:
            for _, entry in zip(range(MAX_SCANNED), entries, strict=False):
                if is_image_id(entry.name) and not has_own(entry.name):
                    yield entry.name

    def _noted_now(self, image_id: str, number: int) -> str | None:
        try:
            return image_id if give_number(self.files, image_id) == number else None
        except OSError:
            return image_id  # a function that may only read
