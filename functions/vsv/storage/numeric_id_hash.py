"""Which number a slide has: its own, or one that its hash chooses; ``vsv.storage.numeric_ids`` tells why."""

import hashlib
import re
from collections.abc import Iterator

FIRST_GIVEN, END = 10**15, 1 << 53
# Two of a million slides share a first number once in 16,000 archives; that eight numbers are all taken is damage.
ATTEMPTS = 8
_OWN = re.compile(r"(?:0|[1-9][0-9]{0,14})\Z", re.ASCII)


def has_own(image_id: str) -> bool:
    """Tell whether an ImageID is its own number."""
    return _OWN.match(image_id) is not None


def candidates(image_id: str) -> Iterator[int]:
    """Give the numbers that a slide may have, best first, always the same ones."""
    if has_own(image_id):
        yield int(image_id)
        return
    for attempt in range(ATTEMPTS):
        digest = hashlib.sha256(f"{attempt}/{image_id}".encode()).digest()
        yield FIRST_GIVEN + int.from_bytes(digest[:16], "big") % (END - FIRST_GIVEN)
