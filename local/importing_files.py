"""``vsv import``: files from anywhere on this machine, imported to the end while the caller waits."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vsv.errors import InvalidNameError, VsvError
from vsv.importing import Receipt, receive, retry
from vsv.inspection import checksum
from vsv.installation import Installation
from vsv.records import ImportState

from local.standalone import standalone

_POLL_SECONDS = 0.05
_UNFINISHED = "it is not finished yet: another process is importing it, or a warning above says why"
_ROUNDS = 3  # two files of one name and size are told apart once the first one has been read


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
        with standalone(data, [path.absolute().parent], in_place=in_place) as (here, intake):
            if index == 1:
                here.files.sweep()
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
        for _ in range(_ROUNDS):
            while is_busy():
                time.sleep(_POLL_SECONDS)
            receipt = receive(here, path.name, size)
            if receipt.state in {ImportState.READY, ImportState.FAILED}:
                break
        if receipt.state is ImportState.READY and _are_several(here, path.name, size):
            receipt = receive(here, path.name, size, checksum(path))
        return _outcome(here, path.name, receipt)
    except InvalidNameError:
        return Outcome(path.name, error="its name is not that of a slide file: rename it, to 12345.svs say")
    except (VsvError, OSError) as error:
        return Outcome(path.name, error=str(error) if isinstance(error, VsvError) else "it cannot be read")


def _are_several(here: Installation, filename: str, size: int) -> bool:
    """Tell whether only their content tells slides of this name and size apart."""
    return sum(record.file_size == size for record in here.slides.by_filename(filename, 1000).items) > 1


def _outcome(here: Installation, filename: str, receipt: Receipt) -> Outcome:
    if receipt.state is not ImportState.READY or receipt.image_id is None:
        return Outcome(filename, error=receipt.error or _UNFINISHED)
    if here.files.is_hidden(receipt.image_id):
        return Outcome(filename, error=f"it was deleted: vsv delete --undo {receipt.image_id} brings it back")
    return Outcome(filename, receipt.image_id)
