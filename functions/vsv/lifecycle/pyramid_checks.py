"""Check of the slides that are stored already: whether earlier versions rendered white, or told nothing of damage.

Each version of the check looks once at every slide, a share of them a day. Published copies have no record, but files
among the slides: all folders are looked at, by name, and the last name is noted.
"""

import json
import logging
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from vsv.errors import ConflictError, NotFoundError, UnavailableError, UnreadableSlideError
from vsv.identifiers import is_image_id
from vsv.ingest.damage_notes import record_damage
from vsv.ingest.tile_sample import sample_tiles
from vsv.pyramids.empty_tiles import is_outdated
from vsv.pyramids.renewal import render_again
from vsv.records.models import JobKind, JobRecord
from vsv.services import Services
from vsv.slides.damage import NOTES
from vsv.storage import atomic_write
from vsv.workflow import job_queue

log = logging.getLogger(__name__)

# Raised when the check finds more than before: then every slide is looked at again.
VERSION = 1
CHECKED = "pyramids_checked.json"
# Jobs wait meanwhile on one machine; some thousands of slides are looked at in this time.
SECONDS = 120.0
MAX_LEFT = 1000
BY = "check"


@dataclass(frozen=True, slots=True)
class _State:
    """Where the check is: the last name looked at, names to look at again, and whether all were looked at."""

    after: str = ""
    left: tuple[str, ...] = ()
    is_done: bool = False


def request_renewals(services: Services) -> list[JobRecord]:
    """Look at slides that were not looked at yet; request the rendering that is needed, and return the jobs."""
    state, requested, left = _read_state(services), list[JobRecord](), list[str]()
    deadline, after = time.monotonic() + SECONDS, state.after
    names = [] if state.is_done else [name for name in _names(services) if name > after]
    pending = deque((*state.left, *names))
    while pending and time.monotonic() < deadline:
        name = pending.popleft()
        try:
            requested += _look_at(services, name)
        except (ConflictError, NotFoundError, UnavailableError, OSError) as error:
            log.warning("slide %s is looked at again tomorrow: %s", name, type(error).__name__)
            left.append(name)
        after = max(after, name)
    left += [name for name in pending if name <= after]
    is_done = not any(name > after for name in pending)
    _write_state(services, _State(after, tuple(left[:MAX_LEFT]), is_done))
    return requested


def _look_at(services: Services, image_id: str) -> list[JobRecord]:
    """Return the job that renders a slide again, where it needs one; nothing for a slide that cannot be opened."""
    try:
        return [_request(services, image_id)] if needs_rendering(services, image_id) else []
    except UnreadableSlideError as error:
        log.warning("slide %s is not looked at: %s", image_id, error)
        return []


def _names(services: Services) -> list[str]:
    """Return the names of all slides and published copies, in order."""
    folder = services.files.root / "slides"
    return sorted(path.name for path in folder.iterdir() if is_image_id(path.name)) if folder.exists() else []


def needs_rendering(services: Services, image_id: str) -> bool:
    """Return whether a slide's levels show white for tiles that exist, or damage that nothing tells of.

    A slide without rendered levels is under way, or waits for ``vsv render``.
    """
    pyramid = services.files.pyramid(image_id)
    if not pyramid.exists():
        return False
    slide = services.slide_cache.slide(image_id, is_seen=False)
    if is_outdated(slide, pyramid):
        return True
    return not pyramid.with_name(NOTES).exists() and bool(sample_tiles(slide).damage)


def _request(services: Services, image_id: str) -> JobRecord:
    is_copy = services.slides.get(image_id) is None
    reason = "white or damaged tiles were found" + (" in this published copy" if is_copy else "")
    log.warning("%s is rendered again: %s", image_id, reason)
    return job_queue.request_in_background(services, image_id, JobKind.RENDER, BY, {"because": reason})


def render_step(services: Services, job: JobRecord) -> Mapping[str, str]:
    """Render a slide's levels again and note its damage; return the number of damaged tiles.

    Raises ConflictError for a deleted slide, UnavailableError while the disk refuses.
    """
    image_id = job.image_id
    if services.files.is_hidden(image_id):
        raise ConflictError("This slide is deleted: undelete it first.")
    services.slide_cache.forget(image_id)
    slide = services.slide_cache.slide(image_id, is_seen=False)
    render_again(slide, services.files.pyramid(image_id), None, lambda _done, _total: None)
    services.slide_cache.forget(image_id)
    record_damage(services, image_id)
    counts = services.slide_cache.slide(image_id, is_seen=False).damage.counts()
    return {"damagedTiles": str(sum(map(int, counts.values())))}


def _read_state(services: Services) -> _State:
    """Return the stored state; the first one where there is none, or that of another version of the check."""
    try:
        item = json.loads((services.files.root / CHECKED).read_bytes())
        if item["version"] != VERSION:
            return _State()
        left = tuple(name for name in item["left"] if is_image_id(name))
        return _State(str(item["after"]), left, bool(item["done"]))
    except (OSError, ValueError, KeyError, TypeError):
        return _State()


def _write_state(services: Services, state: _State) -> None:
    item = {"version": VERSION, "after": state.after, "left": state.left, "done": state.is_done}
    if state != _read_state(services):
        atomic_write.write(services.files.root / CHECKED, json.dumps(item).encode())
