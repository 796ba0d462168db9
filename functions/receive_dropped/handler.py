"""Start the import of a new object in the drop-in bucket, as if a scanner had posted the file.

Folders in the object's key do not count: the last part is the filename. An event whose object is not imported ends in
the function's failure queue, where an administrator sees it. This function never deletes the object: a rule of the
bucket removes it long after its import, and keeps objects that were never imported.
"""

import logging
from typing import Any

from lambda_support.observability import observed
from vsv.errors import BadRequestError
from vsv.ingest.drop_object import DroppedObject
from vsv.ingest.receive import receive_object
from vsv.runtime import current
from vsv.settings import required

log = logging.getLogger(__name__)


@observed
def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Start the import of EventBridge's "Object Created" event.

    Return the import's ``state``, None where there is nothing to import. Raises BadRequestError for an object that
    cannot be imported, UnavailableError for one that cannot be imported now.
    """
    services, detail = current(), event.get("detail") or {}
    dropped = DroppedObject.from_event(detail)
    size = detail["object"].get("size")
    if dropped.bucket != required(services.settings.drop_bucket, "VSV_DROP_BUCKET"):
        raise BadRequestError("it is in another bucket than the drop-in bucket")
    if dropped.key.endswith("/") and size == 0:
        return {"state": None}  # the S3 console creates a folder in this way
    if (receipt := receive_object(services, dropped, size)) is None:
        log.info("a later version of the dropped object has been asked for already")
        return {"state": None}
    return {"state": receipt.state}
