"""Copy the dropped object of an import run to where the run keeps its file."""

from collections.abc import Callable
from typing import Any

from vsv.ingest.drop_object import DroppedObject
from vsv.ingest.progress import NotedProgress
from vsv.records.models import ImportRecord
from vsv.services import Services
from vsv.storage import atomic_write

from copy_dropped.object_copy import ObjectCopy


def copy_in(
    services: Services,
    run: ImportRecord,
    dropped: DroppedObject,
    client: Any,
    has_time: Callable[[], bool],
) -> bool:
    """Copy as much as there is time for; return whether the file is complete, verified, and its checksum recorded."""
    path = services.files.taken(run.filename, run.run_id)
    if path.exists() and run.checksum is not None:
        return True
    part = path.with_name(f"{path.name}{atomic_write.PART_SUFFIX}")
    copy = ObjectCopy(client, dropped, part, run.size)
    if not copy.resume(has_time, NotedProgress(services, run)):
        return False
    digest = copy.verify()
    services.imports.advance(run.filename, run.run_id, {"checksum": digest})
    part.replace(path)
    atomic_write.flush(path.parent)
    return True
