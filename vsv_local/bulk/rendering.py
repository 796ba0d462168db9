"""Render the levels that slides lack, for one slide, many or all: ``vsv render``."""

from collections.abc import Iterator, Sequence
from functools import partial
from threading import Event

from filelock import Timeout
from vsv.ingest.steps import render
from vsv.records.models import SlideRecord, Status
from vsv.services import Services

from vsv_local.bulk.parallel_work import Outcome, Result, StoppedError, Task
from vsv_local.bulk.run_records import Run
from vsv_local.ingest.import_runner import import_lock

# Two, with half of the cores each: while one slide is opened, read back or flushed, the other one's tiles keep the
# cores busy. More would only take memory.
SLIDES_AT_ONCE = 2
# A record can hold 100 kB of tags.
_PAGE = 100


class Renderer:
    """Renders single slides; each of the slides at work has ``threads_each`` threads."""

    def __init__(self, services: Services, run: Run, stopping: Event, threads_each: int) -> None:
        self._services, self._run, self._stopping, self._threads = services, run, stopping, threads_each

    def tasks(self, image_ids: Sequence[str]) -> Iterator[Task]:
        """Yield a task for each slide; for all slides where none is named."""
        for image_id, record in slides_to_render(self._services, image_ids):
            pixels = record.width * record.height if record else 0
            yield Task(image_id, pixels, partial(self._render, image_id, record.filename if record else None))

    def _render(self, image_id: str, filename: str | None) -> Outcome:
        if filename is None:
            return self._render_levels(image_id)
        try:
            with import_lock(self._services.files, filename):
                return self._render_levels(image_id)
        except Timeout:
            return Outcome(image_id, Result.SKIPPED, image_id, "another process is at work on it")

    def _render_levels(self, image_id: str) -> Outcome:
        if render(self._services, image_id, partial(self._progress, image_id), self._threads):
            return Outcome(image_id, Result.OK, image_id)
        return Outcome(image_id, Result.SKIPPED, image_id, "it has all its levels")

    def _progress(self, image_id: str, done: int, total: int) -> None:
        if self._stopping.is_set():
            raise StoppedError
        self._run.at(image_id, done, total)


def slides_to_render(
    services: Services, image_ids: Sequence[str]
) -> Iterator[tuple[str, SlideRecord | None]]:
    """Yield slides with their records, if they have one: those named, else all whose original is here."""
    for image_id in image_ids:
        yield image_id, services.slides.get(image_id)
    if not image_ids:
        yield from ((record.image_id, record) for record in all_slides(services) if _is_here(record))


def all_slides(services: Services) -> Iterator[SlideRecord]:
    """Yield every slide's record, read page by page."""
    token = None
    while True:
        page = services.slides.list_all(_PAGE, token)
        yield from page.items
        if (token := page.next_token) is None:
            return


def _is_here(record: SlideRecord) -> bool:
    """Return whether the original is here to render from; an archived slide's pyramid was completed before."""
    return record.status is not Status.DELETED and record.original is None
