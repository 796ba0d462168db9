"""The note of the pages of a slide's file that are not shown, although they look like levels: a part of its claim.

A page is refused where its pixels are not those of full resolution, reduced: it may be the patient's label. The note
is written once the pages were compared, before the original moves to the slide's folder; earlier versions wrote none.
Numbers are those of TIFF pages for Aperio slides, and of OpenSlide's levels for slides that only OpenSlide reads.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from vsv.errors import UnavailableError
from vsv.storage import atomic_write
from vsv.storage.slide_files import CLAIM

_REFUSED = "refused"
_MAX_BYTES = 1 << 16


def read_refused(folder: Path) -> frozenset[int] | None:
    """Return the numbers of a slide's refused pages; None where the pages were not compared yet.

    Raise UnavailableError where the note cannot be read now: a refused page must not be shown meanwhile.
    """
    try:
        return frozenset(map(int, _read_claim(folder)[_REFUSED]))
    except (KeyError, TypeError, ValueError):
        return None


def write_refused(folder: Path, numbers: Iterable[int]) -> None:
    """Add the note to the claim in a slide's folder, atomically."""
    claim = {**_read_claim(folder), _REFUSED: sorted(numbers)}
    atomic_write.write(folder / CLAIM, json.dumps(claim).encode())


def _read_claim(folder: Path) -> Mapping[str, list[int]]:
    try:
        with (folder / CLAIM).open("rb") as file:
            claim = json.loads(file.read(_MAX_BYTES))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    except OSError as error:
        raise UnavailableError("the slide's files cannot be read now") from error
    return claim if isinstance(claim, dict) else {}
