"""Candidates for a slide's numeric ID: its ImageID, or hashes of it; ``vsv.storage.numeric_ids`` explains why."""

import hashlib
import re
from collections.abc import Iterator

FIRST_GIVEN, END = 10**15, 1 << 53
# In one of 16,000 archives of a million slides, two slides share a first number; eight taken numbers mean damage.
ATTEMPTS = 8
_OWN = re.compile(r"(?:0|[1-9][0-9]{0,14})\Z", re.ASCII)


def has_own(image_id: str) -> bool:
    """Return whether an ImageID is its own numeric ID."""
    return _OWN.match(image_id) is not None


def candidates(image_id: str) -> Iterator[int]:
    """Yield the numbers that a slide may have, the preferred first; the sequence is always the same."""
    if has_own(image_id):
        yield int(image_id)
        return
    for attempt in range(ATTEMPTS):
        digest = hashlib.sha256(f"{attempt}/{image_id}".encode()).digest()
        yield FIRST_GIVEN + int.from_bytes(digest[:16], "big") % (END - FIRST_GIVEN)
