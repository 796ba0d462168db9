"""Import a slide into a folder of its own, for benchmarks to measure."""

from pathlib import Path
from threading import Event

from vsv_local.bulk.importing import FileImporter
from vsv_local.composition import standalone


def imported(data: Path, path: Path, *, in_place: bool = False) -> str:
    """Import a file and return its ImageID."""
    with standalone(data, in_place=in_place) as (services, import_runner):
        (task,) = FileImporter(services, import_runner, Event()).tasks([path.absolute()])
        outcome = task.work()
    assert outcome.image_id, outcome.reason
    return outcome.image_id
