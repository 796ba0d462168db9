"""``vsv import``: files from anywhere on this machine, imported to the end while the caller waits."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vsv.errors import InvalidNameError, VsvError
from vsv.importing import receive, retry
from vsv.installation import Installation
from vsv.records import ImportState

from local.standalone import standalone

_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: its ImageID, or the reason why it has none."""

    filename: str
    image_id: str | None = None
    error: str | None = None

    def to_item(self) -> dict[str, str | None]:
        """Give it with the field names of the wire."""
        return {"Filename": self.filename, "ImageID": self.image_id, "Error": self.error}


def import_files(
    data: Path, files: Sequence[Path], *, in_place: bool, say: Callable[[str], None]
) -> list[Outcome]:
    """Import files one after the other, each to its end, and tell of each."""
    outcomes = []
    for index, path in enumerate(files, 1):
        with standalone(data, [path.resolve().parent], in_place=in_place) as (here, intake):
            outcome = _import(here, path, intake.is_busy)
        outcomes.append(outcome)
        say(f"[{index}/{len(files)}] {_told(outcome)}")
    return outcomes


def _told(outcome: Outcome) -> str:
    if outcome.image_id is not None:
        return f"OK      {outcome.filename} is slide {outcome.image_id}"
    return f"FAILED  {outcome.filename}: {outcome.error}"


def _import(here: Installation, path: Path, is_busy: Callable[[], bool]) -> Outcome:
    try:
        size = path.stat().st_size
        receipt = receive(here, path.name, size)
        if receipt.state is ImportState.FAILED:
            receipt = retry(here, path.name)  # who names a file again wants it tried again
        while is_busy():
            time.sleep(_POLL_SECONDS)
        return _outcome(here, path.name, size)
    except InvalidNameError:
        return Outcome(path.name, error="its name is not that of a slide file: rename it, to 12345.svs say")
    except (VsvError, OSError) as error:
        return Outcome(path.name, error=str(error) if isinstance(error, VsvError) else "it cannot be read")


def _outcome(here: Installation, filename: str, size: int) -> Outcome:
    run = here.imports.get(filename)
    if run is not None and run.size == size and run.state is not ImportState.READY:
        return Outcome(filename, error=run.error or "another process is importing it")
    if run is not None and run.size == size:
        return Outcome(filename, run.image_id)
    stored = [r for r in here.slides.by_filename(filename, 100).items if r.file_size == size]
    return Outcome(filename, stored[0].image_id if stored else None)
