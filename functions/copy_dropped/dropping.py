"""A dropped object on its way to where its run keeps its file."""

from collections.abc import Callable
from typing import Any

from vsv.ingest.drop_object import DroppedObject
from vsv.ingest.progress import NotedProgress
from vsv.records.models import ImportRecord
from vsv.services import Services
from vsv.storage import atomic_write

from copy_dropped.copying import ObjectCopy


def copy_in(
    services: Services,
    run: ImportRecord,
    wanted: DroppedObject,
    client: Any,
    has_time: Callable[[], bool],
) -> bool:
    """Copy what there is time for; tell whether all of it is here, verified, and its checksum noted."""
    path = services.files.taken(run.filename, run.run_id)
    if path.exists() and run.checksum is not None:
        return True
    part = path.with_name(f"{path.name}{atomic_write.PART_SUFFIX}")
    copy = ObjectCopy(client, wanted, part, run.size)
    if not copy.go_on(has_time, NotedProgress(services, run)):
        return False
    digest = copy.verify()
    services.imports.advance(run.filename, run.run_id, {"checksum": digest})
    part.replace(path)
    atomic_write.flush(path.parent)
    return True
