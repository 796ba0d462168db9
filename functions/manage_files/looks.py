"""What is looked at once a day, each in a call of its own: one that fails, or takes long, does not cost the others.

What a look asks for is a job like any other: the stream of the jobs table wakes this function for it.
"""

import logging
from collections.abc import Callable, Mapping

from vsv import purging
from vsv.errors import BadRequestError
from vsv.installation import Installation

log = logging.getLogger(__name__)


def look(here: Installation, name: object) -> None:
    """Look at something; raises BadRequestError where it is none of ``LOOKS``."""
    if not isinstance(name, str) or name not in LOOKS:
        raise BadRequestError(f"a look is one of {', '.join(LOOKS)}")
    here.files.prepare()  # before the first import there is nothing
    LOOKS[name](here)


def _deleted(here: Installation) -> None:
    log.info("%d deleted slides are over their grace period", len(purging.request_due(here)))


def _leftovers(here: Installation) -> None:
    here.files.sweep()


LOOKS: Mapping[str, Callable[[Installation], None]] = {"deleted": _deleted, "leftovers": _leftovers}
