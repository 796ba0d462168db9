"""``vsv render``: pyramids for one slide, many or all, with a bar for people and lines for logs."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

import click
from vsv.errors import VsvError
from vsv.import_steps import render
from vsv.installation import Installation
from vsv.pyramid import Progress


@dataclass
class Counts:
    """How a run over many slides ended; ``failures`` gives each failed slide's reason."""

    ok: int = 0
    skipped: int = 0
    failed: int = 0
    failures: dict[str, str] = field(default_factory=dict)

    def to_item(self) -> dict[str, object]:
        """Give it for JSON."""
        return asdict(self)


def render_all(
    here: Installation, image_ids: Sequence[str], jobs: int | None, *, say: Callable[[str], None], bar: bool
) -> Counts:
    """Render what is missing of each slide; one that fails does not stop the others."""
    counts = Counts()
    for index, image_id in enumerate(image_ids, 1):
        say(f"[{index}/{len(image_ids)}] {_render(here, image_id, jobs, counts, bar)}")
    say(f"{counts.ok} OK, {counts.skipped} skipped, {counts.failed} failed")
    return counts


def _render(here: Installation, image_id: str, jobs: int | None, counts: Counts, bar: bool) -> str:
    try:
        with _progress(image_id, bar) as progress:
            rendered = render(here, image_id, progress, jobs)
    except VsvError as error:
        counts.failed += 1
        counts.failures[image_id] = str(error)
        return f"FAILED  {image_id}: {error}"
    counts.ok, counts.skipped = counts.ok + rendered, counts.skipped + (not rendered)
    return f"OK      {image_id}" if rendered else f"skipped {image_id}: it has all its levels"


@contextmanager
def _progress(image_id: str, bar: bool) -> Iterator[Progress]:
    """Draw a bar on a terminal; say nothing elsewhere."""
    if not bar or not sys.stdout.isatty():
        yield lambda _done, _total: None
        return
    drawn: click._termui_impl.ProgressBar[int]
    with click.progressbar(length=1, label=image_id, show_pos=True) as drawn:

        def show(done: int, total: int) -> None:
            drawn.length = total
            drawn.update(done - drawn.pos)

        yield show
